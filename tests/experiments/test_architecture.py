"""The experiment on the architecture."""

import json
from pathlib import Path
from unittest.mock import patch

import pytest

from cnn3 import VARIANTS, ModelConfig, RunConfig
from experiments.architecture import BASELINE, GROUPS, MODELS, epoch_seconds, group_table, main, make_figures
from experiments.support import cost, reported
from experiments.support.display_names import display_name
from experiments.support.options import Options
from experiments.support.stated_claims import STATEMENTS
from experiments.support.tables import Row
from tests.helpers import fabricated
from tests.helpers.drawn import figure_subtitle, legend

CIFAR10 = Options()
FIGURES = {f"comparison_{key}.png" for key in GROUPS} | {"accuracy_flops.png", "accuracy_parameters.png"}
COST = {"parameters": 967754, "training_flops_per_image": 4.73e8}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    with patch.object(cost, "training_flops", lambda _: 1e9):  # it takes seconds
        return fabricated.experiment(main, tmp_path_factory.mktemp("results"), "--epochs", "12")


def row(name: str, *best: float | None) -> Row:
    config = CIFAR10.config(model=MODELS[name])
    runs = [fabricated.run(config, [0.1, accuracy] if accuracy else []) for accuracy in best]
    return Row(name, runs, reported.IMPROVEMENTS.get(name), COST)


def test_the_networks_are_the_choices_of_section_2_and_every_combination():
    assert {model.channels for model in MODELS.values() if not model.dense} == {
        (256, 128, 64),
        (64, 128, 256),
        (128, 128, 128),
    }
    assert {len(model.hidden) + 1 for model in MODELS.values()} == {2, 3, 4}
    assert {model.pool for model in MODELS.values()} == {"max", "average"}
    improved = [MODELS[BASELINE], *GROUPS["improvements"].alternatives.values()]
    assert len({(model.batch_norm, model.dropout, model.dense) for model in improved}) == 8
    for model in improved:
        variant = VARIANTS["dense" if model.dense else "baseline"]
        assert (model.channels, model.hidden, model.pool) == (variant.channels, variant.hidden, "max")
        assert model.dropout in (0, 0.2)
    assert MODELS[BASELINE] == ModelConfig()
    assert len(set(MODELS.values())) == len(MODELS) == 13


def test_each_choice_changes_one_field_of_the_baseline():
    fields = {"channels": {"channels"}, "layers": {"hidden"}, "pooling": {"pool"}}
    for key, changed in fields.items():
        for model in GROUPS[key].alternatives.values():
            assert {f for f in vars(model) if getattr(model, f) != getattr(ModelConfig(), f)} == changed


def test_runs_are_the_default_run_shared_with_the_improvements(folder):
    rows = json.loads((folder / "summary.json").read_text())["rows"]
    options = Options(dataset="digits", epochs=12)
    configs = {row["name"]: RunConfig.from_json(json.dumps(row["config"])) for row in rows}
    assert configs == {name: options.config(model=model) for name, model in MODELS.items()}
    assert {name: configs[name] for name in VARIANTS} == {
        name: options.config(model=model) for name, model in VARIANTS.items()
    }


def test_all_files_are_written_and_agree(folder):
    assert {path.name for path in folder.iterdir()} == FIGURES | {"summary.json", "table.md", "cache"}
    cells = fabricated.cells(folder)
    for entry in json.loads((folder / "summary.json").read_text())["rows"]:
        lines = [line for line in cells if line[0].split(" (")[0] == display_name(entry["name"]) and len(line) == 8]
        assert len(lines) == (len(GROUPS) if entry["name"] == BASELINE else 1)
        for line in lines:
            assert line[1] == f"{entry['parameters']:,}"
            assert line[2] == f"{entry['training_flops_per_image'] / 1e9:.3f}"
            assert line[3:5] == [f"{fabricated.IMAGES_PER_SECOND:.0f}", f"{fabricated.SECONDS:.1f}"]
            assert line[5:7] == [f"{entry['mean'][split]['accuracy']:.4f}" for split in ("validation", "test")]
            assert line[7] == f"{entry['mean']['test']['loss']:.4f}"
    text = (folder / "table.md").read_text()
    assert "original study" not in text
    assert all(f"({name})" in text for name in FIGURES)


def test_the_baseline_is_first_and_compared_with_the_original_accuracy():
    rows = [row(BASELINE, 0.8, 0.82), row("batch_norm", 0.84), row("batch_norm + dense", None)]
    table = group_table(GROUPS["improvements"], rows)
    lines = [dict(zip(table.header, line, strict=True)) for line in table.rows]
    assert [line["network"] for line in lines] == ["baseline (none)", "batch norm", "batch norm + dense block"]
    assert [line["test accuracy, original study"] for line in lines] == ["0.8138", "0.8263", "-"]
    assert [line["made comparable"] for line in lines] == ["0.8177 to 0.8178", "0.8303", "-"]
    assert [line["test accuracy, ours"] for line in lines] == ["0.8000 ± 0.0141", "0.8300", "-"]
    assert lines[0]["parameters"] == "967,754"
    assert lines[0]["GFLOP an image"] == "0.473"
    assert [line["s an epoch"] for line in lines] == ["2.0 ± 0.0", "2.0", "-"]
    assert "test accuracy" in group_table(GROUPS["pooling"], [row("average pooling", 0.8)]).header


def test_the_time_of_an_epoch_is_the_median():
    (run,) = row(BASELINE, 0.5).runs
    seconds = [{"seconds": value} for value in (9.0, 1.0, 2.0)]
    assert epoch_seconds(run._replace(history=seconds)) == 2.0
    assert epoch_seconds(run._replace(history=[])) is None


def test_accuracy_is_plotted_against_cost():
    groups = {key: [row(BASELINE, 0.8, 0.9)] for key in GROUPS}
    groups["improvements"] += [row("batch_norm", 0.7), row("dense", None)]
    figures = make_figures(CIFAR10, groups)
    assert set(figures) == FIGURES
    for name, x in (("accuracy_flops.png", 0.473), ("accuracy_parameters.png", 0.967754)):
        (axes,) = figures[name].axes
        assert sorted(text.get_text() for text in axes.texts) == ["Baseline", "Batch norm"]
        assert legend(figures[name]) == ["Baseline", "Improvements and their combinations"]
        assert "45,000 images of CIFAR-10" in figure_subtitle(figures[name])
        points = {line.get_label(): (*line.get_xdata(), *line.get_ydata()) for line in axes.lines}  # type: ignore[misc]
        assert points["Baseline"] == pytest.approx((x, 0.84))
        assert points["Batch norm"] == pytest.approx((x, 0.69))


@pytest.mark.whole
def test_cifar10_is_compared_with_the_statements_of_the_original_study(monkeypatch, tmp_path):
    runs = {name: row(name, 0.8).runs for name in MODELS}
    monkeypatch.setattr("experiments.architecture.run_all", lambda *_: runs)
    monkeypatch.setattr("experiments.architecture.network_cost", lambda *_: COST)
    monkeypatch.setattr("experiments.support.publish.describe_source", lambda *_: "")
    assert main(["--output", str(tmp_path)]) == 0
    cells = fabricated.cells(tmp_path / "cifar10" / "architecture")
    verdicts = {line[0]: line[2:4] for line in cells}
    claims = [claim for claim in STATEMENTS if claim.experiment == "architecture"]
    assert {claim.id for claim in claims} == {"channels", "three-layers", "four-layers", "pooling", "combinations"}
    assert all(claim.text in verdicts for claim in claims)
    alike = "validation: average pooling 0.8000, the same as baseline (0.8000)"
    assert verdicts[claims[3].text][0] == "holds"
    assert verdicts[claims[3].text][1].startswith(alike)
