"""The deep networks against NumPy by hand and against flax; scanned against unrolled."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from deep_networks import CASES, draw_x, start, unstack
from foreign_models import linen_apply
from thorough import rows

import initlab
from initlab import networks, objectives, probes, symmetry
from initlab.initializers import by_role, orthogonal
from initlab.networks.layers import EPSILON, convolve, normalize
from initlab.types import Batch, Task

# Each beside one of its kind, here or in test_sequence_networks.
SLOW = {"transformer, sandwich", "recurrent, LSTM", "recurrent, GRU", "state_space"}
EACH = pytest.mark.parametrize("name", rows(CASES, CASES.keys() - SLOW))


DEPTH = 2
# Programs that run once are not worth optimizing.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@functools.cache
def _both(name):
    """A case's unrolled and scanned network, each with params, its program and what that gives."""
    make, _, _ = CASES[name]
    x = draw_x(name)
    with jax.enable_x64(True):
        scanned = make(scanned=True, dtype=np.float64)
        unrolled = make(dtype=np.float64)
        stacked = start(scanned)
        shape = jax.eval_shape(scanned.apply, stacked, x).shape
        cotangent = np.random.default_rng(1).standard_normal(shape)
        both = []
        for network, params in ((unrolled, unstack(stacked, DEPTH)), (scanned, stacked)):

            def score(params, network=network):
                logits = network.apply(params, x)
                return jnp.sum(jnp.sin(logits) * cotangent), logits

            def everything(params, network=network, score=score):
                return network.layers(params, x), jax.value_and_grad(score, has_aux=True)(params)

            program = jax.jit(everything, compiler_options=QUICK)
            both.append((network, params, program, jax.device_get(program(params))))
    return both


def _close(ours, wanted, tolerance):
    assert jax.tree.structure(ours) == jax.tree.structure(wanted)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@EACH
def test_states_and_logits_are_those_of_numpy(name):
    network, params, _, (states, ((_, logits), _)) = _both(name)[0]
    want = CASES[name][2](jax.tree.map(np.asarray, params), draw_x(name))
    assert set(states) == set(want) == set(network.activations)
    for layer, state in states.items():
        shown = [each for each in state if each is not None]
        for ours, by_hand in zip(shown, want[layer], strict=True):
            assert ours.dtype == np.float64
            np.testing.assert_allclose(ours, by_hand, rtol=1e-11, atol=1e-11)
    np.testing.assert_array_equal(states["readout"].a, states["readout"].z)
    np.testing.assert_allclose(logits, want["readout"][0], rtol=1e-11, atol=1e-11)


@EACH
def test_scanned_is_unrolled(name):
    (unrolled, params, _, (*one, slopes)), (scanned, _, _, (*other, stacked)) = (
        (network, params, None, (states, given[0], given[1]))
        for network, params, _, (states, given) in _both(name)
    )
    assert list(scanned.activations) == list(unrolled.activations)
    assert len(params) == len(unrolled.specs) == DEPTH + 2
    _close(other, one, 1e-12)
    _close(unstack(stacked, DEPTH), slopes, 1e-10)


@EACH
def test_the_gradient_is_that_of_finite_differences(name):
    _, params, program, (_, (_, gradient)) = _both(name)[1]
    step = 1e-6
    with jax.enable_x64(True):
        rng = np.random.default_rng(2)
        along = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape), params)
        ahead, behind = (
            program(jax.tree.map(lambda p, d, s=sign: p + s * step * d, params, along))[1][0][0]
            for sign in (1, -1)
        )
        got = sum(jax.tree.leaves(jax.tree.map(lambda g, d: float(np.sum(g * d)), gradient, along)))
        want = (float(ahead) - float(behind)) / (2 * step)
    assert abs(got) > 1e-3
    np.testing.assert_allclose(got, want, rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in [*CASES][::3] if name not in SLOW])
def test_float32_is_the_default(name):
    network, (reference, params, _, (_, ((_, logits), _))) = CASES[name][0](), _both(name)[0]
    assert all(spec.dtype == np.float32 for spec in jax.tree.leaves(network.specs))
    assert jax.tree.structure(network.specs) == jax.tree.structure(reference.specs)
    single = network.apply(
        jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), params), draw_x(name)
    )
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, logits, rtol=1e-4, atol=1e-4)


def test_a_decoder_does_not_see_what_comes_later():
    network, params, _, (_, ((_, logits), _)) = _both("transformer")[0]
    x = draw_x("transformer")
    later = x.copy()
    later[:, 2:] = (later[:, 2:] + 1) % 7
    with jax.enable_x64(True):
        changed, shorter = map(
            np.asarray, (network.apply(params, later), network.apply(params, x[:, :2]))
        )
    np.testing.assert_allclose(changed[:, :2], logits[:, :2], rtol=1e-12)
    assert np.abs(changed[:, 2:] - logits[:, 2:]).min() > 1e-6
    np.testing.assert_allclose(shorter, logits[:, :2], rtol=1e-12)


def test_flat_inputs_are_the_shaped_ones():
    network, params, _, (_, ((_, logits), _)) = _both("convnet")[0]
    x = draw_x("convnet")
    with jax.enable_x64(True):
        np.testing.assert_allclose(network.apply(params, x.reshape(3, -1)), logits, rtol=1e-12)
    network = networks.transformer((2, 4, 3), 1, jnp.tanh, heads=1, length=3, tokens=False)
    x, params = np.random.default_rng(0).standard_normal((5, 6)), start(network)
    shaped = network.apply(params, x.reshape(5, 3, 2))
    np.testing.assert_array_equal(network.apply(params, x), shaped)


def test_identical_units_of_a_residual_mlp_stay_bit_identical():
    network = networks.residual_mlp(
        (2, 37, 1), 3, jnp.tanh, gate=True, layer_norm=True, scanned=True
    )
    # The stream's units start random, those inside a branch alike, both ways.
    params = start(network)
    inside = params["blocks"]
    for layer, leaf in (("layer_1", "weight"), ("layer_1", "bias")):
        inside[layer][leaf] = np.broadcast_to(
            inside[layer][leaf][..., :1], inside[layer][leaf].shape
        )
    inside["layer_2"]["weight"] = np.broadcast_to(
        inside["layer_2"]["weight"][:, :1], inside["layer_2"]["weight"].shape
    )
    x = np.random.default_rng(0).standard_normal((23, 2))

    @jax.jit
    def descend(params):
        def step(params, _):
            gradient = jax.grad(lambda p: jnp.mean((network.apply(p, x) - 1.0) ** 2))(params)
            return jax.tree.map(lambda p, g: p - 0.05 * g, params, gradient), None

        return jax.lax.scan(step, params, None, length=200)[0]

    trained = descend(params)["blocks"]
    assert np.abs(trained["layer_1"]["weight"] - inside["layer_1"]["weight"]).max() > 1e-4
    for leaf in (trained["layer_1"]["weight"], trained["layer_1"]["bias"]):
        assert np.ptp(leaf, axis=-1).max() == 0
    assert np.ptp(trained["layer_2"]["weight"], axis=1).max() == 0


def test_norm_attention_and_convolution_are_flax_s():
    rng = np.random.default_rng(3)

    def draw(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    h, width, heads = draw(2, 5, 8), 8, 2
    norm = {"scale": draw(width), "bias": draw(width)}
    theirs = linen_apply(nn.LayerNorm(epsilon=EPSILON), norm, h)
    np.testing.assert_allclose(normalize(norm, jnp.asarray(h), -1), theirs, atol=1e-5)

    kernel, bias = draw(3, 2, 8, 4), draw(4)
    image = draw(2, 5, 6, 8)
    for padding in ("SAME", "CIRCULAR"):
        module = nn.Conv(4, (3, 2), padding=padding)
        theirs = linen_apply(module, {"kernel": kernel, "bias": bias}, image)
        own = {"weight": jnp.asarray(kernel), "bias": jnp.asarray(bias)}
        ours = convolve(own, jnp.swapaxes(image, 0, -1), padding == "CIRCULAR")
        np.testing.assert_allclose(np.swapaxes(ours, 0, -1), theirs, rtol=1e-5, atol=1e-5)

    network = networks.transformer(
        (width, width, width), 1, jnp.tanh, heads=heads, length=5, tokens=False, norm=None
    )
    params = start(network)
    # Nothing but the attention: h goes in and out as it is.
    params["embedding"] |= {
        "weight": np.eye(8, dtype=np.float32),
        "bias": np.zeros(8, np.float32),
        "position": np.zeros((5, 8), np.float32),
    }
    params["readout"] |= {"weight": np.eye(8, dtype=np.float32), "bias": np.zeros(8, np.float32)}
    params["block_1"]["mlp"] = jax.tree.map(np.zeros_like, params["block_1"]["mlp"])
    own = params["block_1"]["attention"]
    split = {
        name: {
            "kernel": own[name]["weight"].reshape(width, heads, -1),
            "bias": own[name]["bias"].reshape(heads, -1),
        }
        for name in ("query", "key", "value")
    }
    out = {
        "kernel": own["output"]["weight"].reshape(heads, -1, width),
        "bias": own["output"]["bias"],
    }
    module, mask = nn.MultiHeadDotProductAttention(heads), nn.make_causal_mask(h[..., 0])
    theirs = linen_apply(module, split | {"out": out}, h, mask=mask)
    np.testing.assert_allclose(network.apply(params, h), h + theirs, rtol=1e-5, atol=1e-5)


def _sequences():
    """Of each row of tokens, whether the first is the last."""
    x = np.random.default_rng(0).integers(0, 3, (48, 4))
    return Task(x, (x[:, 0] == x[:, -1]).astype(np.int64), objectives.binary, x[:9], x[:9, 0] % 2)


def _images():
    x = np.random.default_rng(0).standard_normal((48, 16))
    return Task(x, (x.sum(axis=1) > 0).astype(np.int64), objectives.binary, x[:9], np.arange(9) % 2)


def _trained(make, task, **changes):
    """A trace and the layers of a run with every probe that any network serves."""
    run = initlab.make_run(
        make(**changes),
        lambda p: by_role(orthogonal(p["gain"])),
        task,
        optimizer=lambda p: optax.sgd(p["learning_rate"], momentum=0.9),
        steps=40,
        every=40,
        probes=(probes.accuracy, probes.gradient_norm, probes.dead_units),
    )
    point = {"seed": 0, "gain": 1.0, "learning_rate": 0.1}
    return jax.jit(run, compiler_options=QUICK)(point), run.layers


TRAINED = {
    "residual_mlp": (functools.partial(networks.residual_mlp, (16, 8, 1), 2, jnp.tanh), _images),
    "convnet": (functools.partial(networks.convnet, (4, 4, 1), 4, 1, 2, jax.nn.relu), _images),
    "transformer": (
        functools.partial(
            networks.transformer, (3, 8, 1), 1, jax.nn.gelu, heads=2, length=4, last_only=True
        ),
        _sequences,
    ),
}


@pytest.mark.parametrize("name", rows(TRAINED, {"residual_mlp"}))
def test_runs_and_probes_take_it(name):
    make, task = TRAINED[name]
    trace, layers = _trained(make, task(), scanned=True)
    assert trace.first_nonfinite_step == -1
    start, end = trace.values["accuracy"]
    assert end > max(0.7, start)
    assert layers == tuple(make(scanned=True).activations)
    for variable in ("gradient_norm", "dead_units"):
        assert trace.values[variable].shape == (2, len(layers))
    assert (trace.values["gradient_norm"] > 0).all()


@pytest.mark.parametrize(
    "name", [name for name in CASES if "mlp" not in name and "state" not in name]
)
def test_the_specs_are_those_that_the_use_tells(name):
    scanned = not name.endswith("normed")
    network = CASES[name][0](scanned=scanned)
    x = draw_x(name)
    adopted = networks.adopt(
        lambda key: start(network), network.apply, x if x.dtype == int else np.float32(x)
    )
    assert not adopted.doubts
    for spec, read in zip(*map(jax.tree.leaves, (network.specs, adopted.specs)), strict=True):
        assert len(read.stack) == len(spec.stack)
        assert dataclasses.replace(read, stack=spec.stack) == spec


def test_norms_by_layer_are_those_of_numpy():
    network = CASES["residual_mlp"][0](scanned=True)
    params = start(network)
    batch = Batch(jnp.zeros(1), jnp.zeros(1), None, None, objectives.binary, params)
    norms = probes.weight_norm(network, params, batch)["weight_norm"]
    apart = unstack(params, DEPTH)
    weights = [
        np.concatenate([np.ravel(layer["weight"]) for layer in layers])
        for layers in (
            [apart["stem"]],
            *([apart[f"block_{n}"][f"layer_{k}"] for k in (1, 2)] for n in (1, 2)),
            [apart["readout"]],
        )
    ]
    np.testing.assert_allclose(norms, [np.sqrt(np.sum(w**2)) for w in weights], rtol=1e-5)


SIZES = (3, 17, 17, 17, 2)


def test_a_scanned_mlp_has_the_bits_of_an_unrolled_one():
    bias = (True, False, False, True)
    unrolled, scanned = (
        networks.mlp(SIZES, jnp.tanh, bias=bias, scanned=each) for each in (False, True)
    )
    assert scanned.specs["hidden"]["weight"].stack == ("layer_2/weight", "layer_3/weight")
    assert list(scanned.activations) == ["layer_1", "layer_2", "layer_3", "layer_4"]
    stacked = start(scanned)
    x = np.random.default_rng(0).standard_normal((19, 3)).astype(np.float32)

    @jax.jit
    def both(stacked):
        hidden = {
            f"layer_{n + 2}": jax.tree.map(lambda leaf, n=n: leaf[n], stacked["hidden"])
            for n in range(2)
        }
        ends = {name: stacked[name] for name in ("layer_1", "layer_4")}
        found = []
        for network, params in ((unrolled, ends | hidden), (scanned, stacked)):
            score = lambda p, network=network: jnp.sum(network.apply(p, x) ** 2)  # noqa: E731
            found.append((network.layers(params, x), jax.grad(score)(params)))
        (states, gradient), scanned_ones = found
        rows = [gradient.pop(name) for name in ("layer_2", "layer_3")]
        gradient["hidden"] = jax.tree.map(lambda *rows: jnp.stack(rows), *rows)
        return (states, gradient), scanned_ones

    jax.tree.map(np.testing.assert_array_equal, *both(stacked))


@pytest.mark.thorough
def test_the_units_of_a_scanned_mlp_are_those_that_its_program_has():
    network = networks.mlp(SIZES, jnp.tanh, scanned=True)
    by_hand = symmetry.mlp_groups(network.specs)
    found = symmetry.find_groups(network.apply, start(network), np.ones((4, 3)))
    assert {frozenset(group.axes) for group in by_hand} == {frozenset(each.axes) for each in found}
