"""What a refiner leaves alone, and where it does less: tables, flows, signals that would vanish."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_calibration import KEY, REFINERS, X
from thorough import rows

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


ROWS = np.random.default_rng(7).normal(size=(32, 4)).astype(np.float32)
LOG_SCALES = (lambda s: s, jnp.tanh, lambda s: jax.nn.log_sigmoid(s + 2))


def _flow(params, x):
    """A coupling flow: each layer multiplies one half by an exponential, of another kind each."""
    log_det = jnp.zeros(x.shape[0])
    left, right = x[:, :2], x[:, 2:]
    for layer, log_scale in zip(params, LOG_SCALES, strict=True):
        h = jnp.tanh(left @ layer["in"])
        change = log_scale(h @ layer["scale"])
        left, right = right * jnp.exp(change) + h @ layer["shift"], left
        log_det = log_det + jnp.sum(change, axis=1)
    return jnp.concatenate([left, right], axis=1), log_det


def _mixing_flow(params, x):
    """One product gives log-scale and shift; every layer begins with a product of all features."""
    log_det = jnp.zeros(x.shape[0])
    for layer in params:
        x = x @ layer["mix"]
        log_det = log_det + jnp.linalg.slogdet(layer["mix"])[1]
        out = jax.nn.relu(x[:, :2] @ layer["in"]) @ jnp.concatenate(
            [layer["scale"], layer["shift"]], axis=1
        )
        change = jnp.tanh(out[:, :2])
        x = jnp.concatenate([x[:, :2], x[:, 2:] * jnp.exp(change) + out[:, 2:]], axis=1)
        log_det = log_det + jnp.sum(change, axis=1)
    return x, log_det


def _flow_params(seed, last):
    stream = np.random.default_rng(seed)
    shapes = {"in": (2, 16), "scale": (16, 2), "shift": (16, 2)}
    params = []
    for _ in range(3):
        layer = {
            name: stream.normal(size=shape) * shape[0] ** -0.5 for name, shape in shapes.items()
        }
        layer |= {name: last * layer[name] for name in ("scale", "shift")}
        params.append(layer | {"mix": np.linalg.qr(stream.normal(size=(4, 4)))[0]})
    return jax.tree.map(lambda leaf: leaf.astype(np.float32), params)


def _cost(outputs):
    z, log_det = outputs
    return jnp.mean(jnp.sum(z**2, axis=1) / 2 - log_det)


FLOWS = {"couplings": _flow, "products of all features": _mixing_flow}
COSTS = {
    name: jax.jit(lambda params, apply=flow: _cost(apply(params, ROWS)))
    for name, flow in FLOWS.items()
}


@pytest.mark.parametrize(
    ("name", "flow"),
    [(name, "couplings") for name in ("lsuv", "to_criticality")]
    + [
        pytest.param(*each, marks=pytest.mark.thorough)
        for each in (("layerwise_whitening", "couplings"), ("lsuv", "products of all features"))
    ],
)
def test_the_density_of_a_flow_stays(name, flow):
    """What modulates the data is not enlarged: with rms 1 it gave losses of 5 to 800."""
    for seed in (1, 2):
        params = _flow_params(seed, 0.1)
        refined = REFINERS[name](KEY, FLOWS[flow], params, ROWS)
        assert COSTS[flow](refined) < COSTS[flow](params) + 0.15
        assert not np.allclose(refined[0]["in"], params[0]["in"])


def test_a_flow_that_begins_blown_up_is_made_smaller():
    params = _flow_params(3, 4.0)
    refined = to_criticality(KEY, _flow, params, ROWS)
    assert COSTS["couplings"](refined) < COSTS["couplings"](params) / 2


def _gated(params, x):
    h = x @ params["in"]
    for values, gate, out in params["layers"]:
        h = ((h @ values) * jax.nn.sigmoid(h @ gate)) @ out
    return h @ params["out"]


def test_a_gate_that_is_open_at_zero_keeps_its_size_and_its_values_do_not():
    stream = np.random.default_rng(9)
    draw = lambda *shape: (0.03 * stream.normal(size=shape)).astype(np.float32)  # noqa: E731
    layers = [(draw(8, 8), draw(8, 8), draw(8, 8)) for _ in range(3)]
    params = {"in": draw(3, 8), "layers": layers, "out": draw(8, 2)}
    refined = lsuv(KEY, _gated, params, X)

    def gates(params):
        h, sizes = X.astype(np.float64) @ params["in"], []
        for values, gate, out in params["layers"]:
            signals = h @ values, h @ gate
            h = (signals[0] / (1 + np.exp(-signals[1]))) @ out
            sizes.append([np.sqrt(np.mean(each**2)) for each in (*signals, h)])
        return np.asarray(sizes).T

    before, after = gates(params), gates(jax.tree.map(np.asarray, refined))
    np.testing.assert_allclose(after[[0, 2]], 1, rtol=1e-3)
    np.testing.assert_allclose(after[1], before[1], rtol=1e-3)


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


@pytest.mark.parametrize("name", ["lsuv", "layerwise_whitening", "to_criticality"])
def test_of_several_outputs_none_is_enlarged(name):
    """Policies begin small, and what an exponential is taken of near 0, while values have rms 1."""
    stream = np.random.default_rng(4)
    shapes = {"in": (3, 8), "hidden": (8, 8), "policy": (8, 3), "log_std": (8, 3), "value": (8, 1)}
    params = {
        leaf: (stream.normal(size=shape) * shape[0] ** -0.5).astype(np.float32)
        for leaf, shape in shapes.items()
    }
    params |= {leaf: np.float32(0.01) * params[leaf] for leaf in ("in", "policy", "log_std")}
    params["value"] *= 5

    def apply(params, x):
        h = jnp.tanh(jnp.tanh(x @ params["in"]) @ params["hidden"])
        return h @ params["policy"], jnp.exp(h @ params["log_std"]), h @ params["value"]

    refined = REFINERS[name](KEY, apply, params, X)
    for leaf in ("policy", "log_std"):
        np.testing.assert_allclose(refined[leaf], params[leaf], rtol=1e-6)
    h = np.tanh(np.tanh(X @ refined["in"]) @ refined["hidden"])
    assert 0.3 < np.sqrt(np.mean(h**2)) < 1
    assert np.abs(refined["value"] / params["value"]).max() < 0.5


def _rate(params, x):
    """Of a Poisson regression: its rate is the exponential of one product."""
    return jnp.exp(jnp.tanh(x @ params["in"]) @ params["out"])


@pytest.mark.parametrize(
    "name", rows(("lsuv", "layerwise_whitening", "to_criticality"), every_run={"lsuv"})
)
def test_what_is_exponentiated_as_the_output_is_not_enlarged(name):
    stream = np.random.default_rng(9)
    drawn = {"in": 0.3 * stream.normal(size=(4, 8)), "out": 0.1 * stream.normal(size=(8, 1))}
    params = jax.tree.map(lambda leaf: leaf.astype(np.float32), drawn)
    refined = REFINERS[name](KEY, _rate, params, ROWS)
    logs, before = (np.log(_rate(p, ROWS)) for p in (refined, params))
    # What is capped is the rms at the start, its mean included.
    assert np.std(logs) < 1.1 * np.sqrt(np.mean(before**2))
    assert not np.allclose(refined["in"], params["in"])
