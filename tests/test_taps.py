"""What is measured inside a model is what NumPy and plain gradients say of it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from audit_models import ROWS, TOKENS, WIDTH, deep, lecun, normal

import initlab
from initlab.compilation import compile_fast
from initlab.taps import measure, read_model, rows_of

SIZES = (8, 12, 6, 3)
PARAMS = {
    f"layer_{n}": {"w": normal(n, (i, o), 1.5 * i**-0.5), "b": normal(9 + n, (o,), 0.5)}
    for n, (i, o) in enumerate(itertools.pairwise(SIZES))
}


def rows(apply, params, x, loss=None):
    model = read_model(apply, params, x)
    many = jax.vmap(lambda key: measure(model, params, x, key, loss))
    keys = jax.random.split(jax.random.key(0), 1)
    measured = compile_fast(jax.jit(many).lower(keys))(keys)
    return model, measured, {(row.kind, row.place): row for row in rows_of(model, measured)}


def mlp(params, x, deltas=(0.0, 0.0, 0.0)):
    h = x
    for n, delta in enumerate(deltas):
        z = h @ params[f"layer_{n}"]["w"] + params[f"layer_{n}"]["b"][None] + delta
        h = (jnp.tanh, jax.nn.relu, lambda z: z)[n](z)
    return h


def squares(y):
    return jnp.mean(y**2)


@pytest.fixture(scope="module")
def measured():
    return rows(mlp, PARAMS, ROWS, squares)


def by_hand():
    zs, slopes, h = [], [], ROWS.astype(np.float64)
    for n in range(3):
        z = h @ PARAMS[f"layer_{n}"]["w"] + PARAMS[f"layer_{n}"]["b"]
        h = (np.tanh, lambda z: np.maximum(z, 0), lambda z: z)[n](z)
        slopes.append((1 - np.tanh(z) ** 2, (z > 0).astype(float), None)[n])
        zs.append(z)
    return zs, slopes


def test_rms_and_cosine_distances_are_those_of_numpy(measured):
    for n, z in enumerate(by_hand()[0]):
        values = measured[2]["product", f"layer_{n}/w"].values
        np.testing.assert_allclose(values["rms"], [np.sqrt(np.mean(z**2))], rtol=1e-5)
        unit = z / np.linalg.norm(z, axis=1, keepdims=True)
        cosines = (unit @ unit.T)[np.triu_indices(len(z), 1)]
        np.testing.assert_allclose(values["cosine_distance"], [1 - cosines.mean()], rtol=1e-4)


@pytest.mark.quick
def test_gradients_are_those_with_respect_to_a_shift_of_each_pre_activation(measured):
    zeros = [jnp.zeros((len(ROWS), size)) for size in SIZES[1:]]
    shifts = jax.jit(jax.grad(lambda deltas: squares(mlp(PARAMS, ROWS, deltas))))(zeros)
    for n, shift in enumerate(shifts):
        norm = measured[2]["product", f"layer_{n}/w"].values["gradient_norm"]
        np.testing.assert_allclose(norm, [np.linalg.norm(shift)], rtol=1e-5)


@pytest.mark.quick
def test_the_parameters_gradients_are_the_model_s_own(measured):
    loss = jax.jit(jax.value_and_grad(lambda p: squares(mlp(p, ROWS))))
    value, gradients = loss(PARAMS)
    for leaf, statistics in zip(jax.tree.leaves(gradients), measured[1]["params"], strict=True):
        np.testing.assert_allclose(
            statistics["gradient_rms"][0, 0], np.sqrt(np.mean(leaf**2)), rtol=1e-5
        )
    np.testing.assert_allclose(measured[1]["loss"], [value], rtol=1e-6)
    assert measured[1]["loss_at_zero"].tolist() == [0.0]


@pytest.mark.quick
def test_flat_slopes_and_dead_units_are_counted(measured):
    for n, slope in enumerate(by_hand()[1][:2]):
        values = measured[2]["activation", f"layer_{n}/w"].values
        np.testing.assert_allclose(values["saturated"], [np.mean(slope < 0.01)], atol=1e-6)
        assert values["dead"][0].tolist() == (slope == 0).all(axis=0).tolist()
    # P(|z| > atanh(sqrt(0.99))), z ~ N(0, 1), on a grid of 1/16.
    usual = measured[2]["activation", "layer_0/w"].values["usual"]
    np.testing.assert_allclose(usual, [0.00275], atol=5e-4)


@pytest.mark.quick
def test_every_layer_of_a_chain_is_on_the_path(measured):
    on_path = [row.place for row in measured[2].values() if row.on_path and row.kind == "product"]
    assert on_path == [f"layer_{n}/w" for n in range(3)]


def loops(kind):
    """The same net with its layers unrolled, scanned, rematerialized or one example at a time."""

    def layer(h, w):
        return jnp.tanh(h @ w), None

    def apply(params, x):
        if kind == "scanned":
            return jax.lax.scan(layer, x @ params["in"], params["w"])[0] @ params["out"]
        h = x @ params["in"]
        for w in params["w"]:
            h = jax.checkpoint(lambda h, w: layer(h, w)[0])(h, w)
        return h @ params["out"]

    if kind == "vmapped":
        return lambda params, x: jax.vmap(lambda row: apply(params, row[None])[0])(x)
    return apply


def test_a_loop_over_layers_is_measured_as_if_it_were_written_out():
    stacked = {name: deep(1.2 * lecun(WIDTH), depth=3)[name] for name in ("in", "out")}
    stacked["w"] = deep(1.2 * lecun(WIDTH), depth=3)["blocks"]["w"]
    listed = stacked | {"w": list(stacked["w"])}
    scanned = rows(loops("scanned"), stacked, ROWS, squares)[2]
    for kind in ("unrolled", "vmapped"):
        written = rows(loops(kind), listed, ROWS, squares)[2]
        for n in range(3):
            for what in ("product", "activation"):
                one, other = scanned[what, f"w[{n}]"], written[what, f"w/{n}"]
                assert one.on_path == other.on_path
                for name in one.values:
                    np.testing.assert_allclose(one.values[name], other.values[name], rtol=2e-4)


@jax.custom_vjp
def clipped(z):
    return jnp.clip(z, -1.0, 1.0)


clipped.defvjp(lambda z: (clipped(z), None), lambda _, g: (g,))


@jax.custom_vjp
def layer(h, w):
    return jnp.tanh(h @ w)


def _layer_backward(kept, g):
    h, w = kept
    return 3.0 * (g @ w.T), h.T @ g


layer.defvjp(lambda h, w: (layer(h, w), (h, w)), _layer_backward)

W = {"a": normal(1, (8, 6), 1.0), "b": normal(2, (6, 2), 1.0)}


def test_a_derivative_of_its_own_is_kept():
    model, measured, found = rows(lambda p, x: clipped(x @ p["a"]) @ p["b"], W, ROWS, squares)
    # It is clipped on most inputs, and the slope that it declares is 1 everywhere.
    assert found["activation", "a"].values["saturated"] == [0]
    assert not model.notes.untracked
    model, measured, found = rows(lambda p, x: layer(x @ p["a"], p["b"]), W, ROWS, squares)
    assert "layer" in model.notes.untracked
    inside = found["product", "b"]
    z = ROWS @ W["a"] @ W["b"]
    np.testing.assert_allclose(inside.values["rms"], [np.sqrt(np.mean(z**2))], rtol=1e-5)
    assert "gradient_norm" not in inside.values
    own = jax.grad(lambda p: squares(layer(ROWS @ p["a"], p["b"])))(W)["a"]
    np.testing.assert_allclose(
        measured["params"][0]["gradient_rms"][0, 0], np.sqrt(np.mean(own**2)), 1e-5
    )


def test_branches_are_measured_where_they_are_taken():
    def apply(params, x):
        h = x @ params["a"]
        return jax.lax.cond(jnp.sum(x) < 1e9, lambda h: h @ params["b"], lambda h: h[:, :2], h)

    found = rows(apply, W, ROWS, squares)[2]
    h = ROWS @ W["a"]
    taken = found["product", "b"].values
    np.testing.assert_allclose(taken["rms"], [np.sqrt(np.mean((h @ W["b"]) ** 2))], rtol=1e-5)
    assert taken["gradient_norm"][0] > 0


def test_branches_in_a_loop_are_rows_in_the_order_of_time():
    """Both branches of an iteration before the next; NaN, and a gradient of zero, if not taken."""
    params = {"blocks": normal(1, (2, 6, 6), 0.5), "other": W["a"][:6], "out": W["b"]}

    def apply(params, x):
        def block(state, weight):
            number, h = state
            branches = [lambda h: h @ weight, lambda h: h @ params["other"]]
            return (number + 1, jax.lax.switch(number, branches, h)), None

        return jax.lax.scan(block, (0, x[:, :6]), params["blocks"])[0][1] @ params["out"]

    found = rows(apply, params, ROWS, squares)[2]
    products = {row.place: row for row in found.values() if row.kind == "product"}
    assert list(products) == ["blocks[0]", "other", "blocks[1]", "other (2)", "out"]
    assert [row.in_branch for row in products.values()] == [True] * 4 + [False]
    h = ROWS[:, :6] @ params["blocks"][0]
    taken = {"blocks[0]": h, "other (2)": h @ params["other"]}
    for place in ("blocks[0]", "other", "blocks[1]", "other (2)"):
        values = products[place].values
        if place in taken:
            size = np.sqrt(np.mean(np.square(taken[place])))
            np.testing.assert_allclose(values["rms"], [size], rtol=1e-5)
            assert values["gradient_norm"] > 0
        else:
            assert np.isnan(values["rms"])
            assert values["gradient_norm"] == 0


def test_a_loop_over_time_is_one_row_and_tables_and_streams_are_places():
    def apply(params, tokens):
        x = params["table"][tokens]

        def step(h, x):
            return jnp.tanh(x @ params["i"] + h @ params["h"]), None

        h, _ = jax.lax.scan(step, jnp.zeros((8, 6)), jnp.moveaxis(x, 1, 0))
        return (h + h @ params["branch"]) @ params["out"]

    shapes = {"table": (9, 6), "i": (6, 6), "h": (6, 6), "branch": (6, 6), "out": (6, 2)}
    params = {name: normal(n, shape, 0.4) for n, (name, shape) in enumerate(shapes.items())}
    model, _, found = rows(apply, params, TOKENS)
    kinds = [(row.kind, row.place, row.on_path) for row in found.values() if row.on_path]
    assert kinds[:-1] == [
        ("product", "table", True),
        # By the order of the leaves, which a dict sorts.
        ("product", "h + i", True),
        ("sum", "branch", True),
        ("product", "out", True),
    ]
    assert model.notes.stacked == 0


def test_norms_are_counted_on_the_way():
    def normalized(h):
        return h / jnp.sqrt(jnp.mean(h**2, axis=-1, keepdims=True) + 1e-6)

    found = rows(lambda p, x: normalized(x @ p["a"]) @ p["b"], W, ROWS)[2]
    assert [found["product", name].norms for name in "ab"] == [0, 1]


def test_a_signal_that_float32_cannot_square_is_measured():
    tiny = {name: 1e-15 * w for name, w in W.items()}
    found = rows(lambda p, x: (x @ p["a"]) @ p["b"], tiny, ROWS)[2]
    expected = np.sqrt(np.mean((ROWS.astype(float) @ tiny["a"] @ tiny["b"]) ** 2))
    np.testing.assert_allclose(found["product", "b"].values["rms"], [expected], rtol=1e-5)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("params", "batch", "error", "message"),
    [
        ({}, ROWS, ValueError, "params must hold at least one array"),
        ({"a": 1.0}, ROWS, TypeError, r"params\['a'\] must be an array, got float"),
        ({"a": np.arange(3)}, ROWS, TypeError, r"params\['a'\] must be floating, got int"),
        (W, np.float32(1.0), ValueError, "batch must hold arrays whose first axis is examples"),
    ],
)
def test_bad_input_is_refused(params, batch, error, message):
    with pytest.raises(error, match=message):
        read_model(lambda p, x: x @ p["a"], params, batch)


def test_apply_must_be_a_function():
    with pytest.raises(TypeError, match="apply must be a function"):
        read_model("mlp", W, ROWS)  # type: ignore[arg-type]  # refused at run time too


def test_the_lab_s_own_layers_are_measured():
    network = initlab.networks.mlp((8, 5, 3), jnp.tanh)
    params = jax.tree.map(lambda spec: normal(1, spec.shape, 0.3), network.specs)
    found = rows(network.apply, params, ROWS)[2]
    z = ROWS @ params["layer_1"]["weight"] + params["layer_1"]["bias"]
    values = found["product", "layer_1/weight"].values
    np.testing.assert_allclose(values["rms"], [np.sqrt(np.mean(z**2))], rtol=1e-5)
