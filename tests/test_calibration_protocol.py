"""One protocol for all refiners: `(key, apply, params, batch, *, ...) -> params`, pure."""

import dataclasses
import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled_programs import counting
from thorough import rows

from initlab import calibration

PUBLIC = {name: getattr(calibration, name) for name in calibration.__all__ if name != "changes"}
# A law's factors are numbers: `to_theory` must know its batch, and is in test_calibration_theory.
REFINERS = {name: refine for name, refine in PUBLIC.items() if name != "to_theory"}
# Product by product, unit by unit, and by descent: in each of these all go one way.
ONE_OF_A_KIND = {"lsuv", "layerwise_whitening", "gradinit"}
KEY = jax.random.key(0)
X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)


def apply(params, x):
    h = jnp.tanh(x.astype(params["in"].dtype) @ params["in"] + params["bias"][None])
    return h @ params["out"]


def loss(outputs):
    return jnp.mean(jnp.square(outputs - 1))


def start(seed=1):
    stream = np.random.default_rng(seed)
    shapes = {"in": (3, 4), "bias": (4,), "out": (4, 2)}
    return {name: stream.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def refiner(name, apply=apply):
    """`(key, params, batch) -> params`; those that descend on a loss do so for two steps."""
    takes = inspect.signature(REFINERS[name]).parameters
    options = {"loss": loss, "steps": 2} if "loss" in takes else {}
    return lambda key, params, batch: REFINERS[name](key, apply, params, batch, **options)


@functools.cache
def refined(name):
    """The result of an eager call."""
    return jax.device_get(refiner(name)(KEY, start(), X))


@pytest.mark.parametrize("name", PUBLIC)
def test_a_refiner_has_the_arguments_of_every_other(name):
    given = list(inspect.signature(PUBLIC[name]).parameters.values())
    assert [each.name for each in given[:4]] == ["key", "apply", "params", "batch"]
    assert all(each.default is inspect.Parameter.empty for each in given[:4])
    assert all(each.kind is inspect.Parameter.KEYWORD_ONLY for each in given[4:])


@pytest.mark.parametrize("name", rows(REFINERS, ONE_OF_A_KIND))
def test_a_refiner_is_pure_and_keeps_the_tree_its_shapes_and_dtypes(name):
    params, batch = start(), X.copy()
    once, again = (jax.device_get(refiner(name)(KEY, params, batch)) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, (once, once), (again, refined(name)))
    jax.tree.map(np.testing.assert_array_equal, (params, batch), (start(), X))
    described = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), once)
    assert described == jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), params)
    assert any(np.any(once[leaf] != params[leaf]) for leaf in params)


@pytest.mark.parametrize(
    "dtype", [jnp.bfloat16, pytest.param(jnp.float16, marks=pytest.mark.thorough)]
)
@pytest.mark.parametrize("name", REFINERS)
def test_a_refiner_keeps_half_precision(name, dtype):
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), start())
    found = jax.eval_shape(refiner(name), KEY, params, X)
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype(dtype)}


@pytest.mark.parametrize("name", rows(REFINERS, ONE_OF_A_KIND))
def test_a_refiner_may_be_compiled_and_mapped_over_seeds(name):
    """Within a caller's program as alone: keys and params by seed, the batch shared."""
    starts = [start(), start(2)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts)
    keys = jnp.stack([KEY, jax.random.key(3)])
    mapped = jax.jit(jax.vmap(refiner(name), (0, 0, None)))(keys, stacked, X)
    for number, (key, params) in enumerate(zip(keys, starts, strict=True)):
        alone = refiner(name)(key, params, X)
        for leaf in params:
            np.testing.assert_allclose(mapped[leaf][number], alone[leaf], rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("name", rows(REFINERS, ONE_OF_A_KIND))
def test_a_refiner_is_compiled_once_for_a_program(name):
    held = {"scale": 1.0}

    def scaled(params, x):
        return apply(params, held["scale"] * x)

    refine = refiner(name, scaled)
    first = refine(KEY, start(), X)
    with counting() as again:
        second = refine(jax.random.key(1), start(2), X)
    assert again.programs == 0
    assert not np.array_equal(first["out"], second["out"])
    # What the function closes over may have changed since.
    held["scale"] = 3.0
    changed = refine(KEY, start(), X)
    expected = refiner(name, lambda params, x: apply(params, 3.0 * x))(KEY, start(), X)
    assert not np.array_equal(first["in"], changed["in"])
    np.testing.assert_array_equal(changed["in"], expected["in"])


def test_a_function_may_have_closed_over_a_number_that_is_swept():
    def refine(size):
        return refiner("lsuv", lambda params, x: apply(params, size * x))(KEY, start(), X)["in"]

    sizes = jnp.asarray([0.5, 2.0])
    for mapped, size in zip(jax.vmap(refine)(sizes), (0.5, 2.0), strict=True):
        np.testing.assert_allclose(mapped, refine(size), rtol=1e-5)


def test_a_function_without_a_hash_is_refined():
    @dataclasses.dataclass
    class Model:
        """It compares by fields, so that it has no hash."""

        def __call__(self, params, x):
            return apply(params, x)

    found = refiner("lsuv", Model())(KEY, start(), X)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(found), refined("lsuv"))
