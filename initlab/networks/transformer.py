"""The decoder: causal self-attention over tokens or over real-valued sequences."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.networks import layers as parts
from initlab.networks.blocks import assemble, stack_blocks, through_blocks
from initlab.types import Activation, Array, LayerState, Network, Params, ParamSpec, Role

__all__ = ["transformer"]

FEATURES = -1


def transformer(
    sizes: Sequence[int],
    depth: int,
    activation: Activation,
    *,
    heads: int,
    length: int,
    tokens: bool = True,
    hidden: int | None = None,
    layer_norm: bool = True,
    post_norm: bool = False,
    gate: bool = False,
    tied: bool = False,
    last_only: bool = False,
    scanned: bool = False,
    dtype: Any = jnp.float32,
) -> Network:
    """`h = embed(x) + position`; in each block `h += attention(norm(h))`, `h += mlp(norm(h))`.

    Pre-norm as GPT-2 (Radford et al. 2019), with a norm before the readout; post-norm,
    `h = norm(h + branch(h))`, as Vaswani et al. 2017 (arXiv:1706.03762). Attention is causal,
    `softmax(q k / sqrt(width / heads))`; the mlp is `W_2 phi(W_1 h + b_1) + b_2`. Bit-identity of
    units that start identical is not promised: the library's products sum in an order of their own.

    Args:
      sizes: `(inputs, width, outputs)`; inputs counts the tokens of the vocabulary, or the features
        of a real-valued sequence.
      depth: how many blocks, at least 1.
      activation: elementwise function phi of the mlps, as `jax.nn.gelu`.
      heads: how many; they divide width.
      length: the longest sequence, for which positions are learned.
      tokens: whether x holds integers [B, T] in [0, inputs), looked up in a table; otherwise
        x [B, T, inputs] goes through a linear layer, also from flat [B, length * inputs].
      hidden: units of an mlp; 4 width when None.
      layer_norm: whether there are norms.
      post_norm: whether they follow the sum.
      gate: whether a trained scalar multiplies each branch.
      tied: whether the readout is the table of tokens, transposed; outputs must equal inputs.
      last_only: whether only the last position is read: logits [B, outputs], as a task requires.
      scanned: whether the blocks are one `jax.lax.scan` over params stacked along a leading axis.
      dtype: floating dtype of params and activations.

    Returns:
      The network. `apply(params, x)` gives logits [B, T, outputs], or [B, outputs]. Its params are
      `{"embedding": {"table" or "weight" and "bias", "position"}, "block_1": {"attention": {"norm",
      "query", "key", "value", "output"}, "mlp": {"norm", "layer_1", "layer_2"}}, ..., "readout":
      {"norm", "weight", "bias"}}`, with "blocks" for all the blocks when scanned; projections lie
      [width, heads * head features]. `layers` shows of each block the stream [B, T, width] after
      it, and z and a [B, T, hidden] of its mlp.

    Raises:
      TypeError: if a size is not an integer, activation not an elementwise function, dtype not
        floating, or, by apply, tokens are not integers.
      ValueError: if sizes are not three, a size is under 1, heads do not divide width, tied is
        asked of a real-valued sequence or of other outputs than inputs, post_norm without
        layer_norm, or dtype is turned off. By apply: if x has another shape, is too long, or holds
        a token out of range; in compiled code such a token's logits are NaN.

    >>> network = transformer((50, 16, 50), 2, jax.nn.gelu, heads=4, length=8, tied=True)
    >>> network.specs["block_1"]["attention"]["output"]["weight"].role
    <Role.RESIDUAL: 'residual'>
    """
    sizes = tuple(sizes)
    dtype = checks.check_dtype(dtype)
    checks.check_activation("activation", activation, dtype)
    _check(sizes, depth, heads, length)
    inputs, width, outputs = sizes
    hidden = 4 * width if hidden is None else hidden
    checks.check_count("hidden", hidden, 1)
    if post_norm and not layer_norm:
        raise ValueError("post_norm requires layer_norm=True, got False")
    if tied and not (tokens and inputs == outputs):
        raise ValueError(
            "tied requires tokens and as many outputs as inputs, got "
            f"tokens={tokens}, sizes={sizes}"
        )
    norm_at_end = layer_norm and not post_norm

    def branch(**maps: Any) -> dict[str, Any]:
        return parts.branch_specs(maps, width, layer_norm, gate, dtype)

    def maps(fan_in: int, fan_out: int, role: Role = Role.WEIGHT) -> dict[str, ParamSpec]:
        return parts.linear_specs(fan_in, fan_out, role, dtype)

    def table(rows: int) -> ParamSpec:
        return ParamSpec((rows, width), 1, width, Role.EMBEDDING, dtype)

    block_specs = {
        "attention": branch(
            query=maps(width, width),
            key=maps(width, width),
            value=maps(width, width),
            output=maps(width, width, Role.RESIDUAL),
        ),
        "mlp": branch(layer_1=maps(width, hidden), layer_2=maps(hidden, width, Role.RESIDUAL)),
    }
    embedding = {"table": table(inputs)} if tokens else maps(inputs, width, Role.INPUT)
    specs = {
        "embedding": embedding | {"position": table(length)},
        **stack_blocks(block_specs, depth, scanned),
        "readout": ({"norm": parts.norm_specs(width, dtype)} if norm_at_end else {})
        | ({} if tied else maps(width, outputs, Role.READOUT)),
    }

    def block(params: Params, h: jax.Array) -> tuple[jax.Array, LayerState]:
        def attention(h: jax.Array) -> tuple[jax.Array, None]:
            return _attend(params["attention"], h, heads), None

        def mlp(h: jax.Array) -> tuple[jax.Array, LayerState]:
            return parts.hidden_layers(params["mlp"], h, parts.linear, activation)

        h, _ = parts.add_branch(params["attention"], h, attention, FEATURES, post_norm=post_norm)
        h, (z, a, _) = parts.add_branch(params["mlp"], h, mlp, FEATURES, post_norm=post_norm)
        return h, LayerState(z, a, h)

    def forward(params: Params, x: jax.Array, observe: bool) -> tuple[jax.Array, dict]:
        first, readout = params["embedding"], params["readout"]
        if tokens:
            h = first["table"].at[x].get(mode="fill", fill_value=np.nan)
        else:
            h = parts.linear(first, x.astype(dtype).reshape(x.shape[0], -1, inputs))
        h = embedded = h + jnp.broadcast_to(first["position"][: h.shape[1]], h.shape)
        h, states = through_blocks(block, params, h, depth, observe)
        h = h[:, -1] if last_only else h
        h = parts.layer_norm(readout["norm"], h, FEATURES) if norm_at_end else h
        if tied:
            logits = jnp.matmul(h, first["table"].T, precision=jax.lax.Precision.HIGHEST)
        else:
            logits = parts.linear(readout, h)
        ends = {"embedding": LayerState(embedded, embedded), "readout": LayerState(logits, logits)}
        return logits, ends | states

    def door(x: Array) -> Any:
        flat = length * inputs
        if tokens:
            x = checks.check_examples(
                "x",
                x,
                f"[B, 1 to {length}]",
                fits=lambda given: len(given) == 2 and 0 < given[1] <= length,
            )
        else:
            x = checks.check_examples(
                "x",
                x,
                f"[B, 1 to {length}, {inputs}]",
                f"[B, {flat}]",
                fits=lambda given: (
                    given[1:] == (flat,)
                    or (len(given) == 3 and 0 < given[1] <= length and given[2] == inputs)
                ),
            )
        if tokens and not jnp.issubdtype(x.dtype, jnp.integer):
            raise TypeError(f"x must hold tokens as integers, got {x.dtype}")
        if tokens and checks.is_concrete(x):
            least, most = np.min(np.asarray(x)), np.max(np.asarray(x))
            if least < 0 or most >= inputs:
                raise ValueError(
                    f"x must hold tokens from 0 to {inputs - 1}, got {least} to {most}"
                )
        return x

    return assemble(specs, forward, door, activation, depth)


def _attend(params: Params, h: jax.Array, heads: int) -> jax.Array:
    """`W_o softmax(q k / sqrt(head features)) v + b_o`, each position seeing itself and before."""
    batch, length, width = h.shape
    query, key, value = (
        parts.linear(params[name], h).reshape(batch, length, heads, width // heads)
        for name in ("query", "key", "value")
    )
    # jax.nn.dot_product_attention takes its softmax in float32, also of float64.
    exact = jax.lax.Precision.HIGHEST
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key, precision=exact)
    past = jnp.tril(jnp.ones(scores.shape, bool))
    scores = jnp.where(past, scores / np.sqrt(width // heads).astype(scores.dtype), -jnp.inf)
    seen = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), value, precision=exact)
    return parts.linear(params["output"], seen.reshape(h.shape))


def _check(sizes: tuple, depth: int, heads: int, length: int) -> None:
    if len(sizes) != 3:
        raise ValueError(f"sizes must be (inputs, width, outputs), got {sizes}")
    for position, size in enumerate(sizes):
        checks.check_count(f"sizes[{position}]", size, 1)
    for name, count in {"depth": depth, "heads": heads, "length": length}.items():
        checks.check_count(name, count, 1)
    if sizes[1] % heads:
        raise ValueError(f"heads must divide the width {sizes[1]}, got {heads}")
