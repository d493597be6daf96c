"""Settings of all tests."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from types import ModuleType

# Processes share the cores: in each, one thread of OpenMP's (PyTorch, scikit-learn) has no others to wait for.
os.environ["OMP_NUM_THREADS"] = "1"

import jax
import pytest
from hypothesis import settings
from jax._src.lru_cache import LRUCache
from jaxtyping import install_import_hook

# Shapes and types are checked in all of cnn3's folders. Its configurations check themselves. An int is a float.
FOLDERS = (
    "analysis",
    "compare",
    "data",
    "evaluate",
    "join",
    "nn",
    "plots",
    "predict",
    "runs",
    "train",
    "training",
    "weights",
)
CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
install_import_hook([f"cnn3.{folder}" for folder in FOLDERS], CHECKER)

from cnn3.data import digits  # noqa: E402
from tests.helpers.compiling import quickly_compiled  # noqa: E402

if jax.__version_info__ < (0, 11, 1):
    # As cnn3 has its own programs compiled (`COMPILER_OPTIONS`): the tests' own take half as long so.
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false"

# Compilation makes a first example slow, and no test may depend on the machine's speed.
settings.register_profile("cnn3", deadline=None, derandomize=True)
settings.load_profile("cnn3")

# What one process of a session has compiled, all others take: the workers, and those that tests start. Nothing is left
# behind or taken from earlier. A bound makes them lock the folder, so that none reads what another is still writing.
WORKER = "PYTEST_XDIST_WORKER" in os.environ
COMPILED = os.environ["JAX_COMPILATION_CACHE_DIR"] if WORKER else tempfile.mkdtemp(prefix="cnn3-compiled-")
if not WORKER:
    atexit.register(shutil.rmtree, COMPILED, ignore_errors=True)
CACHE = {
    "jax_compilation_cache_dir": COMPILED,
    "jax_compilation_cache_max_size": 2**31,
    "jax_persistent_cache_min_compile_time_secs": 0.1,
}
for name, value in CACHE.items():
    os.environ[name.upper()] = str(value)  # of the processes that workers and tests start
    jax.config.update(name, value)


# Within the bound all is kept, so the cache need not be searched for the oldest programs before each new one.
LRUCache._evict_if_needed = lambda *_, **__: None

digits.read = cache(digits.read)  # many tests read them, and enlarging them takes a while


@pytest.fixture(scope="module")
def quick_to_compile() -> Iterator[None]:
    """Leave most optimizations out, where compiling takes longest."""
    with quickly_compiled():
        yield


@pytest.fixture
def torch() -> ModuleType:
    """Return PyTorch, the judge of much here, where it is installed."""
    return pytest.importorskip("torch", reason="the judge is PyTorch: pip install -e '.[parity]'")
