"""The cache of compiled programs: its folder, and that it can be moved and turned off."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from cnn3.config import RunConfig
from cnn3.kernels import default_block
from cnn3.runs.compilation import compile_epoch
from cnn3.training.state import make_train_spec
from tests.helpers.tiny import TINY

COMPILE = """
import jax, jax.numpy as jnp
from cnn3.runs.compilation import cache_compilations
cache_compilations()
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
hits = []
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event.endswith("compilation_cache/cache_hits")))
assert float(jax.jit(lambda x: jnp.sin(x) + 3)(0.0)) == 3.0
print(sum(hits))
"""


def compile_once(home: Path, **settings: str) -> int:
    """Compile a program in a new process, and return the number of programs read from the cache."""
    own = ("JAX_COMPILATION", "JAX_PERSISTENT")  # settings of these tests, which users do not have
    env = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    process = subprocess.run(
        [sys.executable, "-c", COMPILE],
        env=env | {"XDG_CACHE_HOME": str(home), "HOME": str(home)} | settings,
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stderr == ""  # XLA warns at length if it takes preferences of a CPU for missing features
    return int(process.stdout)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.usefixtures("quick_to_compile")
def test_a_program_is_compiled_anew_for_another_precision() -> None:
    def program() -> str:
        spec = make_train_spec(RunConfig(TINY, dataset="digits", batch_size=4), default_block())
        return compile_epoch(spec, 8).as_text() or ""

    before = program()
    with jax.default_matmul_precision("highest"):
        highest = program()
    assert program() == before
    assert "operand_precision={highest,highest}" in highest
    assert "operand_precision={highest,highest}" not in before


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no XDG_CACHE_HOME")
def test_leftovers_of_a_killed_process_do_not_block_the_cache(tmp_path: Path) -> None:
    folder = tmp_path / "cnn3" / "compiled"
    folder.mkdir(parents=True)
    (folder / "jit_killed-cache").write_bytes(b"a part")
    assert compile_once(tmp_path) == 0
    assert {path.name.rpartition("-")[2] for path in files(folder)} == {"cache", "atime", ".lockfile"}
    assert not (folder / "jit_killed-cache").exists()
    assert compile_once(tmp_path) >= 1


@pytest.mark.whole
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no XDG_CACHE_HOME")
def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    assert compile_once(tmp_path) == 0
    assert any(path.name.startswith("jit__lambda") for path in files(tmp_path / "cnn3" / "compiled"))
    assert compile_once(tmp_path) >= 1


@pytest.mark.whole
def test_jaxs_own_settings_have_priority(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    compile_once(home, JAX_ENABLE_COMPILATION_CACHE="false")
    compile_once(home, JAX_COMPILATION_CACHE_DIR=str(other))
    assert files(home) == []
    assert files(other) != []
