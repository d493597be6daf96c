"""Compiled programs kept on disk, so that only the first run on a machine waits for the compiler."""

import jax
from platformdirs import user_cache_path

MOST_BYTES = 2**30  # of the folder; what was used least recently goes first
WORTHWHILE = 0.1  # seconds; a program quicker to compile is not kept


def cache_compilations() -> None:
    """Keep what is compiled from now on in the user's cache folder, and take it from there.

    JAX's own settings go first: `JAX_COMPILATION_CACHE_DIR` names another folder, and
    `JAX_ENABLE_COMPILATION_CACHE=false` turns the cache off.
    """
    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(user_cache_path("cnn3") / "compiled"))
        jax.config.update("jax_compilation_cache_max_size", MOST_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", WORTHWHILE)
