"""Whole-program predictions: against the recursion, beside draws; what is not followed is named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import initlab
from initlab import networks, signals
from initlab.audits.predicted import predicted_table, predicted_text
from initlab.initializers import by_role, initialize, lecun_normal
from initlab.signals.population import SIZE, Normals
from initlab.taps import Row

WIDTH = 64


def test_normals_are_exact_in_their_second_moments():
    normals = Normals()
    drawn = np.concatenate([normals.draw(count) for count in (5, 1, 40, 0)], axis=1)
    np.testing.assert_allclose(drawn.T @ drawn / SIZE, np.eye(46), atol=1e-9)
    np.testing.assert_allclose((drawn**3).mean(axis=0), 0, atol=1e-9)


def test_an_mlp_is_the_closed_recursion():
    x = np.random.default_rng(0).standard_normal((16, 30)).astype(np.float32)
    x /= np.sqrt(np.mean(x**2, axis=1, keepdims=True))
    network = networks.mlp((30, WIDTH, WIDTH, 1), jax.nn.relu, bias=False)
    draw = np.random.default_rng(1)
    params = jax.tree.map(lambda spec: draw.standard_normal(spec.shape), network.specs)
    # Entries whose mean square is 2 / fan_in exactly: the law is known without an error.
    params = jax.tree.map(
        lambda w: jnp.asarray(w * np.sqrt(2 / len(w) / np.mean(w**2)), np.float32), params
    )
    found = signals.predict(network.apply, params, x)
    assert not found.unfollowed
    assert found.places["output"] == found.places["layer_3/weight"]
    q, cosines = 2.0, x @ x.T / 30
    for number in (1, 2, 3):
        place = found.places[f"layer_{number}/weight"]
        np.testing.assert_allclose(place.rms**2, q, rtol=0.01)
        np.testing.assert_allclose(place.cosine_distance, 1 - (cosines.sum() - 16) / 240, rtol=0.02)
        # The arc-cosine kernel of relu (Cho and Saul 2009); q stays.
        cosines = np.clip(cosines, -1, 1)
        angles = np.arccos(cosines)
        cosines = (np.sqrt(1 - cosines**2) + cosines * (np.pi - angles)) / np.pi


def everything(params, x):
    """Patches, a class token, scanned blocks of attention and a gated branch, norms, pooling."""
    h = jax.lax.conv_general_dilated(
        x, params["patch"], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    h = jax.nn.relu(h + jnp.broadcast_to(params["bias"], h.shape))
    h = jax.lax.reduce_window(h, 0.0, jax.lax.add, (1, 1, 2, 1), (1, 1, 2, 1), "VALID") / 2
    h = h.reshape(len(x), -1, WIDTH)
    token = jnp.broadcast_to(params["token"], (len(x), 1, WIDTH))
    h = jnp.concatenate([token, h], axis=1)

    def block(h, own):
        centred = h - h.mean(-1, keepdims=True)
        normed = centred / jnp.sqrt(jnp.mean(centred**2, -1, keepdims=True))
        query, key, value = jnp.split(normed @ own["all"], 3, axis=-1)
        heads = [each.reshape(*each.shape[:2], 4, -1) for each in (query, key, value)]
        scores = jnp.einsum("bqhd,bkhd->bhqk", *heads[:2]) / (WIDTH // 4) ** 0.5
        seen = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), heads[2])
        h = h + seen.reshape(h.shape) @ own["end"]
        return h + (jax.nn.relu(h @ own["gate"]) * (h @ own["up"])) @ own["down"], None

    h, _ = jax.lax.scan(block, h, params["blocks"])
    return h.mean(1) @ params["out"], h[:, 0] @ params["first"]


def draw_everything(key):
    """Weights of variance 1 / fan_in."""
    w, stacked = WIDTH, {"all": 3 * WIDTH} | dict.fromkeys(("end", "gate", "up", "down"), WIDTH)
    shapes = {
        "patch": (2, 2, 3, w),
        "bias": (w,),
        "token": (w,),
        "out": (w, 5),
        "first": (w, 5),
        "blocks": {name: (2, w, width) for name, width in stacked.items()},
    }
    flat, tree = jax.tree.flatten(shapes, is_leaf=lambda each: isinstance(each, tuple))
    fans = [12 if len(shape) == 4 else w if len(shape) > 1 else 4 for shape in flat]
    keys = jax.random.split(key, len(flat))
    leaves = [
        jax.random.normal(each, shape) * fan**-0.5
        for each, shape, fan in zip(keys, flat, fans, strict=True)
    ]
    return jax.tree.unflatten(tree, leaves)


@pytest.mark.thorough
def test_a_program_of_everything_beside_its_draws():
    x = np.random.default_rng(0).standard_normal((3, 4, 4, 3)).astype(np.float32)
    found = signals.predict(everything, batch=x, init=draw_everything)
    assert not found.unfollowed
    assert {"patch", "blocks/all[1]", "blocks/down[0]", "first", "output 2"} <= set(found.places)

    @jax.jit
    def squares(keys):
        outputs = jax.lax.map(lambda key: everything(draw_everything(key), x), keys, batch_size=8)
        return [jnp.mean(each**2, (1, 2)) for each in outputs]

    measured = squares(jax.random.split(jax.random.key(7), 96))
    for name, each in zip(("output", "output 2"), measured, strict=True):
        mean, error = float(each.mean()), float(each.std() / 96**0.5)
        assert abs(found.places[name].rms ** 2 - mean) < 3 * error
        assert error < 0.1 * mean


def test_what_cannot_be_followed_is_named():
    x = np.ones((4, 6), np.float32)
    weight = jax.random.normal(jax.random.key(0), (6, 50))

    def apply(params, x):
        h = x @ params["in"]
        return (
            jnp.sort(h),
            jax.lax.while_loop(lambda h: h[0, 0] < 0, lambda h: h + 1, h),
            h @ params["positive"],
            jnp.max(h, axis=-1),
            x @ params["in"],
        )

    params = {"in": weight, "positive": jnp.abs(weight.T)}
    found = signals.predict(apply, params, x)
    assert set(found.places) == {"in"}
    assert found.unfollowed == {
        "positive": "the mean of positive is not 0",
        "output": "sort has no rule",
        "output 2": "a loop or a branch that data decide",
        "output 3": "the mean of positive is not 0",
        "output 4": "reduce_max over units",
        "output 5": "in is used again",
    }
    with pytest.raises(ValueError, match="either params or init, got neither or both"):
        signals.predict(apply, batch=x)
    with pytest.raises(ValueError, match="at least one example"):
        signals.predict(apply, params, x[:0])


def test_an_audit_shows_it_beside_what_it_measures():
    prediction = signals.WholePrediction(
        {"in": signals.PlacePrediction(1.5, 0.25), "gone": signals.PlacePrediction(1.0, 0.5)},
        {"out": "sort has no rule", "output": "sort has no rule"},
    )
    values = {"rms": np.array([1.0, 2.0, 1.0, 2.0]), "cosine_distance": np.full(4, 0.2)}
    row = Row("in", "product", "", True, 0, 0, 3, values)
    (line,) = predicted_table(prediction, [row])
    # Mean square 2.5 +- 0.866: 1.5^2 lies 0.25 below it.
    assert list(line.values()) == ["in", "1.5", "1.58", "0.3", "-0.3 s.e.", "0.25", "0.2"]
    said = predicted_text(prediction, [row])
    assert "not predicted: out, output: sort has no rule" in said


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["residual_mlp", "convnet", "transformer", "Llama"])
def test_the_labs_networks_beside_an_audit(name):
    draw = np.random.default_rng(0)
    rows = draw.standard_normal((8, 20)).astype(np.float32)
    images = draw.standard_normal((3, 6, 6, 3)).astype(np.float32)
    tokens = draw.integers(0, 11, (3, 5))
    llama = {"norm": "rms", "mlp": "gated", "positions": "rotary", "bias": False, "kv_heads": 2}
    network, x = {
        "residual_mlp": (networks.residual_mlp((20, 256, 9), 3, jax.nn.gelu, scanned=True), rows),
        "convnet": (networks.convnet((6, 6, 3), 256, 9, 2, jax.nn.relu, residual=True), images),
        "transformer": (
            networks.transformer((11, 256, 11), 2, jax.nn.gelu, heads=4, length=5),
            tokens,
        ),
        "Llama": (
            networks.transformer((11, 256, 11), 2, jax.nn.silu, heads=4, length=5, **llama),
            tokens,
        ),
    }[name]

    def init(key):
        return initialize(key, network.specs, by_role(lecun_normal()))

    report = initlab.audit(network.apply, batch=x, init=init, predicted=True)
    assert report.predicted is not None
    assert not report.predicted.unfollowed
    table = predicted_table(report.predicted, report.rows)
    off = np.array([float(line["off by"].split()[0]) for line in table])
    assert len(off) >= 7
    assert np.mean(np.abs(off) < 3) >= 0.9
    assert "predicted for wide layers" in str(report)
