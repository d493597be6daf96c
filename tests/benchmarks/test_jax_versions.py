"""The table of speeds by version of JAX."""

from benchmarks.jax_versions import table
from benchmarks.job import VARIANT_NAMES
from cnn3 import VARIANTS


def test_ratios_are_to_the_first_version():
    old = {"compile": 4.0, "train": 1000.0, "evaluate": 3000.0}
    new = {"compile": 8.04, "train": 500.0, "evaluate": 3300.0}
    assert table("dense", {"jax 1": old, "jax 2": new}) == [
        "| dense | jax 1 | 4.0 | 1000 | 1.00 | 3000 | 1.00 |",
        "| dense | jax 2 | 8.0 | 500 | 0.50 | 3300 | 1.10 |",
    ]


def test_the_options_know_all_variants() -> None:
    assert tuple(VARIANTS) == VARIANT_NAMES
