"""Convolutions as products: equal to JAX's wherever they stand, and alike for all channels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

import initlab
from initlab.initializers import by_role, he_normal
from initlab.networks.convolutions import convolutions_as_products
from initlab.programs.equations import all_equations
from initlab.programs.rewrite import rewrite

# lhs, rhs, strides, padding, then what differs from the operation's defaults.
IMAGES = ("NHWC", "HWIO", "NHWC")
CASES = {
    "one axis": ((3, 4, 7), (6, 4, 3), (2,), [(1, 2)], {}),
    "three axes": ((2, 3, 4, 5, 3), (4, 3, 2, 3, 2), (1, 2, 1), [(1, 1), (0, 1), (1, 0)], {}),
    "images, dilated": (
        *((3, 7, 6, 4), (3, 2, 4, 6), (2, 3), [(1, 1), (2, 1)]),
        {"rhs_dilation": (2, 1), "dimension_numbers": IMAGES},
    ),
    "transposed": (
        *((4, 3, 5, 4), (4, 3, 2, 6), (1, 1), [(2, 1), (2, 1)]),
        {"lhs_dilation": (2, 3), "dimension_numbers": ("CNHW", "IHWO", "HNWC")},
    ),
    "cut edges, groups": (
        *((3, 7, 6, 4), (3, 2, 2, 6), (1, 1), [(2, 1), (-1, 1)]),
        {"feature_group_count": 2, "dimension_numbers": IMAGES},
    ),
    "depthwise": (
        *((3, 7, 6, 4), (3, 3, 1, 8), (2, 1), [(1, 1), (1, 1)]),
        {"feature_group_count": 4, "dimension_numbers": IMAGES},
    ),
    "groups of the batch": (
        *((6, 5, 4, 2), (3, 2, 2, 6), (1, 1), [(1, 1), (0, 0)]),
        {"batch_group_count": 3, "dimension_numbers": IMAGES},
    ),
    "whole window, many channels": (
        *((17, 3, 4, 20), (3, 4, 20, 18), (1, 1), [(0, 0), (0, 0)]),
        {"dimension_numbers": IMAGES},
    ),
    "one position": ((5, 4, 3), (18, 4, 1), (1,), [(0, 0)], {}),
}


def _draw(shapes):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape) for shape in shapes]


def _value_and_gradients(convolve):
    def measured(lhs, rhs):
        out, pull = jax.vjp(convolve, lhs, rhs)
        weights = np.random.default_rng(1).standard_normal(out.shape)
        return out, pull(jnp.asarray(weights, out.dtype))

    return measured


def _count(function, *operands):
    """Convolutions of the program that is compiled here."""
    return jax.jit(function).lower(*operands).as_text().count("stablehlo.convolution")


COVERING = ("images, dilated", "transposed", "depthwise", "groups of the batch")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in COVERING else pytest.mark.thorough) for name in CASES],
)
def test_a_product_is_the_convolution_with_both_its_gradients(name):
    *shapes, strides, padding, rest = CASES[name]
    convolve = functools.partial(
        lax.conv_general_dilated, window_strides=strides, padding=padding, **rest
    )
    with jax.enable_x64(True):
        operands = _draw(shapes)
        exact = _value_and_gradients(convolve)
        # The gradients' convolutions in turn, which is what a run has.
        product = convolutions_as_products(exact)
        assert _count(exact, *operands) == 3
        assert _count(product, *operands) == 0
        # Under vmap: a run of its own for each pair of factors, one of them shared.
        lhs, rhs = operands
        stacked = np.stack([rhs, 2 * rhs])
        got = jax.jit(jax.vmap(product, (None, 0)))(lhs, stacked)
        wanted = exact(lhs, rhs)
        for ours, theirs in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
            assert ours.dtype == theirs.dtype == np.float64
            np.testing.assert_allclose(ours[0], theirs, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(got[0][1], 2 * wanted[0], rtol=1e-12, atol=1e-12)


def test_gradients_taken_from_outside_are_products_too_to_any_order():
    # With a stride that leaves the last position out, so that a gradient has to know the shape.
    convolve = functools.partial(lax.conv_general_dilated, window_strides=(2,), padding=[(1, 0)])
    operands = _draw([(2, 2, 5), (3, 2, 2)])

    def bend(convolve):
        gradient = jax.grad(lambda lhs, rhs: jnp.sin(convolve(lhs, rhs)).sum(), (0, 1))
        return lambda *operands: jax.jvp(gradient, operands, operands)

    with jax.enable_x64(True):
        product = bend(convolutions_as_products(convolve))
        assert _count(product, *operands) == 0
        got, wanted = (jax.jit(each)(*operands) for each in (product, bend(convolve)))
        for ours, theirs in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def _smooth(x):
    return lax.conv_general_dilated(x, jnp.full((1, 1, 3), 0.5), (1,), "SAME")


@jax.custom_vjp
def _own_slope(x):
    return _smooth(x)


_own_slope.defvjp(lambda x: (_smooth(x), x), lambda x, dy: (3.0 * _smooth(dy),))

AROUND = {
    "jit": lambda x: jax.jit(_smooth)(x),
    "scan": lambda x: lax.scan(lambda h, _: (_smooth(h), h.sum()), x, length=3),
    "while": lambda x: lax.while_loop(lambda h: h.sum() < 9.0, _smooth, x),
    "cond": lambda x: lax.cond(x[0, 0, 0] > 0, _smooth, jnp.sin, x),
    "remat": lambda x: jax.grad(lambda x: jax.checkpoint(lambda h: _smooth(h) ** 2)(x).sum())(x),
    "custom derivative": lambda x: jax.grad(lambda x: _own_slope(x).sum())(x) + _own_slope(x),
    "within each other": lambda x: lax.scan(
        lambda h, _: (lax.cond(h.sum() > 0, jax.jit(_smooth), _smooth, h), None), x, length=2
    )[0],
    "no convolution": lambda x: (x, 2.0),
}


def test_convolutions_are_met_wherever_they_stand():
    x = jnp.ones((1, 1, 5))

    def every(x):
        return {name: function(x) for name, function in AROUND.items()}

    products = convolutions_as_products(every)
    assert _count(every, x) > 0
    assert _count(products, x) == 0
    wanted, got = jax.jit(every)(x), jax.jit(products)(x)
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    for ours, theirs in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_other_platforms_keep_the_library_s_convolution():
    products = convolutions_as_products(_smooth)
    for platform, count in (("cpu", 0), ("cuda", 1)):
        exported = jax.export.export(jax.jit(products), platforms=[platform])(jnp.ones((1, 1, 5)))
        assert exported.mlir_module().count("stablehlo.convolution") == count


def test_what_is_no_such_convolution_stays():
    def whole(x):
        kernel = jnp.ones((1, 1, 3), x.dtype)
        return lax.conv_general_dilated(x, kernel, (1,), "VALID")

    integers = jnp.arange(5).reshape(1, 1, 5)
    assert _count(convolutions_as_products(whole), integers) == 1
    assert convolutions_as_products(whole)(integers).tolist() == [[[3, 6, 9]]]
    half = jnp.ones((1, 1, 5), jnp.bfloat16)
    assert convolutions_as_products(whole)(half).dtype == jnp.bfloat16


def test_rewriting_keeps_what_bears_on_no_result_and_leaves_others_alone():
    printed = []

    def function(x):
        jax.debug.callback(lambda x: printed.append(float(x)), x)
        return jnp.sin(x) + jnp.cos(x)

    def choose(equation):
        return (lambda x: [x]) if equation.primitive.name == "sin" else None

    assert rewrite(function, choose)(0.5) == pytest.approx(0.5 + np.cos(0.5))
    jax.effects_barrier()
    assert printed == [0.5]
    names = [
        each.primitive.name for each in all_equations(jax.make_jaxpr(rewrite(jnp.cos, choose))(1.0))
    ]
    assert names == ["cos"]


def _convnet(channels):
    network = initlab.networks.convnet((4, 4, 1), channels, 3, 1, jnp.tanh)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 16))
    return network, initlab.tasks.from_arrays(x, np.arange(6) % 3)


@pytest.mark.parametrize("batch_size", [None, 2])
def test_a_run_knows_how_many_numbers_its_convolutions_give(batch_size):
    network, task = _convnet(3)
    run = initlab.make_run(
        network,
        lambda p: by_role(weight=he_normal()),
        task,
        optimizer=lambda p: optax.sgd(0.5),
        steps=3,
        every=1,
        batch_size=batch_size,
    )
    # Stem and block: 16 positions of 3 channels, for each example of a step.
    assert run.description["convolved"] == 2 * 16 * 3 * (batch_size or 6)


@pytest.mark.thorough
def test_a_run_trains_as_the_convolutions_do():
    network, task = _convnet(3)
    start = initlab.initialize(jax.random.key(0), network.specs, by_role(weight=he_normal()))
    run = initlab.make_run(
        network,
        lambda p: start,
        task,
        optimizer=lambda p: optax.sgd(0.5),
        steps=3,
        every=1,
        probes=(initlab.probes.loss,),
    )
    params, x = start, jnp.asarray(task.x, jnp.float32)
    losses = []
    step = jax.jit(jax.value_and_grad(lambda params: task.loss(network.apply(params, x), task.y)))
    for _ in range(4):
        loss, gradient = step(params)
        params = jax.tree.map(lambda p, g: p - 0.5 * g, params, gradient)
        losses.append(float(loss))
    point = {"seed": jnp.asarray(0)}
    np.testing.assert_allclose(run(point).values["loss"], losses, rtol=1e-5)
    assert losses[-1] < losses[0] * 0.999
    assert _count(run.function, point) == 0
