"""The geometry probes against NumPy in float64: compiled once for three runs, one diverged."""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import initlab
from initlab import networks, objectives, probes
from initlab.types import Batch

SIZES = (3, 5, 4, 2)
NETWORK = networks.mlp(SIZES, jax.nn.relu)
RNG = np.random.default_rng(5)
# Sorted by label, as data may be.
LABELS = np.sort(RNG.integers(0, 2, 7))
INPUTS = RNG.standard_normal((7, 3)).astype("f")

PLAIN = (
    probes.activation_patterns,
    probes.effective_rank,
    probes.gradient_noise_scale,
    probes.imbalance,
    probes.movement,
    probes.jacobian_spectrum(),
    probes.kernel_movement(examples=4),
    probes.layer_jacobians(),
    probes.orientations(cosine=0.3),
    # As many steps as there are parameters: exact.
    probes.sharpness(iterations=100),
)
SAMPLED = probes.jacobian_spectrum(vectors=300, iterations=4)


def draw(seed):
    rng = np.random.default_rng(seed)
    return {
        f"layer_{n}": {
            "weight": rng.standard_normal((i, j)).astype("f"),
            "bias": (0.3 * rng.standard_normal(j)).astype("f"),
        }
        for n, (i, j) in enumerate(itertools.pairwise(SIZES), start=1)
    }


START = draw(9)
RUNS = [draw(1), draw(2), jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), START)]


def batch_of(start, x: Any = INPUTS, y: Any = LABELS, objective=objectives.softmax):
    return Batch(jnp.asarray(x), jnp.asarray(y), None, None, objective, start)


@functools.cache
def measured():
    def measure(params):
        batch = batch_of(jax.tree.map(jnp.asarray, START))
        found = {}
        for probe in PLAIN:
            found |= probe(NETWORK, params, batch)
        return found, SAMPLED(NETWORK, params, batch)

    stacked = jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *RUNS)
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(measure))(stacked))


def doubled(params):
    return [{name: np.float64(leaf) for name, leaf in layer.items()} for layer in params.values()]


def forward(layers, x):
    """z and a of each layer, of one example or more."""
    states, a = [], np.asarray(x, np.float64)
    for n, layer in enumerate(layers):
        z = a @ layer["weight"] + layer["bias"]
        a = z if n == len(layers) - 1 else np.maximum(z, 0)
        states.append((z, a))
    return states


def slopes_of(states):
    *hidden, (last, _) = states
    return [(z > 0) * 1.0 for z, _ in hidden] + [np.ones_like(last)]


def layer_maps(layers, x):
    """d a_l / d a_(l-1) of one example."""
    slopes = slopes_of(forward(layers, x))
    return [s[:, None] * layer["weight"].T for s, layer in zip(slopes, layers, strict=True)]


def gradient(layers, x, cotangent):
    """Of <cotangent, logits> at one example by every parameter, in one row."""
    states = forward(layers, x)
    slopes, below = slopes_of(states), [np.float64(x)] + [a for _, a in states]
    dz, parts = np.float64(cotangent), []
    for n in reversed(range(len(layers))):
        parts = [dz, np.outer(below[n], dz).ravel(), *parts]
        if n:
            dz = (layers[n]["weight"] @ dz) * slopes[n - 1]
    return np.concatenate(parts)


def loss_gradients(layers):
    """Of each example's cross-entropy."""
    logits = forward(layers, INPUTS)[-1][0]
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    rows = zip(INPUTS, shares - np.eye(2)[LABELS], strict=True)
    return np.stack([gradient(layers, x, cotangent) for x, cotangent in rows])


def hessian(layers, eps=1e-5):
    flat = np.concatenate([layer[name].ravel() for layer in layers for name in ("bias", "weight")])

    def mean_gradient(flat):
        rebuilt, at = [], 0
        for layer in layers:
            parts = {}
            for name in ("bias", "weight"):
                count = layer[name].size
                parts[name] = flat[at : at + count].reshape(layer[name].shape)
                at += count
            rebuilt.append(parts)
        return loss_gradients(rebuilt).mean(0)

    steps = eps * np.eye(flat.size)
    rows = [(mean_gradient(flat + e) - mean_gradient(flat - e)) / (2 * eps) for e in steps]
    return np.stack(rows)


def kernel(layers, examples):
    rows = np.stack([gradient(layers, x, unit) for x in examples for unit in np.eye(2)])
    return rows @ rows.T


def spectrum(values):
    """Moments over all singular values; extremes of each example, in the mean."""
    squares = np.square(values)
    return {
        "mean_square": squares.mean(),
        "spread": np.square(squares).mean() / squares.mean() ** 2 - 1,
        "largest": values.max(1).mean(),
        "mean": values.mean(),
        "smallest": values.min(1).mean(),
    }


def greedy_clusters(rows, cosine):
    firsts = []
    for row in rows:
        unit = row / np.linalg.norm(row)
        if all(unit @ first < cosine for first in firsts):
            firsts.append(unit)
    return len(firsts)


def imbalances(layers):
    found = []
    for layer, following in itertools.pairwise(layers):
        into = np.square(layer["weight"]).sum(0) + np.square(layer["bias"])
        found.append(into - np.square(following["weight"]).sum(1))
    return found


def oracle(params):
    layers, start = doubled(params), doubled(START)
    states = forward(layers, INPUTS)
    gradients = loss_gradients(layers)
    mean = gradients.mean(0)
    patterns = [np.unique(np.hstack(slopes_of(states)[: n + 1]), axis=0) for n in range(3)]
    ranks = []
    for _, a in states:
        values = np.linalg.svd(a, compute_uv=False)
        shares = values[values > 0] / values.sum()
        ranks.append(np.exp(-(shares * np.log(shares)).sum()))
    rows = [np.vstack([layer["weight"], layer["bias"]]).T for layer in layers]
    moved = [
        [np.linalg.norm(np.hstack([(a[n] - c * b[n]).ravel() for n in a])) for c in (1, 0)]
        for a, b in zip(layers, start, strict=True)
    ]
    sizes = [np.linalg.norm(np.hstack([leaf.ravel() for leaf in b.values()])) for b in start]
    # Four of seven, evenly spaced.
    kernels = [kernel(each, INPUTS[[0, 1, 3, 5]]) for each in (layers, start)]
    maps = [layer_maps(layers, x) for x in INPUTS]
    whole = np.stack([functools.reduce(lambda j, m: m @ j, each) for each in maps])
    values = [
        spectrum(np.linalg.svd(np.stack(each), compute_uv=False))
        for each in zip(*maps, strict=True)
    ]
    now, then = imbalances(layers), imbalances(start)
    found = {
        "activation_patterns": [len(each) for each in patterns],
        "effective_rank": ranks,
        "gradient_noise_scale": np.square(gradients - mean).sum(1).mean() / np.square(mean).sum(),
        "imbalance": [*(each.sum() for each in now), 0],
        "imbalance_drift": [*(np.abs(a - b).max() for a, b in zip(now, then, strict=True)), 0],
        "movement": [m[0] / size for m, size in zip(moved, sizes, strict=True)],
        "total_movement": np.linalg.norm([m[0] for m in moved]) / np.linalg.norm(sizes),
        "kernel_movement": np.linalg.norm(kernels[0] - kernels[1]) / np.linalg.norm(kernels[1]),
        "orientations": [greedy_clusters(each, 0.3) for each in rows],
        "sharpness": np.linalg.eigvalsh(hessian(layers)).max(),
    }
    ends = spectrum(np.linalg.svd(whole, compute_uv=False))
    found |= {f"jacobian_{name}": value for name, value in ends.items()}
    found |= {f"layer_jacobian_{name}": [each[name] for each in values] for name in values[0]}
    return found


@pytest.mark.parametrize("run", [0, 1])
def test_probes_are_numpy_s(run):
    found, sampled = measured()
    wanted = oracle(RUNS[run])
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name][run], value, rtol=2e-4, atol=2e-5, err_msg=name)
    for name, value in sampled.items():
        np.testing.assert_allclose(value[run], wanted[name], rtol=0.15, atol=0.05, err_msg=name)
    np.testing.assert_allclose(
        sampled["jacobian_largest"][run], wanted["jacobian_largest"], rtol=1e-4
    )


def test_a_layer_s_jacobian_is_sampled_too():
    # A multiplier is the forward pass's: it is in the Jacobian.
    network = networks.with_multipliers(networks.mlp((3, 2), jnp.tanh), {"*": 0.5})
    params = {"layer_1": draw(4)["layer_1"]}
    params["layer_1"] = {name: leaf[..., :2] for name, leaf in params["layer_1"].items()}
    probe = probes.layer_jacobians(vectors=1, iterations=2)
    found = jax.jit(lambda params: probe(network, params, batch_of(params)))(params)
    largest = np.linalg.svd(np.float64(params["layer_1"]["weight"]), compute_uv=False)[0]
    np.testing.assert_allclose(found["layer_jacobian_largest"], [largest / 2], rtol=1e-5)
    assert set(found) == {f"layer_jacobian_{name}" for name in ("mean_square", "spread", "largest")}


def test_the_oracle_has_something_to_tell():
    found, _ = measured()
    assert 2 < found["activation_patterns"][0][1] <= 7
    assert 1 < found["orientations"][0][0] < 5
    assert found["activation_patterns"].dtype == found["orientations"].dtype == np.int32


def test_a_diverged_run_is_data():
    found, sampled = measured()
    for name, value in (found | sampled).items():
        assert name in probes.LONG_NAMES
        if value.dtype != np.int32 and not name.startswith("imbalance"):
            assert np.isnan(value[2]).all(), name
    assert np.isnan(found["imbalance"][2][:-1]).all()


@functools.cache
def network_of(kind):
    return {
        "tanh": lambda: networks.mlp((2, 3, 1), jnp.tanh),
        "residual": lambda: networks.residual_mlp((2, 3, 1), 1, jax.nn.relu),
        "conv": lambda: networks.convnet((4, 1), 2, 1, 1, jax.nn.relu, flatten=True),
        "tokens": lambda: networks.transformer((5, 4, 2), 1, jnp.tanh, heads=2, length=3),
    }[kind]()


REFUSED = [
    (probes.imbalance, "tanh", "activations with phi.* got tanh"),
    (probes.imbalance, "residual", "a chain of layers.*got layer 'block_1'"),
    (probes.activation_patterns, "tanh", "straight pieces.* got tanh"),
    (probes.orientations(), "residual", "a chain of layers"),
    (probes.layer_jacobians(), "conv", "must be an mlp for layer_jacobians.*'stem'"),
    (probes.jacobian_spectrum(), "tokens", "x must be floating"),
]


@pytest.mark.parametrize(("probe", "kind", "said"), REFUSED)
def test_what_has_no_definition_is_refused(probe, kind, said):
    network = network_of(kind)
    params = jax.tree.map(lambda spec: np.ones(spec.shape, "f"), network.specs)
    x = np.ones((2, 3), np.int32) if kind == "tokens" else np.ones((2, 4 if kind == "conv" else 2))
    batch = batch_of(params, x.astype("f") if kind != "tokens" else x, np.zeros(2, np.int32))
    with pytest.raises(TypeError, match=said):
        probe(network, params, batch)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (probes.orientations, {"cosine": 0.0}),
        (probes.orientations, {"least_norm": 1.5}),
        (probes.sharpness, {"iterations": 0}),
        (probes.kernel_movement, {"examples": 0}),
        (probes.jacobian_spectrum, {"vectors": 0}),
        (probes.layer_jacobians, {"examples": 0}),
    ],
)
def test_options_are_checked_where_the_probe_is_made(make, options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        make(**options)


def test_adopted_networks_show_no_layers():
    network = NETWORK._replace(activations={})
    for probe in (probes.effective_rank, probes.activation_patterns, probes.orientations()):
        with pytest.raises(TypeError, match="network must"):
            probe(network, START, batch_of(START))


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_gradient_descent_keeps_imbalance_to_the_second_order(kind):
    """A step of half the size changes it by a quarter: gradient flow not at all."""
    network = NETWORK if kind == "mlp" else network_of("conv")
    rng = np.random.default_rng(3)
    params = jax.tree.map(lambda spec: rng.standard_normal(spec.shape).astype("f"), network.specs)
    x = rng.standard_normal((6, 3 if kind == "mlp" else 4)).astype("f")
    batch = batch_of(params, x, np.arange(6) * 1.0, objectives.regression)
    outputs = 2 if kind == "mlp" else 1

    @jax.jit
    def drift(rate):
        def loss(params):
            return jnp.mean(jnp.square(network.apply(params, batch.x)[:, outputs - 1] - batch.y))

        moved = jax.tree.map(lambda p, g: p - rate * g, params, jax.grad(loss)(params))
        return probes.imbalance(network, moved, batch)["imbalance_drift"]

    once, half = (np.asarray(drift(jnp.float32(rate)))[:-1] for rate in (0.04, 0.02))
    np.testing.assert_allclose(once / half, 4, rtol=0.02)


def test_a_run_tells_a_probe_s_options():
    run = initlab.make_run(
        networks.mlp((2, 3, 1), jnp.tanh),
        lambda point: initlab.initializers.he_normal(),
        initlab.tasks.xor(points=4),
        optimizer=lambda point: optax.sgd(0.1),
        steps=1,
        every=1,
        probes=[probes.sharpness(iterations=3), probes.movement],
    )
    assert run.description["probes"] == ["sharpness(iterations=3)", "movement"]
