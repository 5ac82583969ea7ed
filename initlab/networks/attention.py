"""Causal self-attention: grouped queries, norms of queries and keys, rotations, a soft cap."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab.networks.layers import linear, linear_specs, norm_specs, normalize
from initlab.networks.positions import rotate
from initlab.types import Number, Params, Role

__all__ = ["Attention", "attend", "attention_specs", "capped"]

# Scores and sums over values of heads with keys of their own, and of heads that share them.
PRODUCTS = ("bqhd,bkhd->bhqk", "bhqk,bkhd->bqhd")
GROUPED_PRODUCTS = ("bqhgd,bkhd->bhgqk", "bhgqk,bkhd->bqhgd")


class Attention(NamedTuple):
    """How one layer attends.

    Attributes:
      heads: of queries.
      kv_heads: of keys and values; they divide heads.
      qk_norm: the norm of queries and keys, "layer", "rms" or None.
      rotary: whether queries and keys are turned by their positions.
      scale: of the scores: "1/sqrt(d)" or "1/d", d a head's features, or a number.
      softcap: the scores' bound, or None.
    """

    heads: int
    kv_heads: int
    qk_norm: str | None
    rotary: bool
    scale: str | Number
    softcap: Number | None


def attention_specs(
    width: int, options: Attention, dtype: np.dtype, bias: bool = True
) -> dict[str, Any]:
    """Query [width, width], key and value [width, kv_heads d], output, and the norms of two heads.

    >>> options = Attention(4, 2, "rms", False, "1/d", None)
    >>> specs = attention_specs(8, options, np.dtype("float32"))
    >>> specs["key"]["weight"].shape, specs["key_norm"]["scale"].shape
    ((8, 4), (2,))
    """
    size = width // options.heads
    norm = options.qk_norm
    names = ("query_norm", "key_norm")
    shared = options.kv_heads * size
    return {
        "query": linear_specs(width, width, Role.WEIGHT, dtype, bias=bias),
        "key": linear_specs(width, shared, Role.WEIGHT, dtype, bias=bias),
        "value": linear_specs(width, shared, Role.WEIGHT, dtype, bias=bias),
        "output": linear_specs(width, width, Role.RESIDUAL, dtype, bias=bias),
    } | ({} if norm is None else {name: norm_specs(size, dtype, norm) for name in names})


def attend(params: Params, h: jax.Array, options: Attention) -> jax.Array:
    """`W_o softmax(cap(scale q k)) v + b_o`, each position seeing itself and before.

    Args:
      params: as `attention_specs` has them.
      h: [B, T, width].
      options: how.

    Returns:
      [B, T, width].

    Source: Vaswani et al. 2017, arXiv:1706.03762; heads that share keys and values, Shazeer 2019,
      arXiv:1911.02150, and Ainslie et al. 2023, arXiv:2305.13245; norms of queries and keys,
      Dehghani et al. 2023, arXiv:2302.05442, section 2.

    >>> own = {"weight": jnp.eye(2), "bias": jnp.zeros(2)}
    >>> params = dict.fromkeys(("query", "key", "value", "output"), own)
    >>> options = Attention(1, 1, None, False, 0.0, None)
    >>> attend(params, jnp.array([[[2.0, 0.0], [4.0, 0.0]]]), options).tolist()
    [[[2.0, 0.0], [3.0, 0.0]]]
    """
    batch, length, width = h.shape
    kv_heads = options.kv_heads
    size = width // options.heads
    is_grouped = kv_heads < options.heads
    to_scores, to_values = GROUPED_PRODUCTS if is_grouped else PRODUCTS
    query, key, value = (
        linear(params[name], h).reshape(batch, length, -1, size)
        for name in ("query", "key", "value")
    )
    if options.qk_norm is not None:
        query = normalize(params["query_norm"], query, -1)
        key = normalize(params["key_norm"], key, -1)
    if options.rotary:
        query, key = rotate(query), rotate(key)
    if is_grouped:
        query = query.reshape(batch, length, kv_heads, -1, size)
    # jax.nn.dot_product_attention takes its softmax in float32, also of float64.
    exact = jax.lax.Precision.HIGHEST
    scores = jnp.einsum(to_scores, query, key, precision=exact)
    past = jnp.tril(jnp.ones(scores.shape, bool))
    scores = jnp.where(
        past, capped(_scaled(scores, size, options.scale), options.softcap), -jnp.inf
    )
    seen = jnp.einsum(to_values, jax.nn.softmax(scores), value, precision=exact)
    return linear(params["output"], seen.reshape(h.shape))


def _scaled(scores: jax.Array, size: int, scale: str | Number) -> jax.Array:
    if isinstance(scale, str):
        divisor = {"1/sqrt(d)": np.sqrt(size), "1/d": np.float64(size)}[scale]
        return scores / divisor.astype(scores.dtype)
    return scores * jnp.asarray(scale, scores.dtype)


def capped(logits: jax.Array, cap: Number | None) -> jax.Array:
    """`cap tanh(logits / cap)`: within plus and minus cap; as they are where cap is None.

    Source: Gemma Team 2024, Gemma 2, arXiv:2408.00118, section 2.

    >>> capped(jnp.array([0.0, 1e9]), 50.0).tolist()
    [0.0, 50.0]
    """
    if cap is None:
        return logits
    bound = jnp.asarray(cap, logits.dtype)
    return bound * jnp.tanh(logits / bound)
