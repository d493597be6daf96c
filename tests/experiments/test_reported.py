"""The original study's numbers: they agree with each other, and their conversion is exact."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn3 import VARIANTS
from cnn3.training.metrics import Metrics
from experiments.support import reported
from experiments.support.reported import comparable, correct_counts, divisor, rescale


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


def test_the_baseline_is_printed_twice_with_different_numbers():
    baseline = reported.IMPROVEMENTS["baseline"].test
    assert baseline is not None
    assert reported.BASELINE_TEST_ACCURACY["figure 3"] == baseline.accuracy
    assert len(set(reported.BASELINE_TEST_ACCURACY.values())) == 2


def test_json_has_null_for_numbers_that_are_not_printed():
    assert reported.TUNED.to_json() == {
        "source": "section 5 and figure 15",
        "train": None,
        "validation": {"loss": None, "accuracy": 0.8346, "comparable_accuracy": (0.844, 0.844)},
        "test": {"loss": 0.4666, "accuracy": 0.8339, "comparable_accuracy": (0.8379, 0.8380)},
    }


@pytest.mark.parametrize(
    ("split", "size", "expected"),
    [
        ("validation", 64, 79 * 64),
        ("validation", 128, 40 * 128),
        ("validation", 256, 20 * 256),
        ("train", 64, 704 * 64),
        ("train", 128, 352 * 128),
        ("test", 128, 157 * 64),  # the test program has its own batch size
    ],
)
def test_the_divisor_counts_the_last_batch_as_full(split, size, expected):
    assert divisor(split, size) == expected


def test_each_validation_accuracy_fits_exactly_one_count_of_images():
    cells = {(size, printed) for (_, size), printed in reported.HYPERPARAMETERS.items()}
    variants = [variant.validation for variant in reported.IMPROVEMENTS.values()]
    cells |= {(128, metrics.accuracy) for metrics in variants if metrics is not None}
    assert {len(correct_counts(printed, "validation", size)) for size, printed in cells} == {1}
    assert list(correct_counts(0.8014, "validation", 128)) == [4103]  # rounded
    assert list(correct_counts(0.8142, "validation", 128)) == [4169]  # truncated
    odd = [printed for _, printed in cells if round(10_000 * printed) % 2]
    assert len(odd) > 3  # impossible for counts of 5,000 images, so the divisor was another


def test_comparable_numbers_are_exact():
    assert comparable(0.8014, "validation", 128) == (0.8206, 0.8206)
    assert str(comparable(0.8339, "test", 64)) == "0.8379 to 0.8380"
    assert comparable(0.8339, "test", 64).middle == pytest.approx(0.83795)
    assert str(comparable(0.8263, "test", 128)) == "0.8303"
    assert rescale(0.63, "validation", 64) == pytest.approx(0.63 * 5056 / 5000)


@given(st.integers(1, 5000), st.sampled_from([64, 128, 256]), st.booleans())
def test_the_comparable_range_contains_the_true_accuracy(correct, size, rounds):
    accuracy = correct / divisor("validation", size)
    printed = round(accuracy, 4) if rounds else int(accuracy * 10_000) / 10_000
    low, high = comparable(printed, "validation", size)
    assert low <= correct / 5000 <= high
