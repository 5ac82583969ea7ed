"""What a refiner leaves alone, and where it does less: tables, flows, signals that would vanish."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_calibration import KEY, REFINERS, X

from initlab import audits
from initlab.calibration import gradinit, lsuv, metainit, to_criticality

TOKENS = np.asarray([[0, 3, 1], [2, 2, 4], [1, 0, 3], [4, 1, 2]])


def _embedded(params, ids):
    table, weight, out = params
    return jnp.tanh(table[ids] @ weight) @ out


def _embedded_in_a_branch(params, ids):
    table, weight, out = params
    rows = jax.lax.cond(ids[0, 0] > 2, lambda: table[ids], lambda: 2 * table[ids])
    return jnp.tanh(rows @ weight) @ out


def _embedded_in_loops(params, ids):
    table, weight, out = params
    rows = jax.lax.map(lambda row: jax.lax.map(lambda one: jnp.asarray(table)[one], row), ids)
    return jnp.tanh(rows @ weight) @ out


def _embedded_in_flax(params, ids):
    model = nn.Sequential([nn.Embed(5, 4), nn.Dense(6, use_bias=False), nn.tanh])
    table, weight, out = params
    tree = {"layers_0": {"embedding": table}, "layers_1": {"kernel": weight}}
    return model.apply({"params": tree}, ids) @ out


@pytest.mark.parametrize("refine", [lsuv, to_criticality])
@pytest.mark.parametrize(
    "apply", [_embedded, _embedded_in_a_branch, _embedded_in_loops, _embedded_in_flax]
)
def test_a_table_that_is_only_looked_up_keeps_its_scale(refine, apply):
    stream = np.random.default_rng(3)
    shapes = ((5, 4), (4, 6), (6, 2))
    params = tuple(3 * stream.normal(size=shape).astype(np.float32) for shape in shapes)
    refined = refine(KEY, apply, params, TOKENS)
    np.testing.assert_array_equal(refined[0], params[0])
    rows = apply((params[0], refined[1], np.eye(6, dtype=np.float32)), TOKENS)
    np.testing.assert_allclose(np.sqrt(np.mean(np.arctanh(rows) ** 2)), 1, rtol=1e-3)
    assert np.any(refined[2] != params[2])


def _flow(params, x):
    """A coupling flow: each layer multiplies one half by the exponential of a product."""
    log_det = jnp.zeros(x.shape[0])
    left, right = x[:, :2], x[:, 2:]
    for layer in params:
        h = jnp.tanh(left @ layer["in"])
        log_scale = h @ layer["scale"]
        left, right = right * jnp.exp(log_scale) + h @ layer["shift"], left
        log_det = log_det + jnp.sum(log_scale, axis=1)
    return jnp.concatenate([left, right], axis=1), log_det


@pytest.mark.parametrize("name", ["lsuv", "layerwise_whitening", "to_criticality"])
def test_a_coupling_flow_is_not_blown_up(name):
    stream = np.random.default_rng(6)
    shapes = {"in": (2, 16), "scale": (16, 2), "shift": (16, 2)}
    params = [
        {
            leaf: (stream.normal(size=shape) * shape[0] ** -0.5).astype(np.float32)
            for leaf, shape in shapes.items()
        }
        for _ in range(5)
    ]
    for layer in params:
        layer["scale"] *= np.float32(0.1)
    x = np.random.default_rng(7).normal(size=(32, 4)).astype(np.float32)

    def nll(params):
        z, log_det = FLOW(params, x)
        return float(jnp.mean(jnp.sum(z**2, axis=1) / 2 - log_det))

    before, after = nll(params), nll(REFINERS[name](KEY, _flow, params, x))
    # Enlarged to rms 1 the log-scales gave 50 to 300.
    assert after < 3 * before + 3


FLOW = jax.jit(_flow)


def _actor_critic(params, x):
    h = jnp.tanh(jnp.tanh(x @ params["in"]) @ params["hidden"])
    return h @ params["policy"], h @ params["value"]


@pytest.mark.parametrize("name", ["metainit", "gradinit"])
def test_no_signal_vanishes_for_the_goal_of_a_descent(name):
    stream = np.random.default_rng(4)
    shapes = {"in": (3, 8), "hidden": (8, 8), "policy": (8, 3), "value": (8, 1)}
    params = {
        leaf: (stream.normal(size=shape) * shape[0] ** -0.5).astype(np.float32)
        for leaf, shape in shapes.items()
    }
    returns = 3 * stream.normal(size=(12, 1)).astype(np.float32)

    def cost(outputs):
        policy, value = outputs
        entropy = jnp.sum(jax.nn.softmax(policy) * jax.nn.log_softmax(policy))
        return jnp.mean(jnp.square(value - returns)) + 0.01 * entropy

    refine = {"metainit": metainit, "gradinit": gradinit}[name]
    refined = refine(KEY, _actor_critic, params, X, loss=cost, steps=60, learning_rate=0.1)
    assert any(np.any(refined[leaf] != params[leaf]) for leaf in params)
    start = _actor_critic(params, X)
    for before, after in zip(start, _actor_critic(refined, X), strict=True):
        rms = [np.sqrt(np.mean(np.square(each))) for each in (before, after)]
        assert rms[1] > 0.099 * min(1, rms[0])


def test_what_a_refiner_makes_worse_is_not_kept():
    stream = np.random.default_rng(5)
    weights = [stream.normal(size=(8, 8)).astype(np.float32) * 8**-0.5 for _ in range(4)]
    x = stream.normal(size=(16, 8)).astype(np.float32)

    def apply(params, x):
        for weight in params:
            x = jnp.tanh(x @ weight)
        return x

    def blown_up(key, apply, params, batch):
        return [20 * params[0], *params[1:-1], 1e-6 * params[-1]]

    done = audits.refine(blown_up, KEY, apply, weights, x)
    assert done.params is weights
    assert (done.before.verdict, done.after.verdict) != ("fail", "fail")
    assert "the verdict goes from" in done.reason
    kept = audits.refine(to_criticality, KEY, apply, [0.01 * w for w in weights], x)
    assert not kept.reason
    assert np.any(kept.params[0] != 0.01 * weights[0])

    larger = lambda key, apply, params, batch: [2.5 * w for w in params]  # noqa: E731
    costly = audits.refine(
        larger, KEY, lambda p, x: x @ p[0], weights[:1], x, loss=lambda y: jnp.mean(8 * y**2)
    )
    assert costly.params == weights[:1]
    assert "the loss goes from" in costly.reason
