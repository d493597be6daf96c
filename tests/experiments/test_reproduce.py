"""The report on all experiments: its content, and that it is self-contained. Its runs are fabricated."""

import html as escaping
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from PIL import Image

from cnn3 import Dataset, RunConfig, load
from cnn3.data.dataset import CIFAR10_CLASSES
from experiments import differences, reproduce, setup
from experiments.reproduce import EXPERIMENTS, TITLES, Reproduction, main
from experiments.support import cost, publish, reported, runner
from experiments.support.options import Options
from experiments.support.report import Report
from experiments.support.run import Run
from experiments.support.stated_claims import STATEMENTS
from experiments.support.tables import Row, results_table, runs_table
from experiments.support.verdicts import UNJUDGED, judge_experiment
from tests.helpers import fabricated

# What the original study prints, copied by hand, by figure or section; with four digits, as in our tables.
PRINTED = {
    "figure 3": "0.6400 0.5361 0.5325 0.7750 0.8014 0.8138",
    "figure 6": "0.5311 0.4859 0.4933 0.8118 0.8142 0.8263",
    "figure 9": "0.6728 0.5688 0.5480 0.7660 0.7935 0.8125",
    "figure 12": "0.8047 0.6944 0.6981 0.7124 0.7437 0.7549",
    "figure 15": "0.6519 0.6871 0.7131 0.8160 0.8142 0.8207 0.8346 0.8226 0.8173",
    "section 1": "60k 6k 5k 1k 10% 45k 10k",
    "section 2": "1024 512 128 10",
    "section 3": "0.001 0.0003",
    "section 5": "0.01 0.001 0.0001 64 128 256 0.8339 0.4666",
    "section 6": "0.63 150 0.8 120 0.9",
    "section 8": "0.8148 1% 0.8339 117",
}


def fake_cifar10(name: str, *args, **kwargs) -> Dataset:
    """Return digits under the name of CIFAR-10."""
    digits = load("digits", **{"seed": kwargs.get("seed", 3136), "limit": kwargs.get("limit")})
    return Dataset(name, CIFAR10_CLASSES, digits.train, digits.validation, digits.test)


def fake_tuned(options: Options) -> Report:
    """Return the report of the tuned run without its predictions, since there are no weights."""
    runs = runner.run_all(options, "tuned", {"tuned": options.tuned()})["tuned"]
    original = reported.TUNED if options.dataset == "cifar10" else None
    rows = [Row("tuned", runs, original)]
    verdicts = judge_experiment(options, "tuned", rows)
    return Report("tuned", "The tuned run", rows, [], {"Results": results_table(rows, "run")}, {}, verdicts)


def fake_latent(options: Options) -> Report:
    """Return the report of the latent space with fabricated scores, since there are no weights."""
    runs = runner.run_all(options, "latent", {"tuned": options.tuned()})["tuned"]
    seeds = [{"epochs": 1, "neighbours": 0.25, "probe": 0.375, "silhouette": -0.125} for _ in runs]
    stages = [
        {"stage": "initial", "seeds": seeds},
        {"stage": "best", "seeds": [seed | {"probe": 0.75} for seed in seeds]},
    ]
    rows = [Row("tuned", runs, None, {"latent": stages})]
    verdicts = judge_experiment(options, "latent", rows)
    return Report("latent", "The latent space", rows, [], {"Runs": runs_table(rows, "run")}, {}, verdicts)


def read_all_but(*texts: str):
    """Return a fake of `runner._read`: all runs have finished except those with a text in the folder's name."""

    def read(options: Options, folder: Path, config: RunConfig) -> Run | None:
        if any(text in folder.name for text in texts):
            return None
        return fabricated.run(config, fabricated.learning_curve(config))

    return read


@contextmanager
def fabricated_results() -> Iterator[None]:
    """Fabricate all results, on digits under the name of CIFAR-10."""
    fakes = {"tuned": fake_tuned, "latent": fake_latent}
    experiments = [e._replace(work=fakes.get(e.name, e.work)) for e in EXPERIMENTS]
    with ExitStack() as stack:
        for module in (runner, differences, setup):
            stack.enter_context(patch.object(module, "load", fake_cifar10))
        stack.enter_context(patch.object(runner, "fit", fabricated.fit))
        for module in (differences, publish):
            stack.enter_context(
                patch.object(module, "describe_source", lambda *_: "Its images passed through JPEG once.")
            )
        stack.enter_context(patch.object(cost, "training_flops", lambda config: 1e9))  # it takes seconds
        stack.enter_context(patch.object(reproduce, "EXPERIMENTS", tuple(experiments)))
        yield


pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    with fabricated_results():
        assert main(["--output", str(folder), "--epochs", "4", "--seeds", "3", "--sweep-epochs", "2"]) == 0
    return folder / "cifar10"


@pytest.fixture(scope="module")
def page(output) -> str:
    return (output / "reproduce" / "report.html").read_text()


@pytest.fixture(scope="module")
def text(page) -> str:
    """Return the visible text of the page."""
    body = re.sub(r"data:[^\"]*", "", page[page.index("<body>") :])
    return " ".join(escaping.unescape(re.sub(r"<[^>]*>", " ", body)).split())


@pytest.mark.parametrize("place", PRINTED)
def test_the_page_has_every_number_that_the_original_study_prints(place, text):
    for number in PRINTED[place].split():
        assert re.search(rf"(?<![\d.]){re.escape(number)}(?![\d])", text), number


def table_rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the table with a caption."""
    table = page[page.index(f"<caption>{heading}</caption>") :]
    table = table[table.index("<tbody>") : table.index("</tbody>")].replace("\n", "")
    cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in table.split("<tr>")[1:]]
    return [[escaping.unescape(cell) for cell in row] for row in cells]


def test_every_printed_number_is_listed_with_its_place(page):
    lines = table_rows(page, "The verdict on each printed number")
    places = {(line[-1], line[1]) for line in lines}
    for figure in ("figure 3", "figure 9", "figure 12"):
        assert {number for place, number in places if place == figure} == set(PRINTED[figure].split())
    batch_norm = {number for place, number in places if place in ("figure 6", "figures 6 and 15")}
    assert batch_norm == set(PRINTED["figure 6"].split())
    assert {number for place, number in places if "15" in place} == set(PRINTED["figure 15"].split())
    assert {number for place, number in places if place == "sections 5 and 8"} == {"0.8339"}
    assert {number for place, number in places if place == "section 8"} == {"0.8148"}


def test_every_claim_and_setting_is_listed_and_short_runs_are_not_judged(page, text):
    statements = table_rows(page, "The verdict on each statement")
    assert {line[0] for line in statements} == {claim.text for claim in STATEMENTS}
    assert {line[2] for line in statements} == {UNJUDGED}
    assert text.startswith(TITLES["cifar10"])
    assert "None of the original study's 66 claims can be judged here" in text[:300]
    for setting in reported.REPORTED_SETTINGS.values():
        assert f"{setting.what} {setting.section} {setting.printed} " in text


def test_every_figure_of_the_original_study_has_its_counterpart(text):
    faked = {24, 25, 26}  # maps, for which there are no weights
    captions = re.findall(r"\(figures? ([\d, ]+) of the original study\)", text)
    assert {int(number) for caption in captions for number in caption.split(", ")} == set(range(1, 27)) - faked
    assert set(reported.FIGURES) == set(range(1, 27))


def test_the_original_study_has_one_name(text):
    assert "the report's" not in text
    assert text.count("Harun") == 1


def test_no_paragraph_is_repeated(page):
    paragraphs = re.findall(r"<p[^>]*>(.*?)</p>", page)
    assert [text for text in set(paragraphs) if paragraphs.count(text) > 1 and "runs. Device" not in text] == []


def test_tables_have_captions_and_scopes_and_sections_link_to_the_contents(page):
    assert page.count("<caption") == page.count("<table")
    assert page.count("<th ") == page.count("<th scope=")
    assert page.count('href="#contents"') == page.count("<section") - 1 == 10


def test_the_page_needs_no_other_file_and_has_all_pictures(page, output):
    assert re.findall(r"(?:src|href)=\"(?!data:|#)", page) == []
    assert "url(" not in page
    shown = page.count("<img ")
    pictures = [path for path in output.glob("*/*.png") if path.parent.name != "runs"]
    assert shown == len(pictures) == 2 + 5 + 2 + 5 + 6 + 1 + 1  # none of the tuned run and the latent space


def test_the_page_has_settings_versions_and_time(text):
    assert "at most 4 epochs; 3 seeds (3136 to 3138); protocol corrected. Its images passed through JPEG once." in text
    assert (
        "The sweeps (hyperparameters, optimizers, architecture, audit): Data set cifar10, all training images; " in text
    )
    assert "at most 2 epochs; 3 seeds" in text
    for name in ("jaxlib", "processor", "memory", "time of all epochs"):
        assert name in text
    # 4 + 9 + 5 + 13 + 1 + 6 rows and two short runs; the sweeps share the tuned run (twice) and the default batch norm
    # run (once).
    assert re.search(r" runs (\d+) ", text).group(1) == str(3 * (4 + 1 + 9 + 5 + 13 + 6 + 2 - 3))  # type: ignore[union-attr]


def test_the_markdown_has_the_same_numbers_and_pictures(output):
    path = output / "reproduce" / "report.md"
    text = path.read_text()
    for number in " ".join(PRINTED[f"figure {n}"] for n in (3, 6, 9, 12, 15)).split():
        assert f"| {number} |" in text
    links = re.findall(r"!\[[^]]+]\(([^)]+)\)", text)
    assert len(links) == 22
    for link in links:
        with Image.open(path.parent / link) as image:
            image.verify()


def test_repeating_the_command_writes_the_same_report(output, page, tmp_path):
    markdown = tmp_path / "deep" / "RESULTS.md"
    markdown.parent.mkdir()
    args = ["--output", str(output.parent), "--epochs", "4", "--seeds", "3", "--sweep-epochs", "2"]
    with fabricated_results():
        assert main([*args, "--markdown", str(markdown)]) == 0
    assert (output / "reproduce" / "report.html").read_text() == page
    (first_link, *_) = re.findall(r"!\[[^]]+]\(([^)]+)\)", markdown.read_text())
    assert (markdown.parent / first_link).exists()


def test_json_has_the_summary_of_each_experiment(output, tmp_path, capsys):
    options = ["--epochs", "4", "--seeds", "3", "--sweep-epochs", "2", "--output", str(tmp_path), "--json"]
    with fabricated_results():
        assert main(options) == 0
    written = [json.loads((output / experiment.name / "summary.json").read_text()) for experiment in EXPERIMENTS]
    assert json.loads(capsys.readouterr().out) == written


def test_only_the_sweeps_are_shortened(tmp_path):
    options = Reproduction(output=tmp_path, epochs=5, protocol="published", sweep_epochs=3, sweep_limit=15_000)
    for name in ("setup", "improvements", "tuned", "latent"):
        assert options.options_for(name) == Options(output=tmp_path, epochs=5, protocol="published")
    for name in ("hyperparameters", "optimizers", "architecture"):
        assert options.options_for(name) == Options(output=tmp_path, epochs=3, limit=15_000, protocol="published")
    assert options.options_for("audit") == Options(output=tmp_path, epochs=3, limit=15_000)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--limit", "255"], "limit must be at least 256, the largest batch, not 255"),
        (["--sweep-limit", "255"], "sweep-limit must be at least 256, the largest batch, not 255"),
        (["--sweep-epochs", "0"], "sweep-epochs must be at least 1, not 0"),
        (["--markdown", "missing/report.md"], "markdown: there is no folder missing; make it first"),
    ],
)
def test_what_the_sweeps_and_the_report_need_is_checked_before_the_first_run(args, message, tmp_path, capsys):
    assert main(["--output", str(tmp_path), *args]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"
    assert not list(tmp_path.iterdir())


def test_at_full_length_the_answer_comes_first(tmp_path):
    with fabricated_results():
        assert main(["--output", str(tmp_path)]) == 0
    folder = tmp_path / "cifar10" / "reproduce"
    page, text = (folder / "report.html").read_text(), (folder / "report.md").read_text()
    heading, answer = text.splitlines()[0], text.splitlines()[2]
    assert heading == f"# {TITLES['cifar10']}"
    counts = re.match(r"Of (\d+) claims, (\d+) holds?, (\d+) do(?:es)? not, and (\d+) (?:is|are) undecided\.", answer)
    assert counts is not None
    judged, *outcomes = map(int, counts.groups())
    statements, results = (table_rows(page, f"The verdict on each {kind}") for kind in ("statement", "printed number"))
    verdicts = [line[2] for line in statements] + [line[-2] for line in results]
    assert [verdicts.count(outcome) for outcome in ("holds", "does not hold", "undecided")] == outcomes
    assert sum(outcomes) == judged == 66
    assert text.index("## Verdicts by kind of claim") < text.index("## The verdict on each statement") < 4000
    assert "This rests on 30 runs with 1 seed" in text


def test_unfinished_runs_are_left_out_and_named(tmp_path):
    args = ["--output", str(tmp_path), "--epochs", "2", "--only-finished"]
    with fabricated_results(), patch.object(runner, "_read", read_all_but("average", "mixed")):
        assert main(args) == 0
    text = (tmp_path / "cifar10" / "reproduce" / "report.md").read_text()
    audit = text[text.index("## What the defects of the original program") :].splitlines()
    assert audit[2].startswith("There are no results here: 4 of 6 rows have no finished run: last norm thrown away;")
    assert "There are no results here: 1 of 13 rows have no finished run: average pooling." in text
    assert not (tmp_path / "cifar10" / "audit" / "table.md").exists()


def test_digits_are_not_compared_with_the_original_study(tmp_path):
    with fabricated_results():
        assert main(["--dataset", "digits", "--output", str(tmp_path), "--epochs", "2"]) == 0
    text = (tmp_path / "digits" / "reproduce" / "report.md").read_text()
    assert text.startswith("# Three convolutions on digits\n")
    assert "nothing on digits is compared with it" in text
    tables = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    assert "original study" not in tables
    assert "comparable" not in tables
    for number in PRINTED["figure 15"].split():
        assert number not in tables
    assert "of the original study)" not in text
