"""Sentences on the machines and versions of runs."""

from experiments.support.machines import describe_devices, describe_machines

OLD = {"cnn3": "0.4.0", "jax": "0.11.2", "jaxlib": "0.11.2"}
GPU = OLD | {"device": "NVIDIA H100 80GB HBM3", "platform": "gpu"}


def test_one_machine_is_named_once():
    assert describe_machines([GPU, GPU]) == (
        "2 runs. Device: NVIDIA H100 80GB HBM3. Versions: cnn3 0.4.0, jax 0.11.2, jaxlib 0.11.2."
    )


def test_different_machines_are_counted():
    assert describe_devices([GPU, OLD, GPU]) == "NVIDIA H100 80GB HBM3 (2 runs) and not recorded (1 run)"
    assert describe_devices([{"platform": "cpu"}]) == "cpu"


def test_missing_records_are_mentioned():
    assert describe_machines([{}]) == "1 run. Device: not recorded. Versions: not recorded."
    assert describe_machines([{"jax": "0.10.1"}]) == "1 run. Device: not recorded. Versions: jax 0.10.1."
