"""The decoder: causal self-attention over tokens or over real-valued sequences."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.networks.attention import attend, attention_specs, capped
from initlab.networks.blocks import Block, Forward, assemble, stack_blocks, through_blocks
from initlab.networks.decoder_options import Decoder, check_options
from initlab.networks.layers import (
    add_branch,
    gated_layers,
    hidden_layers,
    linear,
    linear_specs,
    multiplied,
    norm_specs,
    normalize,
)
from initlab.networks.positions import sinusoids
from initlab.networks.sequences import check_sequences, embed, embedding_specs
from initlab.types import Activation, Array, LayerState, Network, Number, Params, ParamSpec, Role

__all__ = ["transformer"]

FEATURES = -1
"""The axis of features: the last one of the stream."""

NORMS = {"pre": ("norm",), "post": ("norm",), "both": ("norm", "norm_after")}
"""The norms of a branch by where they are."""


@checks.checked
def transformer(
    sizes: Sequence[int],
    depth: int,
    activation: Activation,
    *,
    heads: int,
    length: int,
    tokens: bool = True,
    positions: str | None = "learned",
    norm: str | None = "layer",
    norm_at: str = "pre",
    kv_heads: int | None = None,
    qk_norm: str | None = None,
    attention_scale: str | Number = "1/sqrt(d)",
    softcap: Number | None = None,
    mlp: str = "plain",
    hidden: int | None = None,
    bias: bool = True,
    gates: str | None = None,
    branch_scale: Number = 1.0,
    tied: bool = False,
    readout_scale: Number = 1.0,
    readout_softcap: Number | None = None,
    last_only: bool = False,
    scanned: bool = False,
    dtype: Any = jnp.float32,
) -> Network:
    """`h = embed(x) + position`; in each block `h += attention(norm(h))`, `h += mlp(norm(h))`.

    As it stands GPT-2 (Radford et al. 2019): pre-norm, with a norm before the readout; attention
    is causal, `softmax(q k / sqrt(d))` with d = width / heads; the mlp is
    `W_2 phi(W_1 h + b_1) + b_2`. Llama's kind (Touvron et al. 2023, arXiv:2302.13971) is
    `positions="rotary", norm="rms", mlp="gated", bias=False` with `jax.nn.silu`. Bit-identity of
    units that start identical is not promised: the library's products sum in no fixed order.

    Args:
      sizes: `(inputs, width, outputs)`; inputs counts the tokens of the vocabulary, or the features
        of a real-valued sequence.
      depth: how many blocks, at least 1.
      activation: elementwise function phi of the mlps, as `jax.nn.gelu`.
      heads: of queries; they divide width.
      length: the longest sequence.
      tokens: whether x holds integers [B, T] in [0, inputs), looked up in a table; otherwise
        x [B, T, inputs] goes through a linear layer, also from flat [B, length * inputs].
      positions: "learned" or "sinusoidal" vectors (Vaswani et al. 2017, arXiv:1706.03762) added to
        the embedding, "rotary", queries and keys turned (arXiv:2104.09864), or None.
      norm: "layer", "rms" (arXiv:1910.07467) or None.
      norm_at: "pre", `h + branch(norm(h))`; "post", `norm(h + branch(h))` (Vaswani); "both",
        `h + norm(branch(norm(h)))` (Gemma 2, arXiv:2408.00118). Without "post" the readout has one.
      kv_heads: of keys and values, which groups of query heads share (arXiv:2305.13245); they
        divide heads; 1 is multi-query attention, None as many as heads.
      qk_norm: norm of each head's queries and keys, "layer" or "rms", with a scale that the heads
        share (arXiv:2302.05442), or None.
      attention_scale: what multiplies scores: "1/sqrt(d)", "1/d" (muP, arXiv:2203.03466), or a
        number, which may be traced.
      softcap: c of `c tanh(scores / c)` (Gemma 2), or None; may be traced.
      mlp: "plain", or "gated", `W_2 (phi(W_1 h + b_1) * (V h + c)) + b_2`: with silu SwiGLU, with
        gelu GEGLU (arXiv:2002.05202).
      hidden: units of an mlp; None is 4 width, and 8 width / 3 of a gated one.
      bias: whether linear layers have biases.
      gates: what is trained to multiply each branch: a "scalar", one number for each "channel"
        (LayerScale, arXiv:2103.17239), or None.
      branch_scale: what multiplies each branch, as CompleteP's `(depth / base depth)^(-alpha)`
        (arXiv:2505.01618); may be traced.
      tied: whether the readout is the table of tokens, transposed; outputs must equal inputs.
      readout_scale: what multiplies the logits, as muP's base width / width; may be traced.
      readout_softcap: that of the logits, or None; may be traced.
      last_only: whether only the last position is read: logits [B, outputs], as a task requires.
      scanned: whether the blocks are one `jax.lax.scan` over params stacked along a leading axis.
      dtype: floating dtype of params and activations.

    Returns:
      The network. `apply(params, x)` gives logits [B, T, outputs], or [B, outputs]. Its params are
      `{"embedding": {"table" or "weight" and "bias", "position"}, "block_1": {"attention": {"norm",
      "query", "key", "value", "output"}, "mlp": {"norm", "layer_1", "layer_2"}}, ..., "readout":
      {"norm", "weight", "bias"}}`, with "blocks" for all the blocks when scanned; projections lie
      [width, heads * d]. Options add "norm_after" and "gate" to a branch, "query_norm" and
      "key_norm" to the attention, "linear", V and c, to the mlp. `layers` gives of each block the
      stream [B, T, width] after it, and z and phi(z) [B, T, hidden] of its mlp.

    Raises:
      TypeError: if a size is not an integer, activation not an elementwise function, a scale or
        cap not a number, dtype not floating, or, by apply, tokens are not integers.
      ValueError: if sizes are not three, a size is under 1, an option is none of its choices, heads
        do not divide width or kv_heads heads, rotary heads have an odd number of features, a cap is
        not over 0, norm_at is asked of no norm, tied of a real-valued sequence or of other outputs
        than inputs, or dtype is turned off. By apply: if x has another shape, is too long, or holds
        a token out of range; in compiled code such a token's logits are NaN.

    >>> network = transformer((50, 16, 50), 2, jax.nn.gelu, heads=4, length=8, tied=True)
    >>> network.specs["block_1"]["attention"]["output"]["weight"].role
    <Role.RESIDUAL: 'residual'>
    """
    net = Decoder(
        tuple(sizes),
        depth,
        activation,
        heads=heads,
        length=length,
        tokens=tokens,
        positions=positions,
        norm=norm,
        norm_at=norm_at,
        kv_heads=kv_heads,
        qk_norm=qk_norm,
        attention_scale=attention_scale,
        softcap=softcap,
        mlp=mlp,
        hidden=hidden,
        bias=bias,
        gates=gates,
        branch_scale=branch_scale,
        tied=tied,
        readout_scale=readout_scale,
        readout_softcap=readout_softcap,
        last_only=last_only,
        scanned=scanned,
        dtype=checks.check_dtype(dtype),
    )
    check_options(net)

    def check_input(x: Array) -> Any:
        return check_sequences(x, net.sizes[0], length, tokens)

    return assemble(_specs(net), _forward(net), check_input, activation, depth)


def _specs(net: Decoder) -> dict[str, Any]:
    inputs, width, outputs = net.sizes

    def branch(**maps: Any) -> dict[str, Any]:
        names = () if net.norm is None else NORMS[net.norm_at]
        norms = {name: norm_specs(width, net.dtype, str(net.norm)) for name in names}
        gate = ParamSpec((width,) if net.gates == "channel" else (), 1, 1, Role.GATE, net.dtype)
        return norms | maps | ({} if net.gates is None else {"gate": gate})

    def maps(fan_in: int, fan_out: int, role: Role = Role.WEIGHT) -> dict[str, ParamSpec]:
        return linear_specs(fan_in, fan_out, role, net.dtype, bias=net.bias)

    hidden = net.hidden_units
    layers = {"layer_1": maps(width, hidden), "layer_2": maps(hidden, width, Role.RESIDUAL)}
    linear_half = {"linear": maps(width, hidden)} if net.mlp == "gated" else {}
    block = {
        "attention": branch(**attention_specs(width, net.attention, net.dtype, net.bias)),
        "mlp": branch(**layers, **linear_half),
    }
    embedding = embedding_specs(inputs, width, net.tokens, net.dtype, net.bias)
    if net.positions == "learned":
        embedding["position"] = ParamSpec((net.length, width), 1, width, Role.EMBEDDING, net.dtype)
    norm = {"norm": norm_specs(width, net.dtype, str(net.norm))} if net.has_last_norm else {}
    return {
        "embedding": embedding,
        **stack_blocks(block, net.depth, net.scanned),
        "readout": norm | ({} if net.tied else maps(width, outputs, Role.READOUT)),
    }


def _forward(net: Decoder) -> Forward:
    block = _block(net)

    def forward(params: Params, x: jax.Array, observe: bool) -> tuple[jax.Array, dict]:
        h = embedded = _embed(net, params["embedding"], x)
        h, states = through_blocks(block, params, h, net.depth, observe)
        h = h[:, -1] if net.last_only else h
        logits = _read(net, params, h)
        ends = {"embedding": LayerState(embedded, embedded), "readout": LayerState(logits, logits)}
        return logits, ends | states

    return forward


def _embed(net: Decoder, params: Params, x: jax.Array) -> jax.Array:
    h = embed(params, x, net.sizes[0])
    if net.positions == "learned":
        return h + jnp.broadcast_to(params["position"][: h.shape[1]], h.shape)
    if net.positions == "sinusoidal":
        return h + jnp.asarray(sinusoids(*h.shape[1:])[None], h.dtype)
    return h


def _block(net: Decoder) -> Block:
    map_through = gated_layers if net.mlp == "gated" else hidden_layers
    how = {"post_norm": net.norm_at == "post", "branch_scale": net.branch_scale}

    def block(params: Params, h: jax.Array) -> tuple[jax.Array, LayerState]:
        def attention(h: jax.Array) -> tuple[jax.Array, None]:
            return attend(params["attention"], h, net.attention), None

        def mlp(h: jax.Array) -> tuple[jax.Array, LayerState]:
            return map_through(params["mlp"], h, linear, net.activation)

        h, _ = add_branch(params["attention"], h, attention, FEATURES, **how)
        h, (z, a, _) = add_branch(params["mlp"], h, mlp, FEATURES, **how)
        return h, LayerState(z, a, h)

    return block


def _read(net: Decoder, params: Params, h: jax.Array) -> jax.Array:
    readout = params["readout"]
    h = normalize(readout["norm"], h, FEATURES) if net.has_last_norm else h
    if net.tied:
        table = params["embedding"]["table"]
        logits = jnp.matmul(h, table.T, precision=jax.lax.Precision.HIGHEST)
    else:
        logits = linear(readout, h)
    return capped(multiplied(logits, net.readout_scale), net.readout_softcap)
