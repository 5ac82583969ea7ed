"""Compiling fast: what is compiled so, and what XLA must know for it."""

import jax
import jax.numpy as jnp
import pytest

from initlab import compilation

pytestmark = pytest.mark.quick


@pytest.fixture
def options(monkeypatch):
    """Sets FAST_COMPILE_OPTIONS to what is given."""

    def use(given):
        monkeypatch.setattr(compilation, "FAST_COMPILE_OPTIONS", given)
        compilation.fast_compile_options.cache_clear()

    yield use
    compilation.fast_compile_options.cache_clear()


def _double(width=3):
    return jax.jit(lambda x: 2 * x @ x).lower(jnp.ones((width, width)))


def test_an_option_that_xla_does_not_know_is_left_out(options):
    options({"xla_cpu_of_another_version": True, "xla_backend_optimization_level": 0})
    assert compilation.fast_compile_options() == {"xla_backend_optimization_level": 0}
    assert compilation.compile_fast(_double())(jnp.ones((3, 3))).tolist() == [[6.0] * 3] * 3


def test_a_value_that_xla_does_not_take_is_an_error(options):
    options({"xla_backend_optimization_level": "zero"})
    with pytest.raises(jax.errors.JaxRuntimeError, match="xla_backend_optimization_level"):
        compilation.compile_fast(_double())


@pytest.mark.parametrize(("width", "is_fast"), [(3, True), (1000, False)])
def test_what_is_large_is_optimized(width, is_fast, monkeypatch):
    fast = []
    monkeypatch.setattr(compilation, "compile_fast", fast.append)
    jax.config.update("jax_disable_most_optimizations", False)
    try:
        compilation.compile_to_run_once(_double(width))
    finally:
        jax.config.update("jax_disable_most_optimizations", True)
    assert len(fast) == is_fast
    # Where nothing is optimized, nothing need be counted.
    compilation.compile_to_run_once(_double(width))
    assert len(fast) == is_fast + 1


def test_a_file_compiles_fast_unless_it_is_marked():
    """A public setting, which a version of JAX could drop: tests would only take longer."""
    assert jax.config.values["jax_disable_most_optimizations"]
