"""The decoder: causal self-attention over tokens or over real-valued sequences."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.activations import check_activation
from initlab.networks.blocks import Block, Forward, assemble, stack_blocks, through_blocks
from initlab.networks.layers import (
    add_branch,
    branch_specs,
    hidden_layers,
    linear,
    linear_specs,
    norm_specs,
    normalize,
)
from initlab.types import Activation, Array, LayerState, Network, Params, ParamSpec, Role

__all__ = ["transformer"]

FEATURES = -1
"""The axis of features: the last one of the stream."""


@checks.checked
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
    units that start identical is not promised: the library's products sum in no fixed order.

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
      [width, heads * head features]. `layers` gives of each block the stream [B, T, width] after
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
    dtype = checks.check_dtype(dtype)
    net = _Architecture(
        tuple(sizes),
        depth,
        activation,
        heads=heads,
        length=length,
        tokens=tokens,
        hidden=hidden,
        layer_norm=layer_norm,
        post_norm=post_norm,
        gate=gate,
        tied=tied,
        last_only=last_only,
        scanned=scanned,
        dtype=dtype,
    )
    _check(net)
    check_input = _check_tokens if tokens else _check_sequence
    return assemble(_specs(net), _forward(net), lambda x: check_input(net, x), activation, depth)


class _Architecture(NamedTuple):
    """The arguments of `transformer`."""

    sizes: tuple[int, ...]
    depth: int
    activation: Activation
    heads: int
    length: int
    tokens: bool
    hidden: int | None
    layer_norm: bool
    post_norm: bool
    gate: bool
    tied: bool
    last_only: bool
    scanned: bool
    dtype: Any

    @property
    def norm_at_end(self) -> bool:
        """Whether the readout has a norm: a post-norm stream is normalized already."""
        return self.layer_norm and not self.post_norm


def _check(net: _Architecture) -> None:
    check_activation("activation", net.activation, net.dtype)
    if len(net.sizes) != 3:
        raise ValueError(f"sizes must be (inputs, width, outputs), got {net.sizes}")
    for position, size in enumerate(net.sizes):
        checks.check_count(f"sizes[{position}]", size, 1)
    for name in ("depth", "heads", "length"):
        checks.check_count(name, getattr(net, name), 1)
    inputs, width, outputs = net.sizes
    if width % net.heads:
        raise ValueError(f"heads must divide the width {width}, got {net.heads}")
    if net.hidden is not None:
        checks.check_count("hidden", net.hidden, 1)
    if net.post_norm and not net.layer_norm:
        raise ValueError("post_norm requires layer_norm=True, got False")
    if net.tied and not (net.tokens and inputs == outputs):
        raise ValueError(
            "tied requires tokens and as many outputs as inputs, got "
            f"tokens={net.tokens}, sizes={net.sizes}"
        )


def _check_tokens(net: _Architecture, x: Array) -> Any:
    inputs, length = net.sizes[0], net.length
    x = checks.check_examples(
        "x", x, f"[B, 1 to {length}]", fits=lambda given: len(given) == 2 and 0 < given[1] <= length
    )
    if not jnp.issubdtype(x.dtype, jnp.integer):
        raise TypeError(f"x must hold tokens as integers, got {x.dtype}")
    if checks.is_concrete(x):
        least, most = np.min(np.asarray(x)), np.max(np.asarray(x))
        if least < 0 or most >= inputs:
            raise ValueError(f"x must hold tokens from 0 to {inputs - 1}, got {least} to {most}")
    return x


def _check_sequence(net: _Architecture, x: Array) -> Any:
    inputs, length = net.sizes[0], net.length
    flat = length * inputs

    def fits(given: tuple) -> bool:
        if given[1:] == (flat,):
            return True
        return len(given) == 3 and 0 < given[1] <= length and given[2] == inputs

    return checks.check_examples("x", x, f"[B, 1 to {length}, {inputs}]", f"[B, {flat}]", fits=fits)


def _specs(net: _Architecture) -> dict[str, Any]:
    inputs, width, outputs = net.sizes
    hidden = 4 * width if net.hidden is None else net.hidden

    def branch(**maps: Any) -> dict[str, Any]:
        return branch_specs(maps, width, net.layer_norm, net.gate, net.dtype)

    def maps(fan_in: int, fan_out: int, role: Role = Role.WEIGHT) -> dict[str, ParamSpec]:
        return linear_specs(fan_in, fan_out, role, net.dtype)

    def table(rows: int) -> ParamSpec:
        return ParamSpec((rows, width), 1, width, Role.EMBEDDING, net.dtype)

    block = {
        "attention": branch(
            query=maps(width, width),
            key=maps(width, width),
            value=maps(width, width),
            output=maps(width, width, Role.RESIDUAL),
        ),
        "mlp": branch(layer_1=maps(width, hidden), layer_2=maps(hidden, width, Role.RESIDUAL)),
    }
    embedding = {"table": table(inputs)} if net.tokens else maps(inputs, width, Role.INPUT)
    norm = {"norm": norm_specs(width, net.dtype)} if net.norm_at_end else {}
    return {
        "embedding": embedding | {"position": table(net.length)},
        **stack_blocks(block, net.depth, net.scanned),
        "readout": norm | ({} if net.tied else maps(width, outputs, Role.READOUT)),
    }


def _forward(net: _Architecture) -> Forward:
    block = _block(net)

    def forward(params: Params, x: jax.Array, observe: bool) -> tuple[jax.Array, dict]:
        h = embedded = _embed(net, params["embedding"], x)
        h, states = through_blocks(block, params, h, net.depth, observe)
        h = h[:, -1] if net.last_only else h
        logits = _read(net, params, h)
        ends = {"embedding": LayerState(embedded, embedded), "readout": LayerState(logits, logits)}
        return logits, ends | states

    return forward


def _embed(net: _Architecture, params: Params, x: jax.Array) -> jax.Array:
    if net.tokens:
        # Filled with NaN: by default an index out of range would be clipped to the last token.
        h = params["table"].at[x].get(mode="fill", fill_value=np.nan)
    else:
        h = linear(params, x.astype(net.dtype).reshape(x.shape[0], -1, net.sizes[0]))
    return h + jnp.broadcast_to(params["position"][: h.shape[1]], h.shape)


def _block(net: _Architecture) -> Block:
    def block(params: Params, h: jax.Array) -> tuple[jax.Array, LayerState]:
        def attention(h: jax.Array) -> tuple[jax.Array, None]:
            return _attend(params["attention"], h, net.heads), None

        def mlp(h: jax.Array) -> tuple[jax.Array, LayerState]:
            return hidden_layers(params["mlp"], h, linear, net.activation)

        post_norm = net.post_norm
        h, _ = add_branch(params["attention"], h, attention, FEATURES, post_norm=post_norm)
        h, (z, a, _) = add_branch(params["mlp"], h, mlp, FEATURES, post_norm=post_norm)
        return h, LayerState(z, a, h)

    return block


def _attend(params: Params, h: jax.Array, heads: int) -> jax.Array:
    """`W_o softmax(q k / sqrt(head features)) v + b_o`, each position seeing itself and before."""
    batch, length, width = h.shape
    query, key, value = (
        linear(params[name], h).reshape(batch, length, heads, width // heads)
        for name in ("query", "key", "value")
    )
    # jax.nn.dot_product_attention takes its softmax in float32, also of float64.
    exact = jax.lax.Precision.HIGHEST
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key, precision=exact)
    past = jnp.tril(jnp.ones(scores.shape, bool))
    scores = jnp.where(past, scores / np.sqrt(width // heads).astype(scores.dtype), -jnp.inf)
    seen = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), value, precision=exact)
    return linear(params["output"], seen.reshape(h.shape))


def _read(net: _Architecture, params: Params, h: jax.Array) -> jax.Array:
    readout = params["readout"]
    h = normalize(readout["norm"], h, FEATURES) if net.norm_at_end else h
    if net.tied:
        table = params["embedding"]["table"]
        return jnp.matmul(h, table.T, precision=jax.lax.Precision.HIGHEST)
    return linear(readout, h)
