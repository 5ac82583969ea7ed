"""Fixtures that several test files share."""

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache as cache


@pytest.fixture(scope="session")
def compilation_cache(tmp_path_factory):
    """Programs that several tests compile are compiled once; the bits are the same."""
    threshold = jax.config.values["jax_persistent_cache_min_compile_time_secs"]
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("programs")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    yield
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", threshold)
    cache.reset_cache()
