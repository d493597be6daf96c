"""How the numbers of several runs are formatted."""

import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn3 import PROTOCOLS, RunConfig
from experiments.support.options import Options
from experiments.support.reported import IMPROVEMENTS, Accuracy, Reported
from experiments.support.tables import (
    Row,
    Table,
    drop_empty_columns,
    format_count,
    format_mean_std,
    format_metric,
    reported_for,
    results_table,
    stop_reasons,
    table_notes,
)
from tests.helpers import fabricated


@given(st.lists(st.floats(0, 1), min_size=2))
def test_mean_and_sample_standard_deviation_are_formatted(values):
    mean, std = format_mean_std(values).split(" ± ")
    assert float(mean) == pytest.approx(statistics.mean(values), abs=6e-5)
    assert float(std) == pytest.approx(statistics.stdev(values), abs=6e-5)


def test_missing_values_are_counted():
    assert format_mean_std([0.5]) == "0.5000"
    assert format_mean_std([0.5, None]) == "0.5000 (1 of 2)"
    assert format_mean_std([0.25, 0.75, None], 1) == "0.5 ± 0.4 (2 of 3)"
    assert format_mean_std([None]) == format_mean_std([None, None]) == format_mean_std([]) == "-"


def test_a_single_count_has_no_fraction():
    assert format_count([117]) == "117"
    assert format_count([117, 120]) == "118.5 ± 2.1"
    assert format_count([None]) == "-"


def test_stop_reasons_are_named_once_or_counted():
    config = RunConfig(epochs=12)
    full = fabricated.run(config, [0.1 + i / 100 for i in range(12)])
    patient = fabricated.run(config, [0.5, *[0.4] * 10])
    assert stop_reasons([full]) == stop_reasons([full, full]) == "all epochs done"
    assert stop_reasons([patient, full, patient]) == "no rise for 10 epochs (2 of 3); all epochs done (1 of 3)"
    assert stop_reasons([fabricated.run(config, [])]) == "diverged at epoch 1, training step 2"


def test_runs_that_diverged_in_their_first_epoch_are_left_out():
    runs = [fabricated.run(RunConfig(), [0.2, 0.6, 0.4]), fabricated.run(RunConfig(), [])]
    assert format_metric(runs, "validation", "accuracy") == "0.6000 (1 of 2)"
    assert format_metric(runs[1:], "test", "loss") == "-"


def test_a_loss_that_is_not_printed_is_a_dash():
    row = Row("a", [fabricated.run(RunConfig(), [0.6])], Reported("figure 15", 64, validation=Accuracy(0.8346)))
    lines = {line[1]: line[2:] for line in results_table([row], "setting").rows}
    assert lines["validation"] == ["0.8346", "0.8440", "0.6000", "-24.40", "-", "0.4000"]
    assert lines["test"] == ["-", "-", "0.5900", "-", "-", "0.4100"]


def test_runs_that_divide_as_the_original_program_are_compared_with_the_printed_number():
    config = RunConfig(protocol=PROTOCOLS["published"])
    row = Row("baseline", [fabricated.run(config, [0.8])], IMPROVEMENTS["baseline"])
    assert results_table([row], "variant").rows[1][2:6] == ["0.8014", "0.8206", "0.8000", "-0.14"]


def test_original_numbers_are_used_on_their_own_data_set_only():
    digits = Options(dataset="digits")
    assert reported_for(Options(), IMPROVEMENTS) == IMPROVEMENTS
    assert reported_for(digits, IMPROVEMENTS) == {}
    assert "0.8014 of 5,120 is 0.8206 of 5,000" in table_notes(Options(), "One.")[1]
    assert table_notes(Options(), "One.", "Two.")[2:] == ["One.", "Two."]
    assert table_notes(replace(digits, seeds=2), "One.")[1:] == ["± is the standard deviation over the seeds."]


def test_empty_columns_are_dropped():
    table = Table(["a", "b", "c", "d"], [["x", "-", "1", ""], ["y", "-", "-", "-"]], 2, cards=True)
    assert drop_empty_columns(table) == Table(["a", "c"], [["x", "1"], ["y", "-"]], 1, cards=True)
