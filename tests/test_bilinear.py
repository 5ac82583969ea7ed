"""Bilinear operations: each derivative and batch is that of the product written plainly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab.bilinear import define_bilinear
from initlab.networks.dense import LANES, _sum_examples_on_cuda, sum_over_examples


def _plain(left, right):
    return jnp.einsum("...ij,...jk->...ik", left, right)


# Each operation's gradients are operations themselves, so that any order exists.
_taught = define_bilinear(
    "matrix_product",
    _plain,
    lambda cotangent, right: _taught(cotangent, jnp.swapaxes(right, -2, -1)),
    lambda cotangent, left: _taught(jnp.swapaxes(left, -2, -1), cotangent),
)


def _function(product):
    return lambda left, right: jnp.sum(jnp.sin(product(jnp.tanh(left), right)) ** 2)


def _second(function):
    def size(left, right):
        return sum(jnp.sum(each**2) for each in jax.grad(function, (0, 1))(left, right))

    return jax.grad(size, (0, 1))


TRANSFORMS = {
    "value": lambda function: function,
    "reverse": lambda function: jax.grad(function, (0, 1)),
    "forward": lambda function: jax.jacfwd(function, (0, 1)),
    "forward over reverse": lambda function: jax.jacfwd(jax.grad(function), 1),
    "reverse over forward": lambda function: jax.grad(
        lambda *at: sum(jnp.sum(each**2) for each in jax.jacfwd(function, (0, 1))(*at)), 1
    ),
    "reverse over reverse": _second,
    "under jit": lambda function: jax.jit(jax.grad(function)),
}
BATCHES = {
    "alone": (None, ((3, 2), (2, 4))),
    "both": ((0, 0), ((5, 3, 2), (5, 2, 4))),
    "shared": ((0, None), ((5, 3, 2), (2, 4))),
    "elsewhere": ((2, 1), ((3, 2, 5), (2, 5, 4))),
}


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_every_transform_is_that_of_the_plain_product(transform, batch):
    axes, shapes = BATCHES[batch]
    generator = np.random.default_rng(0)
    at = [generator.standard_normal(shape).astype(np.float32) for shape in shapes]
    got, wanted = (TRANSFORMS[transform](_function(product)) for product in (_taught, _plain))
    if axes is not None:
        got, wanted = jax.vmap(got, axes), jax.vmap(wanted, axes)
    # One program: operation by operation each would compile dozens.
    both = jax.jit(lambda *at: (got(*at), wanted(*at)))(*at)
    jax.tree.map(lambda *each: np.testing.assert_allclose(*each, rtol=1e-4, atol=1e-4), *both)


def test_without_jit_it_is_the_plain_product_too():
    left, right = jnp.ones((3, 2)), jnp.arange(8.0).reshape(2, 4)
    np.testing.assert_array_equal(_taught(left, right), left @ right)
    slopes = jax.grad(lambda *at: jnp.sum(_taught(*at)), (0, 1))(left, right)
    np.testing.assert_array_equal(slopes[0], np.broadcast_to(np.asarray(right).sum(1), (3, 2)))
    np.testing.assert_array_equal(slopes[1], np.full((2, 4), 3.0))


@pytest.mark.quick
def test_runs_that_share_a_factor_have_a_product_each():
    left = jax.ShapeDtypeStruct((5, 3, 2), np.float32)
    right = jax.ShapeDtypeStruct((2, 4), np.float32)
    program = jax.make_jaxpr(jax.vmap(_taught, (0, None)))(left, right)
    product = next(line for line in program.eqns if line.primitive.name == "matrix_product")
    assert [factor.aval.shape for factor in product.invars] == [(5, 3, 2), (5, 2, 4)]


def test_cuda_programs_may_have_another_product():
    operation = define_bilinear(
        "by_device", jnp.multiply, jnp.multiply, jnp.multiply, cuda=lambda a, b: b * a + 0 * a
    )
    traced = jax.jit(operation).trace(2.0, 3.0)
    texts = {p: traced.lower(lowering_platforms=(p,)).as_text() for p in ("cpu", "cuda")}
    assert {p: text.count("stablehlo.multiply") for p, text in texts.items()} == {
        "cpu": 1,
        "cuda": 2,
    }


@pytest.mark.parametrize(("fan_in", "fan_out"), [(2, 2), (20, 3), (2, 20)])
def test_few_units_are_one_reduction_on_cuda(fan_in, fan_out):
    rng = np.random.default_rng(4)
    h, dz = (rng.standard_normal((3, n, LANES)).astype(np.float32) for n in (fan_in, fan_out))
    text = jax.jit(sum_over_examples).trace(h, dz).lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("stablehlo.reduce(") == 1
    assert "dot_general" not in text
    wanted = np.einsum("rib,rjb->rij", h, dz)
    found = _sum_examples_on_cuda(jnp.asarray(h), jnp.asarray(dz))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
