"""Where an operation puts the axes of its operands, against arrays that carry them as data."""

import itertools
import math

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from initlab.networks import dense
from initlab.programs.axes import dot_axes, moved, product_axes, unit_axes
from initlab.programs.primitives import PASSING, PRODUCTS


def _only(function, *operands):
    (equation,) = jax.make_jaxpr(function)(*operands).eqns
    return equation


def _flags_by_data(function, shape, axis):
    """Along which axes a result varies, given an array that varies along one axis alone."""
    sizes = [1] * len(shape)
    sizes[axis] = shape[axis]
    out = np.asarray(
        function(jnp.broadcast_to(jnp.arange(1.0, 1 + shape[axis]).reshape(sizes), shape))
    )
    return [bool(np.any(out != out.take([0], axis=n))) for n in range(out.ndim)]


MOVES = {
    "transpose": lambda x: jnp.transpose(x, (2, 0, 1)),
    "broadcast_in_dim": lambda x: jax.lax.broadcast_in_dim(x, (7, 2, 3, 5), (1, 2, 3)),
    "rev": lambda x: jax.lax.rev(x, (1,)),
    "slice": lambda x: jax.lax.slice(x, (0, 1, 0), (2, 3, 4)),
    "dynamic_slice": lambda x: jax.lax.dynamic_slice(x, (0, 0, 1), (2, 3, 3)),
    "neg": lambda x: -x,
    "convert_element_type": lambda x: x.astype(jnp.bfloat16),
    "reduce_precision": lambda x: jax.lax.reduce_precision(x, 8, 7),
    "optimization_barrier": jax.lax.optimization_barrier,
    "stop_gradient": jax.lax.stop_gradient,
}


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("axis", range(3))
def test_a_moved_axis_is_where_its_entries_vary(name, axis):
    shape, function = (2, 3, 5), MOVES[name]
    program = jax.make_jaxpr(function)(jnp.ones(shape))
    flags = [n == axis for n in range(3)]
    for equation in program.eqns:
        assert equation.primitive.name in PASSING
        flags = moved(equation, flags)
    assert list(flags) == _flags_by_data(function, shape, axis)


def test_an_axis_that_is_stretched_or_repeated_is_the_broadcast_s():
    stretch = _only(lambda x: jax.lax.broadcast_in_dim(x, (4, 3), (0, 1)), jnp.ones((1, 3)))
    assert moved(stretch, (True, True)) == (False, True)
    squeeze = _only(lambda x: jax.lax.squeeze(x, (0,)), jnp.ones((1, 3)))
    assert moved(squeeze, (True, False)) == (False,)


def _splittings(size):
    """A size as products of factors."""
    divisors = [n for n in range(2, size + 1) if size % n == 0]
    if size == 1:
        return st.just([])
    return st.sampled_from(divisors).flatmap(
        lambda first: _splittings(size // first).map(lambda rest: [first, *rest])
    )


@settings(deadline=None)
@given(st.lists(st.integers(2, 12), min_size=1, max_size=3), st.data())
def test_axes_that_are_split_keep_their_flags_and_those_merged_again_too(sizes, data):
    flags = [data.draw(st.booleans()) for _ in sizes]
    pieces = [data.draw(_splittings(size)) for size in sizes]
    fine = list(itertools.chain(*pieces))
    split = _only(lambda x: jax.lax.reshape(x, fine), jnp.ones(sizes)) if fine != sizes else None
    expected = [flag for flag, each in zip(flags, pieces, strict=True) for _ in each]
    if split is not None:
        assert list(moved(split, flags)) == expected
        merge = _only(lambda x: jax.lax.reshape(x, sizes), jnp.ones(fine))
        assert list(moved(merge, expected)) == flags
        whole = _only(lambda x: jax.lax.reshape(x, (math.prod(fine),)), jnp.ones(fine))
        assert moved(whole, expected) == (all(flags),)


def test_axes_of_size_one_have_no_say_and_none_without_entries():
    merge = _only(lambda x: jax.lax.reshape(x, (3, 5)), jnp.ones((3, 1, 5)))
    assert moved(merge, (True, False, False)) == (True, False)
    empty = _only(lambda x: jax.lax.reshape(x, (2, 0)), jnp.ones((0,)))
    assert moved(empty, (True,)) == (False, False)


LAYERS = {
    "sum_over_inputs": dense.sum_over_inputs,
    "sum_over_outputs": dense.sum_over_outputs,
    "sum_over_examples": dense.sum_over_examples,
}
FACTORS = {
    "sum_over_inputs": ((2, 3), (2, 16)),
    "sum_over_outputs": ((2, 3), (3, 16)),
    "sum_over_examples": ((2, 16), (3, 16)),
}


@pytest.mark.parametrize("runs", [(), (4,)])
@pytest.mark.parametrize("name", PRODUCTS)
def test_the_lab_s_products_are_the_matrix_products_that_their_axes_name(name, runs):
    generator = np.random.default_rng(0)
    left, right = (
        jnp.asarray(generator.standard_normal((*runs, *shape)), jnp.float32)
        for shape in FACTORS[name]
    )
    product = jax.vmap(LAYERS[name]) if runs else LAYERS[name]
    equation = _only(product, left, right)
    assert equation.primitive.name == name
    axes = dot_axes(equation)
    assert axes == product_axes(name, left.ndim)
    plain = jax.lax.dot_general(left, right, axes)
    np.testing.assert_allclose(product(left, right), plain, rtol=1e-5, atol=1e-5)


DOTS = {
    "plain": ((4, 3), (3, 5), (((1,), (0,)), ((), ()))),
    "batched": ((7, 4, 3), (3, 7, 5, 2), (((2,), (0,)), ((0,), (1,)))),
    "outer": ((4,), (5, 2), (((), ()), ((), ()))),
}


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("name", DOTS)
def test_a_product_s_units_are_the_axes_of_an_operand_that_it_keeps(name, place):
    *shapes, numbers = DOTS[name]
    operands = [jnp.ones(shape) for shape in shapes]

    def product(left, right):
        return jax.lax.dot_general(left, right, numbers)

    equation = _only(product, *operands)
    pairs = unit_axes(equation, place)
    kept = set(range(operands[place].ndim)) - set(numbers[0][place])
    assert {axis for _, axis in pairs} == kept
    for out_axis, axis in pairs:
        # Marking one entry of the operand's axis must show at that entry of the result's axis.
        index = (slice(None),) * axis + (1,)
        marked = [x.at[index].set(9.0) if n == place else x for n, x in enumerate(operands)]
        changed = np.asarray(product(*marked) != product(*operands))
        assert changed.take(1, axis=out_axis).all()
        assert changed.sum() == changed.take(1, axis=out_axis).size


def test_a_convolution_s_units_are_the_channels_of_its_kernel():
    def convolve(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    equation = _only(convolve, jnp.ones((2, 8, 8, 3)), jnp.ones((3, 3, 3, 6)))
    assert unit_axes(equation, 1) == [(3, 3)]
    assert unit_axes(equation, 0) == []


@pytest.mark.quick
def test_a_reshape_may_take_its_axes_in_another_order():
    """As vmap of a convolution does: members merge with the outputs."""
    kernel = jnp.ones((5, 3, 2, 4))
    program = jax.make_jaxpr(lambda w: jax.lax.reshape(w, (3, 2, 20), (1, 2, 0, 3)))(kernel)
    (equation,) = program.eqns
    assert moved(equation, (True, False, False, True)) == (False, False, True)
    assert moved(equation, (False, True, False, True)) == (True, False, False)
