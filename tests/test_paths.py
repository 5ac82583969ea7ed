"""The paths of each input: products keep them, sums and gates end an input's own scale."""

import jax
import jax.numpy as jnp
import pytest
from model_pieces import WIDTH
from second_inputs import (
    _crossed,
    _filters,
    _modulated,
    _scanned,
    continuous_filters,
    crossed,
    modulated,
    part,
    scanned_graph,
)

from initlab.taps import read_model

SIZES = {"a": (4, WIDTH), "b": (WIDTH, WIDTH), "c": (5, WIDTH), "out": (WIDTH, 3)}
PARAMS = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in SIZES.items()}


def sets(change):
    """Two layers on a set, what `change` makes of them and of the batch, and a readout."""

    def apply(params, batch):
        h = jnp.tanh(jnp.tanh(batch["x"] @ params["a"]) @ params["b"])
        return change(h, batch, params).sum(1) @ params["out"]

    return apply


def table(params):
    return jnp.concatenate([params["c"], params["c"]])


def behind_scores(h, batch, params):
    """Attention to what is no padding, which the tokens' own numbers say."""
    hidden = (1 - (batch["tokens"] > 0).astype(h.dtype)) * -1e9
    return jax.nn.softmax(h @ jnp.swapaxes(h, 1, 2) + hidden[:, None]) @ h


CASES = {
    "a mask": (lambda h, batch, p: h * batch["mask"][..., None], ("mask", "x"), "ab"),
    "a mask first": (lambda h, batch, p: batch["mask"][..., None] * h, ("mask", "x"), "ab"),
    "a choice": (
        lambda h, batch, p: jnp.where(batch["mask"][..., None] > 0, h, 0),
        ("mask", "x"),
        "ab",
    ),
    "a mean": (lambda h, batch, p: h / batch["mask"].sum(1)[:, None, None], ("mask", "x"), "ab"),
    "a graph": (lambda h, batch, p: batch["adjacency"] @ h, ("adjacency", "x"), "ab"),
    "rows of a graph": (lambda h, batch, p: h[:, batch["senders"]], ("x", "senders"), "ab"),
    "edges": (
        lambda h, batch, p: jax.ops.segment_sum(
            jnp.swapaxes(h, 0, 1)[batch["senders"]], batch["senders"], 5
        ).swapaxes(0, 1),
        ("x", "senders"),
        "ab",
    ),
    "padding in scores": (behind_scores, ("x", "tokens"), "ab"),
    "a sum with another input": (
        lambda h, batch, p: h + table(p)[batch["tokens"]],
        ("x", "tokens"),
        "",
    ),
    "another input beside it": (
        lambda h, batch, p: jnp.concatenate([h, table(p)[batch["tokens"]]], 1),
        ("x", "tokens"),
        "",
    ),
    "an input around it": (lambda h, batch, p: h + batch["x"][..., :1], ("x",), ""),
    "a gate of it": (
        lambda h, batch, p: jax.nn.sigmoid(h) * batch["mask"][..., None],
        ("mask", "x"),
        "",
    ),
}


@pytest.mark.quick
@pytest.mark.parametrize("name", CASES)
def test_a_path_goes_on_through_products_with_another_input(name):
    change, inputs, seen = CASES[name]
    batch = part(*inputs)
    with jax.numpy_rank_promotion("allow"):
        model = read_model(sets(change), PARAMS, batch)
    (out,), (number,) = model.outputs, [n for n, key in enumerate(sorted(batch)) if key == "x"]
    names = {place.key: place.site.names for place in model.plan.sites()}
    # In proportion: what lies on the path, and no sum or gate of another input behind it.
    on_path = {model.paths[names[key].bit_length() - 1] for key in out.paths[number]}
    kept = on_path - {"out"} if not out.mixed.get(number) else set()
    assert kept == set(seen)


@pytest.mark.quick
def test_loops_filters_conditions_and_other_sequences():
    def read(apply, params, *inputs):
        with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
            model = read_model(apply, params, part(*inputs))
        return model, model.outputs[0]

    # Inputs are numbered in the order of their names.
    _, graph = read(scanned_graph, _scanned(), "adjacency", "x")
    assert not graph.mixed
    assert len(graph.paths[1]) == 3
    _, filters = read(continuous_filters, _filters(), "edges", "x")
    assert not filters.mixed
    assert len(filters.paths[1]) == 5
    _, condition = read(modulated, _modulated(), "condition", "x")
    assert set(condition.mixed) == {0, 1}
    assert len(condition.paths[0]) > len(condition.above)
    _, sequences = read(crossed, _crossed(), "edges", "x")
    assert sequences.mixed[0]
    assert len(sequences.paths[1]) == 4


@pytest.mark.quick
def test_no_gradient_is_expected_before_a_stop_in_an_unrolled_stack():
    def apply(params, x):
        for number in range(3):
            x = jnp.tanh(x @ params["w"][number])
            x = jax.lax.stop_gradient(x) if number == 1 else x
        return x

    model = read_model(apply, {"w": jnp.zeros((3, 4, 4))}, jnp.zeros((2, 4)))
    products = [place.key for place in model.plan.sites() if place.site.kind == "product"]
    assert [key in model.outputs[0].live for key in products] == [False, False, True]


@pytest.mark.quick
def test_a_multiplication_and_a_sum_is_the_product_that_it_is():
    shapes = {"w": (6, 4), "scale": (4,)}
    params = {name: jnp.zeros(shape) for name, shape in shapes.items()}

    def read(apply):
        model = read_model(apply, params, jnp.zeros((5, 4)))
        return {place.site.kind for place in model.plan.sites()} - {"input"}, model

    kinds, model = read(lambda p, x: (x[:, None, :] * p["w"][None]).sum(-1))
    assert kinds == {"product"}
    assert model.notes.contracted == 1 << model.paths.index("w")
    assert model.outputs[0].features == (False, True)
    # A scale of each feature is none, whatever is summed behind it.
    kinds, model = read(lambda p, x: (x * p["scale"][None]).sum(-1))
    assert not kinds
    assert not model.notes.contracted


@pytest.mark.quick
def test_weights_that_a_net_makes_by_a_sum_are_seen_where_they_are_used():
    def apply(params, x):
        made = (params["make"][None] * x[:, None]).sum(-1).reshape(len(x), 4, 3)
        return (x[:, :, None] * made).sum(1)

    model = read_model(apply, {"make": jnp.zeros((12, 4))}, jnp.zeros((5, 4)))
    products = [place.site.names for place in model.plan.sites() if place.site.kind == "product"]
    assert products == [1, 1]
