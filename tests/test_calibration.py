"""Refiners: rms and gains by hand in NumPy, directions kept, any model that can be tapped."""

import itertools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.flatten_util import ravel_pytree

import initlab
from initlab import calibration, initializers, networks
from initlab.calibration import (
    changes,
    gradinit,
    layerwise_whitening,
    lsuv,
    metainit,
    to_criticality,
)

KEY = jax.random.key(0)
NOTHING: Any = None
X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
LAYERS = 5


def draw(std=0.3, width=6, layers=LAYERS):
    stream = np.random.default_rng(1)
    sizes = [3, *[width] * layers]
    return [
        (std * stream.normal(size=pair)).astype(np.float32) for pair in itertools.pairwise(sizes)
    ]


def plain(params, x):
    h = x
    for weight in params[:-1]:
        h = jnp.tanh(h @ weight)
    return h @ params[-1]


def scanned(params, x):
    first, hidden, last = params
    h, _ = jax.lax.scan(lambda h, weight: (jnp.tanh(h @ weight), None), jnp.tanh(x @ first), hidden)
    return h @ last


def relu_chain(params, x):
    h = x
    for weight in params[:-1]:
        h = jax.nn.relu(h @ weight)
    return h @ params[-1]


def loss(outputs):
    return jnp.mean(jnp.square(outputs - 1))


def direction(weight, axis=None):
    weight = np.asarray(weight, np.float64)
    return weight / np.linalg.norm(weight, axis=axis, keepdims=True)


REFINERS = {
    "lsuv": lsuv,
    "layerwise_whitening": layerwise_whitening,
    "to_criticality": to_criticality,
    "metainit": lambda *given: metainit(*given, loss=loss, steps=3),
    "gradinit": lambda *given: gradinit(*given, loss=loss, steps=3),
}


@pytest.mark.quick
def test_every_refiner_is_tested():
    # What has a law and no measurement is in test_calibration_theory.
    assert {*REFINERS, "changes", "to_theory"} == set(calibration.__all__)


@pytest.mark.parametrize("name", REFINERS)
def test_directions_are_kept_and_seeds_go_together(name):
    refine = jax.jit(lambda params: REFINERS[name](KEY, plain, params, X))
    first, second = draw(), [2 * weight[::-1] for weight in draw(0.5)]
    alone = [refine(params) for params in (first, second)]
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), first, second)
    axis = 0 if name == "layerwise_whitening" else None
    together = jax.vmap(refine)(both)
    for number, params in enumerate((first, second)):
        for before, after, beside in zip(params, alone[number], together, strict=True):
            np.testing.assert_allclose(direction(after, axis), direction(before, axis), atol=1e-6)
            np.testing.assert_allclose(beside[number], after, rtol=2e-4, atol=1e-6)


@pytest.mark.quick
@pytest.mark.parametrize("target", [1.0, 0.5])
def test_lsuv_gives_every_product_its_rms(target):
    refined = lsuv(KEY, plain, draw(), X, target=target)
    h = X.astype(np.float64)
    for weight in refined:
        z = h @ np.asarray(weight, np.float64)
        np.testing.assert_allclose(np.sqrt(np.mean(z**2)), target, rtol=1e-5)
        h = np.tanh(z)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.floats(-30, 30), min_size=LAYERS, max_size=LAYERS))
def test_lsuv_forgets_the_scales_that_it_is_given(powers):
    scaled = [weight * np.float32(10**power) for weight, power in zip(draw(), powers, strict=True)]
    for one, other in zip(JITTED(draw()), JITTED(scaled), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)


JITTED = jax.jit(lambda params: lsuv(KEY, plain, params, X))


def test_a_loop_over_layers_is_refined_slice_by_slice():
    params = draw()
    stacked = [params[0], np.stack(params[1:-1]), params[-1]]
    for refine in (lsuv, to_criticality):
        unrolled, looped = refine(KEY, plain, params, X), refine(KEY, scanned, stacked, X)
        np.testing.assert_allclose(looped[0], unrolled[0], rtol=1e-3)
        np.testing.assert_allclose(looped[1], np.stack(unrolled[1:-1]), rtol=1e-3)
        np.testing.assert_allclose(looped[2], unrolled[-1], rtol=1e-3)


@pytest.mark.parametrize("refine", [lsuv, to_criticality])
def test_a_loop_over_residual_blocks_is_refined_block_by_block(refine):
    """Both products of a block before those of the next: as if the loop were written out."""
    stream = np.random.default_rng(2)
    first, last, starts, ends = (
        stream.normal(size=shape).astype(np.float32)
        for shape in ((3, 6), (6, 6), (4, 6, 6), (4, 6, 6))
    )

    def block(h, weights):
        return h + jax.nn.relu(h @ weights[0]) @ weights[1]

    def looped(params, x):
        first, blocks, last = params
        h, _ = jax.lax.scan(lambda h, weights: (block(h, weights), None), x @ first, blocks)
        return h @ last

    def unrolled(params, x):
        first, blocks, last = params
        h = x @ first
        for weights in blocks:
            h = block(h, weights)
        return h @ last

    scanned = refine(KEY, looped, (first, (starts, ends), last), X)
    written = refine(KEY, unrolled, (first, list(zip(starts, ends, strict=True)), last), X)
    again = written[0], tuple(np.stack(each) for each in zip(*written[1], strict=True)), written[2]
    for one, other in zip(jax.tree.leaves(scanned), jax.tree.leaves(again), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3)
    h = X @ np.asarray(written[0], np.float64)
    np.testing.assert_allclose(np.sqrt(np.mean(h**2)), 1, rtol=1e-4)
    for start, end in written[1]:
        inside = h @ np.asarray(start, np.float64)
        branch = np.maximum(inside, 0) @ np.asarray(end, np.float64)
        np.testing.assert_allclose(np.sqrt(np.mean(inside**2)), 1, rtol=1e-3)
        if refine is lsuv:
            np.testing.assert_allclose(np.sqrt(np.mean(branch**2)), 1, rtol=1e-3)
        else:
            share = np.sqrt(np.mean(branch**2) / np.mean((h + branch) ** 2))
            np.testing.assert_allclose(share, 4**-0.5, rtol=0.05)
        h = h + branch


def test_a_zero_weight_keeps_its_scale():
    params = draw()
    params[2] = np.zeros_like(params[2])
    for refine in (lsuv, to_criticality):
        refined = refine(KEY, plain, params, X)
        assert not np.any(refined[2])
        assert all(np.isfinite(weight).all() for weight in refined)


@pytest.mark.parametrize("std", [0.01, 0.5, 30.0])
def test_criticality_makes_forward_and_backward_gain_cancel(std):
    """The gains by hand: a relu chain from any start, and the cotangent that was drawn."""
    params = to_criticality(KEY, relu_chain, draw(std, width=40, layers=6), X, iterations=3)
    weights = [np.asarray(weight, np.float64) for weight in params]
    signals, h = [], X.astype(np.float64)
    for weight in weights:
        signals.append(h @ weight)
        h = np.maximum(signals[-1], 0)
    drawn = jax.random.normal(jax.random.fold_in(KEY, 0), signals[-1].shape)
    gradients = [np.asarray(drawn, np.float64)]
    for weight, z in zip(weights[:0:-1], signals[-2::-1], strict=True):
        gradients.append((gradients[-1] @ weight.T) * (z > 0))
    gradients = gradients[::-1]
    np.testing.assert_allclose(np.sqrt(np.mean(signals[0] ** 2)), 1, rtol=1e-4)
    for number in range(1, len(weights)):
        forward = np.sqrt(np.mean(signals[number] ** 2) / np.mean(signals[number - 1] ** 2))
        back = np.linalg.norm(gradients[number - 1]) / np.linalg.norm(gradients[number])
        np.testing.assert_allclose(forward * back, 1, rtol=1e-3)
        assert 0.5 < forward < 2


def test_a_residual_stream_of_the_lab_s_own_grows_by_a_factor_of_order_one():
    network = networks.residual_mlp((3, 16, 2), 24, jax.nn.relu, scanned=True)
    init = initializers.by_role(initializers.he_normal())
    params = initlab.initialize(KEY, network.specs, init)

    @jax.jit
    def growth(params):
        states = network.layers(params, X)
        last = [state.stream for state in states.values() if state.stream is not None][-1]
        return jnp.sqrt(jnp.mean(last**2) / jnp.mean(states["stem"].z ** 2))

    assert growth(params) > 1000
    # Independent branches would give (1 + 1 / depth)^(depth / 2), at most e^(1/2).
    assert 1 < growth(to_criticality(KEY, network.apply, params, X)) < 2.5


def test_a_flax_model_is_refined():
    model = nn.Sequential([nn.Dense(8), nn.relu, nn.Dense(8), nn.relu, nn.Dense(2)])
    params = jax.tree.map(lambda leaf: 0.01 * leaf, model.init(KEY, X)["params"])

    def apply(params, x):
        return model.apply({"params": params}, x)

    out = np.asarray(apply(lsuv(KEY, apply, params, X), X))
    np.testing.assert_allclose(np.sqrt(np.mean(out**2)), 1, rtol=1e-4)


def test_metainit_lowers_the_gradient_quotient():
    @jax.jit
    def quotient(params):
        flat, back = ravel_pytree(params)
        slope = jax.grad(lambda w: loss(plain(back(w), X)))(flat)
        hessian = jax.hessian(lambda w: loss(plain(back(w), X)))(flat)
        offset = jnp.where(slope >= 0, 1e-5, -1e-5)
        return jnp.mean(jnp.abs((slope - hessian @ slope) / (slope + offset) - 1))

    params = draw(2.0, width=4, layers=3)
    better = metainit(KEY, plain, params, X, loss=loss, steps=40)
    assert quotient(better) < 0.5 * quotient(params)


def test_gradinit_lowers_the_loss_after_a_step_within_the_bound():
    @jax.jit
    def after(params):
        gradient = jax.grad(lambda p: loss(plain(p, X)))(params)
        norm = jnp.sqrt(sum(jnp.sum(jnp.square(g)) for g in gradient))
        stepped = [w - 0.1 * g for w, g in zip(params, gradient, strict=True)]
        return loss(plain(stepped, X)), norm

    params = draw(3.0, width=4, layers=3)
    before, norm = after(params)
    assert norm > 0.5
    found = gradinit(KEY, plain, params, X, loss=loss, step_size=0.1, bound=0.5, steps=60)
    loss_after, norm_after = after(found)
    assert norm_after <= 0.5
    assert loss_after < before


@pytest.mark.quick
def test_changes_are_named_by_path():
    before = {"a": {"w": np.ones((2, 2)), "b": np.zeros(2)}, "c": np.ones(4)}
    after = {"a": {"w": np.full((2, 2), 0.5), "b": np.zeros(2)}, "c": np.ones(4)}
    factors = changes(before, after)
    assert list(factors) == ["a/b", "a/w", "c"]
    assert (factors["a/w"], factors["c"]) == (0.5, 1.0)
    with pytest.raises(ValueError, match="the same tree"):
        changes(before, {"a": np.ones(2)})


@pytest.mark.quick
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: lsuv(KEY, NOTHING, draw(), X), TypeError, "apply must be a function"),
        (lambda: lsuv(KEY, plain, draw(), X, target=-1.0), ValueError, "target must be at least 0"),
        (
            lambda: lsuv(KEY, lambda p, x: x + p, np.ones((1, 3), np.float32), X),
            ValueError,
            "no product of a parameter",
        ),
        (lambda: to_criticality(KEY, plain, draw(), X, iterations=0), ValueError, "iterations"),
        (
            lambda: metainit(KEY, plain, draw(), X, loss=NOTHING),
            TypeError,
            "loss must be a function",
        ),
        (lambda: gradinit(KEY, plain, draw(), X, loss=loss, steps=0), ValueError, "steps"),
        (
            lambda: gradinit(KEY, plain, draw(), X, loss=loss, learning_rate=0.0),
            ValueError,
            "learning_rate must be positive",
        ),
        (
            lambda: metainit(KEY, plain, draw(), X, loss=loss, momentum=1.0),
            ValueError,
            "momentum must be under 1",
        ),
        (
            lambda: gradinit(KEY, plain, draw(), X, loss=loss, bound=-1.0),
            ValueError,
            "bound must be at least 0",
        ),
        (
            lambda: gradinit(KEY, plain, draw(), X, loss=loss, step_size=-1.0),
            ValueError,
            "step_size must be at least 0",
        ),
    ],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
