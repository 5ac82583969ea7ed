"""Sound starts whose axes are batched: heads, experts, members, tables that layers share."""

import jax
import jax.numpy as jnp
import numpy as np
from audit_models import SEQUENCE, plain
from block_models import experts, grouped_queries, heads, members, repeated_keys, unrolled
from faults_copies import (
    ENSEMBLE,
    EXPERTS,
    FLAT,
    HEADS,
    JOINED,
    MASKED,
    QUERIES,
    STACK,
    all_alike,
    draw,
    joined,
    masked,
)
from slice_models import carried


def states(params, x):
    """A diagonal state of each channel whose decay rates are one table for all of them."""
    h = jnp.einsum("btd,dc->btc", x, params["in"])
    rates = -jnp.exp(params["log_rates"])
    kept = jnp.exp(rates * jax.nn.softplus(params["step"])[:, None])

    def step(state, h):
        state = kept[None] * state + h[:, :, None] * params["write"][None]
        return state, jnp.einsum("bcn,cn->bc", state, params["read"])

    _, read = jax.lax.scan(step, jnp.zeros((*h.shape[::2], 8)), jnp.swapaxes(h, 0, 1))
    return jnp.swapaxes(read, 0, 1) @ params["out"]


def _states():
    shapes = {"in": (16, 12), "write": (12, 8), "read": (12, 8), "out": (12, 4)}
    table = np.log(np.arange(1, 9, dtype=np.float32))
    return draw(shapes) | {
        "log_rates": np.repeat(table[None], 12, 0),
        "step": np.full(12, -1.0, np.float32),
    }


def _zero_readouts():
    params = draw(ENSEMBLE)
    params["c"][:] = 0
    return params


COPIES_SOUND = {
    "heads": (plain(heads, lambda: draw(HEADS), SEQUENCE), None, ()),
    "query heads in groups": (plain(grouped_queries, lambda: draw(QUERIES), SEQUENCE), None, ()),
    "repeated key heads": (plain(repeated_keys, lambda: draw(FLAT), SEQUENCE), None, ()),
    "experts": (plain(experts, lambda: draw(EXPERTS)), None, ()),
    "members with readouts of zero": (plain(members, _zero_readouts), all_alike, ()),
    "layers written out of a stack": (plain(unrolled, lambda: draw(STACK)), None, ()),
    "layers that a scan carries": (plain(carried, lambda: draw({"w": (4, 8, 8)})), None, ()),
    "layers that are joined": (plain(joined, lambda: draw(JOINED)), None, ()),
    "masks of ones": (plain(masked, lambda: draw(MASKED)), None, ()),
    "channels that share a table of decay rates": (plain(states, _states, SEQUENCE), None, ()),
}
