"""Sound starts along time: loops that keep, add up or repeat what they are given."""

import jax
import jax.numpy as jnp
import numpy as np
from audit_models import lecun, plain
from faults_time import (
    HALF,
    LONG,
    WIDTH,
    _cells,
    elman,
    gated_state,
    indexed,
    of_time_steps,
    one_by_one,
    recurrent,
    state_space,
    unrolled,
    without_state,
)

SQUARE = np.linalg.qr(np.random.default_rng(8).normal(size=(WIDTH, WIDTH)))[0].astype(np.float32)
OPEN = {"gate": HALF["gate"] + np.float32(5)}
STEPS = np.exp(np.random.default_rng(9).uniform(np.log(1e-3), np.log(1e-1), WIDTH))


def summed(params, x):
    """Linear attention without a norm: a state that is only added to."""

    def step(state, token):
        key, value = token @ params["in"], token @ params["state"]
        state = state + key[:, :, None] * value[:, None, :]
        return state, jnp.einsum("bij,bi->bj", state, key) / WIDTH

    start = jnp.zeros((len(x), WIDTH, WIDTH))
    return jax.lax.scan(step, start, jnp.swapaxes(x, 0, 1))[1] @ params["out"]


def averaged(params, x):
    """A running mean, whose examples come nearer to each other as it grows."""

    def step(state, token):
        total, count = state
        total, count = total + jax.nn.relu(token @ params["in"]), count + 1
        return (total, count), None

    start = jnp.zeros((len(x), WIDTH)), jnp.zeros(())
    (total, count), _ = jax.lax.scan(step, start, jnp.swapaxes(x, 0, 1))
    return (total / count) @ params["out"]


def to_a_fixed_point(params, x):
    """An implicit layer, a contraction of the same inputs, which may forget its start."""
    u = x @ params["in"]
    h = jax.lax.fori_loop(0, 20, lambda _, h: jnp.tanh(h @ params["state"] + u), u * 0.0)
    return h @ params["out"]


STEP_SOUND = {
    "an Elman net, LeCun": (plain(elman, recurrent(lecun(WIDTH)), LONG), None, ()),
    "an Elman net, orthogonal": (plain(elman, recurrent(1.0) | {"state": SQUARE}, LONG), None, ()),
    "an Elman net, inputs by their number": (
        plain(indexed, recurrent(1.0) | {"state": SQUARE}, LONG),
        None,
        (),
    ),
    "flax: simple cells": (_cells(WIDTH**-0.5), None, ()),
    "60 orthogonal steps": (plain(unrolled, recurrent(1.0, 8) | {"state": SQUARE}), None, ()),
    "60 steps of gates that are open": (
        plain(
            gated_state, without_state(recurrent(1.0, 8)) | {"gate": HALF["gate"] + np.float32(5)}
        ),
        None,
        (),
    ),
    "a state that is only added to": (plain(summed, recurrent(0.25), LONG), None, ()),
    "a running mean": (plain(averaged, without_state(recurrent(1.0)), LONG), None, ()),
    "steps to a fixed point": (plain(to_a_fixed_point, recurrent(0.3 * lecun(WIDTH), 8)), None, ()),
    "time steps of 1e-3 to 1e-1": (plain(state_space, of_time_steps(STEPS), LONG), None, ()),
    "time steps of 1e-3 to 1e-1, one by one": (
        plain(one_by_one, of_time_steps(STEPS), LONG),
        None,
        (),
    ),
}
