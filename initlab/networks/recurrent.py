"""Recurrent networks: layers of LSTM or GRU cells, each a scan over the steps of a sequence."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.networks.blocks import assemble, stack_blocks, through_blocks
from initlab.networks.layers import linear, linear_specs
from initlab.networks.sequences import check_sequences, embed, embedding_specs
from initlab.types import Array, LayerState, Network, Params, ParamSpec, Role

__all__ = ["recurrent"]

GATES = {
    "lstm": ("input", "forget", "candidate", "output"),
    "gru": ("reset", "update", "candidate"),
}
"""Of each cell: the candidate is the one that goes through tanh."""


@checks.checked
def recurrent(
    sizes: Sequence[int],
    depth: int,
    *,
    length: int,
    cell: str = "lstm",
    tokens: bool = False,
    last_only: bool = False,
    scanned: bool = False,
    dtype: Any = jnp.float32,
) -> Network:
    """`h_t = o_t tanh(c_t)`, `c_t = f_t c_(t-1) + i_t tanh(z_t)`, each gate of x_t and h_(t-1).

    A gate is `sigmoid(x_t W + h_(t-1) U + b)`, z_t is the same sum. A GRU has
    `h_t = u_t h_(t-1) + (1 - u_t) tanh(x_t W + (r_t h_(t-1)) U + b)` instead, u the update and r
    the reset gate. The first layer sees the embedding, each other one the h of the layer before;
    states start at zero.

    Args:
      sizes: `(inputs, width, outputs)`; inputs counts the features of a step, or the tokens.
      depth: how many layers of cells, at least 1.
      length: the longest sequence.
      cell: "lstm" or "gru".
      tokens: whether x holds integers [B, T] in [0, inputs), looked up in a table; otherwise
        x [B, T, inputs] goes through a linear layer, also from flat [B, length * inputs].
      last_only: whether only the last step is read: logits [B, outputs], as a task requires.
      scanned: whether the layers are one `jax.lax.scan` over params stacked along a leading axis.
      dtype: floating dtype of params and activations.

    Returns:
      The network. `apply(params, x)` gives logits [B, T, outputs], or [B, outputs]. Its params are
      `{"embedding": ..., "block_1": {"forget": {"weight", "recurrent"}, ..., "bias"}, ...,
      "readout": ...}`, with "blocks" for all the layers when scanned; weight and recurrent lie
      [width, width], bias [gates, width], a row for each: of an LSTM input, forget, candidate and
      output, of a GRU reset, update and candidate. `layers` gives of each layer what its tanh takes
      and gives [B, T, width]: of an LSTM's c, of a GRU's candidate.

    Raises:
      TypeError: if a size is not an integer, dtype not floating, or, by apply, tokens are not
        integers.
      ValueError: if sizes are not three, a size is under 1, cell is no cell, or dtype is turned
        off. By apply: if x has another shape, is too long, or holds a token out of range.

    Source: Hochreiter and Schmidhuber 1997, with the forget gate of Gers, Schmidhuber and Cummins
      2000; Cho et al. 2014, arXiv:1406.1078, eqs. 5 to 8.

    >>> network = recurrent((2, 8, 1), 1, length=4, cell="gru")
    >>> sorted(network.specs["block_1"])
    ['bias', 'candidate', 'reset', 'update']
    """
    sizes = tuple(sizes)
    _check(sizes, depth, length, cell)
    dtype = checks.check_dtype(dtype)
    inputs, width, outputs = sizes
    weight = ParamSpec((width, width), width, width, Role.WEIGHT, dtype)
    # One array, since some schemes draw gates' biases together.
    bias = ParamSpec((len(GATES[cell]), width), width, width, Role.BIAS, dtype)
    gates = {name: {"weight": weight, "recurrent": weight} for name in GATES[cell]}
    specs = {
        "embedding": embedding_specs(inputs, width, tokens, dtype),
        **stack_blocks(gates | {"bias": bias}, depth, scanned),
        "readout": linear_specs(width, outputs, Role.READOUT, dtype),
    }
    run = _lstm if cell == "lstm" else _gru

    def forward(params: Params, x: jax.Array, observe: bool) -> tuple[jax.Array, dict]:
        h = embedded = embed(params["embedding"], x, inputs)
        h, states = through_blocks(run, params, h, depth, observe)
        logits = linear(params["readout"], h[:, -1] if last_only else h)
        ends = {"embedding": LayerState(embedded, embedded), "readout": LayerState(logits, logits)}
        return logits, ends | states

    def check_input(x: Array) -> Any:
        return check_sequences(x, inputs, length, tokens)

    return assemble(specs, forward, check_input, jnp.tanh, depth)


def _check(sizes: tuple, depth: int, length: int, cell: str) -> None:
    if len(sizes) != 3:
        raise ValueError(f"sizes must be (inputs, width, outputs), got {sizes}")
    for position, size in enumerate(sizes):
        checks.check_count(f"sizes[{position}]", size, 1)
    checks.check_count("depth", depth, 1)
    checks.check_count("length", length, 1)
    if cell not in GATES:
        raise ValueError(f"cell must be one of {', '.join(map(repr, GATES))}, got {cell!r:.80}")


def _lstm(params: Params, x: jax.Array) -> tuple[jax.Array, LayerState]:
    """[B, T, width] to [B, T, width]."""
    driven = _driven(params, x, GATES["lstm"])

    def step(carry: tuple, driven: Params) -> tuple[tuple, tuple]:
        h, c = carry
        z = {name: driven[name] + _from_state(params[name], h) for name in GATES["lstm"]}
        kept = jax.nn.sigmoid(z["forget"]) * c
        c = kept + jax.nn.sigmoid(z["input"]) * jnp.tanh(z["candidate"])
        a = jnp.tanh(c)
        h = jax.nn.sigmoid(z["output"]) * a
        return (h, c), (h, c, a)

    start = jnp.zeros_like(x[:, 0])
    h, c, a = _over_steps(step, (start, start), driven)
    return h, LayerState(c, a)


def _gru(params: Params, x: jax.Array) -> tuple[jax.Array, LayerState]:
    """[B, T, width] to [B, T, width]."""
    driven = _driven(params, x, GATES["gru"])

    def step(h: jax.Array, driven: Params) -> tuple[jax.Array, tuple]:
        reset, update = (
            jax.nn.sigmoid(driven[name] + _from_state(params[name], h))
            for name in ("reset", "update")
        )
        z = driven["candidate"] + _from_state(params["candidate"], reset * h)
        a = jnp.tanh(z)
        h = update * h + (1 - update) * a
        return h, (h, z, a)

    h, z, a = _over_steps(step, jnp.zeros_like(x[:, 0]), driven)
    return h, LayerState(z, a)


def _driven(params: Params, x: jax.Array, gates: Sequence[str]) -> dict[str, jax.Array]:
    """`x_t W + b` of each gate: what does not depend on h, one product over all steps."""
    weights = (params[name]["weight"] for name in gates)
    return {
        name: linear({"weight": weight, "bias": bias}, x)
        for name, weight, bias in zip(gates, weights, params["bias"], strict=True)
    }


def _from_state(params: Params, h: jax.Array) -> jax.Array:
    return jnp.matmul(h, params["recurrent"], precision=jax.lax.Precision.HIGHEST)


def _over_steps(step: Any, start: Any, driven: Params) -> Any:
    """What a step shows, [B, T, width]: the scan runs over the second axis."""
    by_step = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), driven)
    _, shown = jax.lax.scan(step, start, by_step)
    return jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), shown)
