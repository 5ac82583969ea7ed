"""Which parts of a state remember, and what is looked up row by row, read off programs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from audit_models import SEQUENCE
from faults_time import gated, in_chunks

from initlab import audit
from initlab.programs.ragged import expanded
from initlab.programs.trace import as_function, trace
from initlab.symmetry import find_groups
from initlab.taps.recurrence import components, takes_slices

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
    report = audit(in_chunks, gated(2.0), np.tile(SEQUENCE, (1, 4, 1)))
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
