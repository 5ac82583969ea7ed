"""State-space networks: residual blocks of diagonal linear recurrences over a sequence."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.activations import check_activation
from initlab.networks.blocks import assemble, stack_blocks, through_blocks
from initlab.networks.layers import add_branch, linear, linear_specs, norm_specs, normalize
from initlab.networks.sequences import check_sequences, embed, embedding_specs
from initlab.types import Activation, Array, LayerState, Network, Params, ParamSpec, Role

__all__ = ["state_space"]

FEATURES = -1
"""The axis of features: the last one of the stream."""


@checks.checked
def state_space(
    sizes: Sequence[int],
    depth: int,
    activation: Activation,
    *,
    length: int,
    states: int = 16,
    tokens: bool = False,
    last_only: bool = False,
    scanned: bool = False,
    dtype: Any = jnp.float32,
) -> Network:
    """`s_t = exp(dt A) s_(t-1) + dt B u_t`, `y_t = C s_t + D u_t`, `dt = softplus(dt_bias)`.

    The mixer of S4D with real A (Gu et al. 2022, arXiv:2206.11893), by the names and the
    discretization of Mamba (Gu and Dao 2023, arXiv:2312.00752, eq. 4 and section 3.6), whose dt, B
    and C depend on the data and here do not: `A = -exp(A_log)` is diagonal, and each of the width's
    channels has its own dt, A, B, C and D. A block is `h + W_2 phi(y(W_1 norm(h) + b_1)) + b_2`,
    the norm an RMS norm, as before the readout.

    Args:
      sizes: `(inputs, width, outputs)`; inputs counts the features of a step, or the tokens.
      depth: how many blocks, at least 1.
      activation: elementwise function phi, as `jax.nn.silu`.
      length: the longest sequence.
      states: N, how many numbers a channel remembers, at least 1.
      tokens: whether x holds integers [B, T] in [0, inputs), looked up in a table; otherwise
        x [B, T, inputs] goes through a linear layer, also from flat [B, length * inputs].
      last_only: whether only the last step is read: logits [B, outputs], as a task requires.
      scanned: whether the blocks are one `jax.lax.scan` over params stacked along a leading axis.
      dtype: floating dtype of params and activations.

    Returns:
      The network. `apply(params, x)` gives logits [B, T, outputs], or [B, outputs]. Its params are
      `{"embedding": ..., "block_1": {"norm", "layer_1", "mixer": {"dt_bias" [width], "A_log", "B",
      "C" [width, N], "D" [width]}, "layer_2"}, ..., "readout": {"norm", "weight", "bias"}}`, with
      "blocks" for all the blocks when scanned. dt_bias and A_log are biases: at 0 dt is log 2 and
      A is -1. `layers` gives of each block the stream after it, and y and phi(y) [B, T, width].

    Raises:
      TypeError: if a size is not an integer, activation not an elementwise function, dtype not
        floating, or, by apply, tokens are not integers.
      ValueError: if sizes are not three, a size is under 1, or dtype is turned off. By apply: if x
        has another shape, is too long, or holds a token out of range.

    >>> network = state_space((2, 8, 1), 1, jax.nn.silu, length=4, states=3)
    >>> network.specs["block_1"]["mixer"]["A_log"].shape
    (8, 3)
    """
    sizes = tuple(sizes)
    if len(sizes) != 3:
        raise ValueError(f"sizes must be (inputs, width, outputs), got {sizes}")
    for position, size in enumerate(sizes):
        checks.check_count(f"sizes[{position}]", size, 1)
    for name, count in (("depth", depth), ("length", length), ("states", states)):
        checks.check_count(name, count, 1)
    dtype = checks.check_dtype(dtype)
    check_activation("activation", activation, dtype)
    inputs, width, outputs = sizes
    specs = {
        "embedding": embedding_specs(inputs, width, tokens, dtype),
        **stack_blocks(_block_specs(width, states, dtype), depth, scanned),
        "readout": {
            "norm": norm_specs(width, dtype, "rms"),
            **linear_specs(width, outputs, Role.READOUT, dtype),
        },
    }

    def block(params: Params, h: jax.Array) -> tuple[jax.Array, LayerState]:
        def branch(h: jax.Array) -> tuple[jax.Array, LayerState]:
            z = _mix(params["mixer"], linear(params["layer_1"], h))
            a = activation(z)
            return linear(params["layer_2"], a), LayerState(z, a)

        h, (z, a, _) = add_branch(params, h, branch, FEATURES)
        return h, LayerState(z, a, h)

    def forward(params: Params, x: jax.Array, observe: bool) -> tuple[jax.Array, dict]:
        h = embedded = embed(params["embedding"], x, inputs)
        h, shown = through_blocks(block, params, h, depth, observe)
        readout = params["readout"]
        h = normalize(readout["norm"], h[:, -1] if last_only else h, FEATURES)
        logits = linear(readout, h)
        ends = {"embedding": LayerState(embedded, embedded), "readout": LayerState(logits, logits)}
        return logits, ends | shown

    def check_input(x: Array) -> Any:
        return check_sequences(x, inputs, length, tokens)

    return assemble(specs, forward, check_input, activation, depth)


def _block_specs(width: int, states: int, dtype: np.dtype) -> dict[str, Any]:
    shape = (width, states)
    return {
        "norm": norm_specs(width, dtype, "rms"),
        "layer_1": linear_specs(width, width, Role.WEIGHT, dtype),
        "mixer": {
            "dt_bias": ParamSpec((width,), 1, 1, Role.BIAS, dtype),
            "A_log": ParamSpec(shape, 1, states, Role.BIAS, dtype),
            # Of one channel: u goes to N states, and y sums over them.
            "B": ParamSpec(shape, 1, states, Role.WEIGHT, dtype),
            "C": ParamSpec(shape, states, 1, Role.WEIGHT, dtype),
            "D": ParamSpec((width,), 1, 1, Role.NORM_SCALE, dtype),
        },
        "layer_2": linear_specs(width, width, Role.RESIDUAL, dtype),
    }


def _mix(params: Params, u: jax.Array) -> jax.Array:
    """`y` of u, both [B, T, width]; the states [B, width, N] start at zero."""
    dt = jax.nn.softplus(params["dt_bias"])[:, None]
    decay = jnp.exp(-dt * jnp.exp(params["A_log"]))[None]
    into = (dt * params["B"])[None]
    out_of = params["C"][None]

    def step(state: jax.Array, u: jax.Array) -> tuple[jax.Array, jax.Array]:
        state = decay * state + into * u[:, :, None]
        return state, jnp.sum(out_of * state, axis=-1)

    start = jnp.zeros((u.shape[0], *params["B"].shape), u.dtype)
    _, y = jax.lax.scan(step, start, jnp.swapaxes(u, 0, 1))
    return jnp.swapaxes(y, 0, 1) + params["D"][None, None] * u
