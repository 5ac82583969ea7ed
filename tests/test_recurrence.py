"""Which parts of a state remember, and what is looked up row by row, read off programs."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from audit_models import SEQUENCE
from faults_time import LONG, WIDTH, elman, gated, in_chunks, leaky, one_by_one

from initlab import audit
from initlab.programs.ragged import expanded
from initlab.programs.trace import as_function, trace
from initlab.symmetry import find_groups
from initlab.taps import read_model
from initlab.taps.recurrence import components, takes_slices
from initlab.taps.scope import bits
from initlab.taps.unrolled import find_unrolled, memory_of

STATES = {
    "two cells": (lambda h, c, x: (jnp.tanh(h + x), c * x), [[0], [1]]),
    "one of two": (lambda h, c, x: (jnp.tanh(c), h * c + x), [[0, 1]]),
    "read by another": (lambda h, c, x: (jnp.tanh(h * x), jnp.sin(c) + h), [[0], [1]]),
    "a buffer": (lambda h, c, x: (jnp.sin(h), c.at[1].set(h[0])), [[0]]),
    "the latest inputs": (lambda h, c, x: (jnp.concatenate([h[1:], x[:1]]), jnp.sin(c)), [[1]]),
    "a sum": (lambda h, c, x: (h + x, c + h), []),
    "a constant": (lambda h, c, x: (h, jnp.tanh(jax.jit(jnp.sin)(c) * h)), [[1]]),
    "cut off": (lambda h, c, x: (jnp.sin(jax.lax.stop_gradient(h)), c * x), [[1]]),
    "growing by itself": (lambda h, c, x: (h + h, x), [[0]]),
}


@pytest.mark.parametrize("name", STATES)
def test_a_part_remembers_if_a_step_computes_it_from_itself(name):
    step, wanted = STATES[name]
    program, _ = trace(step, jnp.ones(3), jnp.ones(3), jnp.ones(3))
    assert components(program, 0, [0, 1]) == wanted


def test_slices_by_number_are_inputs_of_a_step():
    program, _ = trace(lambda x, t: jax.jit(jnp.take)(jnp.sin(x), t), jnp.ones(3), 1)
    assert takes_slices(program, [True, False])
    assert not takes_slices(program, [False, True])
    program, _ = trace(lambda x, t: x * t, jnp.ones(3), 1)
    assert not takes_slices(program, [True, True])


def decaying(p, x):
    h = jnp.zeros_like(x[:, 0])
    for t in range(x.shape[1]):
        h = jax.jit(jnp.add)(h @ p, jnp.take(x, t, axis=1))
    return h


def test_what_an_unrolled_step_keeps_is_measured():
    params, x = 0.3 * np.eye(3, dtype=np.float32), np.ones((2, 7, 3), np.float32)
    program, _ = trace(decaying, params, x)
    (found,) = find_unrolled(program, 1)
    memory = jax.jit(lambda p, x: memory_of(program, (p, x), found))(params, x)["memory"]
    np.testing.assert_allclose(memory, np.log(0.3), rtol=1e-5)


def shared_layers(p, x):
    for _ in range(7):
        x = x + jnp.tanh(x[:, :1] - x) @ p
    return x


def to_a_fixed_point(p, x):
    z = jnp.zeros_like(x[:, 0])
    for _ in range(7):
        z = jnp.tanh(x[:, 0] + z @ p)
    return z


@pytest.mark.parametrize("apply", [shared_layers, to_a_fixed_point])
def test_layers_that_share_their_parameters_are_no_steps_in_time(apply):
    program, _ = trace(apply, jnp.ones((3, 3)), jnp.ones((2, 7, 3)))
    assert find_unrolled(program, 1) == []


def test_a_ragged_product_is_a_product_with_each_row_s_matrix():
    draw = np.random.default_rng(0)
    x, w = (jnp.asarray(draw.normal(size=shape)) for shape in ((7, 3), (4, 3, 5)))
    for sizes in ([2, 0, 4, 1], [7, 0, 0, 0], [0, 0, 0, 7]):
        (equation,) = jax.make_jaxpr(jax.lax.ragged_dot)(x, w, jnp.asarray(sizes)).eqns
        (found,) = as_function(expanded(equation))(x, w, jnp.asarray(sizes))
        rows = np.repeat(np.arange(4), sizes)
        wanted = np.einsum("ti,tio->to", x, np.asarray(w)[rows])
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def sorted_experts(params, x):
    """Tokens sorted by their expert, and put back."""
    expert = jnp.argmax(x @ params["r"], -1)
    order = jnp.argsort(expert)
    sizes = jnp.zeros(4, jnp.int32).at[expert].add(1)
    h = jnp.tanh(jax.lax.ragged_dot(x[order], params["w"], sizes))
    y = jax.lax.ragged_dot(h, params["v"], sizes)
    return (
        jnp.zeros_like(y).at[order].set(y) * jnp.max(jax.nn.softmax(x @ params["r"]), -1)[:, None]
    )


def _experts():
    draw = np.random.default_rng(1)
    shapes = {"r": (6, 4), "w": (4, 6, 8), "v": (4, 8, 3)}
    return {name: draw.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


X = np.random.default_rng(2).normal(size=(16, 6)).astype(np.float32)


def test_experts_of_sorted_tokens_have_units_each_of_its_own():
    (group,) = find_groups(sorted_experts, _experts(), X)
    assert [unit.path for unit in group.axes] == ["v", "w"]
    assert (group.size, group.blocks) == (8, (4,))


def test_equal_experts_of_sorted_tokens_are_found():
    params = _experts()
    params["w"][:], params["v"][:] = params["w"][:1], params["v"][:1]
    found = audit(sorted_experts, params, X).findings
    assert {each.place for each in found if each.code == "repeated_slices"} == {"w 0", "v 0"}


@pytest.mark.thorough
def test_a_chunk_may_forget_what_its_steps_keep():
    """Eight steps that keep 0.88 each keep 0.37 together."""
    with jax.numpy_rank_promotion("allow"):
        report = audit(in_chunks, gated(2.0), LONG)
    assert not [each for each in report.findings if each.code == "time_decay"]


def test_a_loop_that_cannot_be_followed_is_named():
    def step(h, x):
        h = jax.pure_callback(np.tanh, jax.ShapeDtypeStruct(h.shape, h.dtype), h) + x
        return h, None

    def apply(params, x):
        u = jnp.swapaxes(x @ params["in"], 0, 1)
        return jax.lax.scan(step, u[0], u)[0] @ params["in"].T

    params = {"in": np.eye(SEQUENCE.shape[-1], dtype=np.float32)}
    notes = [each for each in audit(apply, params, SEQUENCE).findings if each.code == "untracked"]
    assert any("time_decay was not checked" in each.cause and "in" in each.place for each in notes)


def leak(params, s, token):
    return jax.nn.sigmoid(params["a"])[None] * s + token @ params["in"]


def first(x):
    return jnp.zeros((len(x), WIDTH))


def by_number(params, x):
    return jax.lax.fori_loop(0, x.shape[1], lambda t, s: leak(params, s, x[:, t]), first(x))


def carried_along(params, x):
    """The inputs are handed on from step to step."""

    def step(t, state):
        s, x = state
        return leak(params, s, x[:, t]), x

    return jax.lax.fori_loop(0, x.shape[1], step, (first(x), x))[0]


def until_the_end(params, x):
    def step(state):
        t, s, x = state
        return t + 1, leak(params, s, x[:, t]), x

    number = jnp.sum(jnp.any(x != 0, (0, 2)))
    start = jnp.zeros((), number.dtype), first(x), x
    return jax.lax.while_loop(lambda state: state[0] < number, step, start)[1]


def where_there_is_one(params, x):
    """A step is left out where nothing comes in."""

    def step(s, token):
        s = jax.lax.cond(jnp.any(token != 0), lambda s: leak(params, s, token), lambda s: s, s)
        return s, None

    return jax.lax.scan(step, first(x), jnp.swapaxes(x, 0, 1))[0]


def two_parts(params, x):
    """A gate that reads what comes out, as an LSTM's."""

    def step(state, token):
        c, h = state
        c = jax.nn.sigmoid(token @ params["in"] + h @ params["state"]) * c + token @ params["more"]
        return (c, jnp.tanh(c)), None

    return jax.lax.scan(step, (first(x), first(x)), jnp.swapaxes(x, 0, 1))[0][1]


class _Leaky(nn.Module):
    @nn.compact
    def __call__(self, x):
        a = self.param("a", nn.initializers.zeros, (WIDTH,))
        u = nn.Dense(WIDTH, use_bias=False)(x)

        def step(s, token):
            return nn.sigmoid(a)[None] * s + token, None

        return jax.lax.scan(step, first(x), jnp.swapaxes(u, 0, 1))[0]


def flax_leaky(params, x):
    kernel = {"kernel": params["in"]}
    return _Leaky().apply({"params": {"a": params["a"], "Dense_0": kernel}}, x)


KEEPERS = {
    "scan": (leaky, "a"),
    "by number": (by_number, "a"),
    "inputs carried along": (carried_along, "a"),
    "while": (until_the_end, "a"),
    "cond": (where_there_is_one, "a"),
    "vmap": (lambda params, x: jax.vmap(lambda row: leaky(params, row[None])[0])(x), "a"),
    "flax": (flax_leaky, "a"),
    "a decay computed before": (one_by_one, "A_log"),
    "an activation": (elman, "in state"),
    "two parts": (two_parts, "in more state"),
}


@pytest.mark.parametrize("name", KEEPERS)
def test_a_state_is_called_by_what_multiplies_it_from_step_to_step(name):
    apply, wanted = KEEPERS[name]
    square, row = (
        jax.ShapeDtypeStruct((16, WIDTH), "float32"),
        jax.ShapeDtypeStruct((WIDTH,), "float32"),
    )
    params = dict.fromkeys(("in", "state", "more", "dt"), square)
    params |= dict.fromkeys(("a", "dt_bias", "A_log"), row) | {"out": square}
    with jax.numpy_rank_promotion("allow"):
        model = read_model(apply, params, jax.ShapeDtypeStruct((8, 24, 16), "float32"))
    states = [place.site for place in model.plan.sites() if place.site.kind == "state"]
    assert states
    for site in states:
        assert " ".join(model.paths[bit] for bit in bits(site.names)) == wanted
