"""The audit of the original program's defects: what is run, and the arithmetic of differences."""

import json

import pytest

from cnn3 import PROTOCOLS, Protocol
from experiments.audit import ALL, DEFECTS, NONE, differences, main
from experiments.support.options import Options
from tests.helpers import fabricated


def test_every_defect_is_tried_alone_and_all_together():
    """Four of five: latents in training mode affect no loss or accuracy."""
    single = [protocol for name, protocol in DEFECTS.items() if name not in (NONE, ALL)]
    flags = [tuple(vars(protocol).values()) for protocol in single]
    assert sorted(flags, reverse=True) == [tuple(i == j for j in range(5)) for i in range(4)]
    assert (DEFECTS[NONE], DEFECTS[ALL]) == (PROTOCOLS["corrected"], PROTOCOLS["published"])


def test_differences_pair_the_seeds():
    tuned = Options(dataset="digits").tuned
    reference = [fabricated.run(tuned(seed=seed), [0.5, best]) for seed, best in enumerate((0.6, 0.8))]
    defect = [
        fabricated.run(tuned(protocol=Protocol(True), seed=seed), [0.5, best]) for seed, best in enumerate((0.7, 0.75))
    ]
    assert differences(defect, reference, "validation", "accuracy") == pytest.approx([10, -5])  # points
    assert differences(defect, reference, "test", "loss") == pytest.approx([-0.1, 0.05])
    diverged = fabricated.run(tuned(), [])
    assert differences([diverged, defect[1]], reference, "test", "loss") == [None, pytest.approx(0.05)]
    assert differences(defect[1:], reference, "test", "loss") == [pytest.approx(0.05)]
    assert differences(defect, reference[:1], "test", "loss") == [pytest.approx(-0.1), None]


def test_the_table_holds_the_differences_of_the_summary(tmp_path):
    folder = fabricated.experiment(main, tmp_path, "--seeds", "2", "--epochs", "4")
    summary = json.loads((folder / "summary.json").read_text())
    test = {row["name"]: [seed["test"]["accuracy"] for seed in row["seeds"]] for row in summary["rows"]}
    table = {line[0]: line for line in fabricated.cells(folder)[2:7]}
    assert set(table) == set(DEFECTS) - {NONE}
    for name, line in table.items():
        changes = [100 * (a - b) for a, b in zip(test[name], test[NONE], strict=True)]
        assert float(line[3].split(" ")[0]) == pytest.approx(sum(changes) / 2, abs=0.006)
    assert {path.name for path in folder.glob("*.png")} == {"differences.png"}


def test_a_protocol_is_refused(tmp_path, capsys):
    assert main(["--dataset", "digits", "--protocol", "published", "--output", str(tmp_path)]) == 2
    assert "leave --protocol out" in capsys.readouterr().err
