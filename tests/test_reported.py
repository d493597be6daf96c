"""The report's numbers: they agree with each other where the report prints one twice."""

from cnn3 import OPTIMIZERS, VARIANTS
from cnn3.metrics import Metrics
from experiments import reported


def test_every_variant_has_its_figure_with_all_splits():
    assert list(reported.IMPROVEMENTS) == list(VARIANTS)
    assert [r.source for r in reported.IMPROVEMENTS.values()] == ["figure 3", "figure 6", "figure 9", "figure 12"]
    for numbers in reported.IMPROVEMENTS.values():
        for metrics in (numbers.train, numbers.validation, numbers.test):
            assert isinstance(metrics, Metrics)
            assert 0.7 < metrics.accuracy < 0.85
            assert 0.4 < metrics.loss < 0.9


def test_figure_15_agrees_with_figure_6_on_the_default_run():
    batch_norm = reported.IMPROVEMENTS["batch_norm"].validation
    assert batch_norm is not None
    assert reported.HYPERPARAMETERS[0.001, 128] == batch_norm.accuracy


def test_figure_15_is_highest_at_the_selected_hyperparameters():
    assert len(reported.HYPERPARAMETERS) == 9
    best = max(reported.HYPERPARAMETERS, key=reported.HYPERPARAMETERS.__getitem__)
    assert best == reported.TUNED_SETTING == (0.0001, 64)


def test_section_8_agrees_with_section_5_but_not_with_figure_3():
    assert reported.TUNED.test is not None
    assert f"{reported.TUNED.test.accuracy} test accuracy" in reported.CONCLUSIONS["tuned"].text
    baseline = reported.IMPROVEMENTS["baseline"].test
    assert baseline is not None
    assert reported.BASELINE_TEST_ACCURACY["figure 3"] == baseline.accuracy
    assert f"{reported.BASELINE_TEST_ACCURACY['section 8']} test accuracy" in reported.CONCLUSIONS["baseline"].text
    assert len(set(reported.BASELINE_TEST_ACCURACY.values())) == 2


def test_statements_are_of_known_optimizers():
    assert set(reported.OPTIMIZERS) < set(OPTIMIZERS)


def test_json_has_null_where_the_report_is_silent():
    assert reported.TUNED.to_json() == {
        "source": "section 5 and figure 15",
        "train": None,
        "validation": {"loss": None, "accuracy": 0.8346},
        "test": {"loss": 0.4666, "accuracy": 0.8339},
    }
