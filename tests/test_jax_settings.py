"""Unsupported settings of JAX are one-line errors, and a GPU that JAX does not find causes a warning."""

from pathlib import Path

import jax
import pytest

from cnn3 import ConfigError, fit, jax_settings, load
from cnn3.jax_settings import check_jax
from tests.helpers.marks import whole_except
from tests.helpers.processes import python
from tests.helpers.tiny import SMALL_RUN

UNSUPPORTED = {
    "JAX_ENABLE_X64": ("1", "error: cnn3 needs JAX_ENABLE_X64=0, but it is 1; unset it\n"),
    "JAX_NUMPY_DTYPE_PROMOTION": (
        "strict",
        "error: cnn3 needs JAX_NUMPY_DTYPE_PROMOTION=standard, but it is strict; unset it\n",
    ),
    "JAX_THREEFRY_PARTITIONABLE": ("0", "error: cnn3 needs JAX_THREEFRY_PARTITIONABLE=1, but it is 0; unset it\n"),
    "JAX_PLATFORMS": ("cuda", "error: JAX finds no device for JAX_PLATFORMS=cuda"),
}


@pytest.mark.parametrize("name", whole_except(["JAX_ENABLE_X64"], UNSUPPORTED))
def test_an_unsupported_setting_is_an_error_before_any_work(name: str, tmp_path: Path) -> None:
    value, message = UNSUPPORTED[name]
    command = [
        "-m",
        "experiments.improvements",
        "--dataset",
        "digits",
        "--epochs",
        "1",
        "--output",
        str(tmp_path / "r"),
    ]
    process = python(*command, env={name: value})
    assert process.returncode == 2, process.stderr
    assert process.stderr.startswith(message)
    assert process.stderr.count("\n") == 1
    assert not (tmp_path / "r").exists()


def test_fit_refuses_an_unsupported_setting() -> None:
    with jax.enable_x64(True), pytest.raises(ConfigError, match="JAX_ENABLE_X64"):
        fit(SMALL_RUN, load("digits", limit=SMALL_RUN.limit))


def test_the_default_generator_does_not_matter() -> None:
    """`rbg` draws other numbers than threefry; a run names its generator, so the default has no effect."""
    script = (
        "import jax, numpy as np; from cnn3 import ModelConfig\n"
        "from cnn3.training.state import init_weights, random_key\n"
        "weights = init_weights(ModelConfig(channels=(2, 2, 2), hidden=(128,)), 3136)\n"
        "print(float(np.sum(np.abs(weights.params['fc1']['kernel']))), jax.random.bits(random_key(7)))\n"
        "print(jax.random.bits(jax.random.key(7)))\n"
    )
    threefry, rbg = (python("-c", script, env={"JAX_DEFAULT_PRNG_IMPL": name}) for name in ("threefry2x32", "rbg"))
    assert threefry.returncode == rbg.returncode == 0, rbg.stderr
    by_threefry, by_rbg = threefry.stdout.splitlines(), rbg.stdout.splitlines()
    assert by_threefry[0] == by_rbg[0]
    assert by_threefry[1] != by_rbg[1]  # the default did change


@pytest.mark.parametrize(("platforms", "has_driver", "warnings"), [("", True, 1), ("", False, 0), ("cpu", True, 0)])
def test_a_gpu_that_jax_does_not_find_causes_one_warning(
    platforms: str,
    has_driver: bool,
    warnings: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    driver = tmp_path / "version"
    if has_driver:
        driver.touch()
    monkeypatch.setattr(jax_settings, "NVIDIA_PATHS", (driver,))
    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    jax_settings._warn_of_unseen_gpu.cache_clear()
    check_jax()
    check_jax()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == warnings
    assert all("cnn3[cuda13]" in line for line in lines)
