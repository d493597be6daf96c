"""Settings of all tests."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator

import jax
import pytest
from hypothesis import settings

# Compilation makes a first example slow, and no test may depend on the machine's speed.
settings.register_profile("cnn3", deadline=None, derandomize=True)
settings.load_profile("cnn3")

# What one test's process has compiled, others take; nothing is left behind or taken from earlier.
COMPILED = tempfile.mkdtemp(prefix="cnn3-compiled-")
atexit.register(shutil.rmtree, COMPILED, ignore_errors=True)
os.environ["JAX_COMPILATION_CACHE_DIR"] = COMPILED  # of the processes that tests start
jax.config.update("jax_compilation_cache_dir", COMPILED)


@pytest.fixture(scope="module")
def quick_to_compile() -> Iterator[None]:
    """Leave most optimizations out, where compiling takes longest."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
