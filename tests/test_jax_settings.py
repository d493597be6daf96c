"""Settings of JAX that cnn3 cannot run with are named in one line, and a GPU that JAX does not see is told of."""

from pathlib import Path

import jax
import pytest

from cnn3 import ConfigError, fit, jax_settings, load
from cnn3.jax_settings import check_jax
from tests.helpers.processes import python
from tests.helpers.tiny import SMALL_RUN

IMPOSSIBLE = {
    "JAX_ENABLE_X64": ("1", "error: cnn3 needs JAX_ENABLE_X64=0, but it is 1; unset it\n"),
    "JAX_NUMPY_DTYPE_PROMOTION": (
        "strict",
        "error: cnn3 needs JAX_NUMPY_DTYPE_PROMOTION=standard, but it is strict; unset it\n",
    ),
    "JAX_THREEFRY_PARTITIONABLE": ("0", "error: cnn3 needs JAX_THREEFRY_PARTITIONABLE=1, but it is 0; unset it\n"),
    "JAX_PLATFORMS": ("cuda", "error: JAX finds no device for JAX_PLATFORMS=cuda"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_a_setting_that_cannot_be_is_named_before_anything_is_done(name: str, tmp_path: Path) -> None:
    value, said = IMPOSSIBLE[name]
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
    done = python(*command, env={name: value})
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "r").exists()


def test_the_library_refuses_it_too() -> None:
    with jax.enable_x64(True), pytest.raises(ConfigError, match="JAX_ENABLE_X64"):
        fit(SMALL_RUN, load("digits", limit=SMALL_RUN.limit))


def test_another_default_generator_changes_no_random_number() -> None:
    """`rbg` draws other numbers than threefry does; a run names its generator, so it does not meet the default."""
    script = (
        "import jax, numpy as np; from cnn3 import ModelConfig\n"
        "from cnn3.training.state import init_weights, random_key\n"
        "weights = init_weights(ModelConfig(channels=(2, 2, 2), hidden=(128,)), 3136)\n"
        "print(float(np.sum(np.abs(weights.params['fc1']['kernel']))), jax.random.bits(random_key(7)))\n"
        "print(jax.random.bits(jax.random.key(7)))\n"
    )
    usual, other = (python("-c", script, env={"JAX_DEFAULT_PRNG_IMPL": name}) for name in ("threefry2x32", "rbg"))
    assert usual.returncode == other.returncode == 0, other.stderr
    ours, default = usual.stdout.splitlines(), other.stdout.splitlines()
    assert ours[0] == default[0]
    assert ours[1] != default[1]  # the default did change


@pytest.mark.parametrize(("platforms", "there", "told"), [("", True, 1), ("", False, 0), ("cpu", True, 0)])
def test_a_gpu_that_jax_does_not_see_is_told_of_once(
    platforms: str,
    there: bool,
    told: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    driver = tmp_path / "version"
    if there:
        driver.touch()
    monkeypatch.setattr(jax_settings, "NVIDIA_PATHS", (driver,))
    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    jax_settings._warn_of_unseen_gpu.cache_clear()
    check_jax()
    check_jax()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == told
    assert all("cnn3[cuda13]" in line for line in lines)
