"""Attention that starts as trained attention looks: queries beside keys, values beside outputs.

An initializer sees one weight at a time, and these are drawn in pairs: so it is params in, params
out.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.keys import path_key
from initlab.types import Number, Params, ParamSpec

__all__ = ["mimetic"]

PARTS = ("query", "key", "value", "output")
"""Of an attention of `networks.transformer`: `{part}/weight`."""


@checks.checked
def mimetic(
    key: jax.Array,
    specs: Params,
    params: Params,
    heads: int,
    *,
    query_key: tuple[Number, Number] = (0.7, 0.7),
    value_output: tuple[Number, Number] = (0.4, 0.4),
) -> Params:
    """`W_q W_k^T ~ a Z + b I` of each head, `W_v W_o = c Z - d I`; Z ~ N(0, 1/width).

    Positions and tokens then attend to what is like themselves, and what is attended to is
    subtracted, as in vision transformers that have been trained. A head of fewer features than the
    width holds the largest singular vectors of its matrix: `W_q = U sqrt(S)`, `W_k = V sqrt(S)`,
    cut to so many columns. In language models values were found with the other sign: a negative d.

    Args:
      key: a JAX key; each attention is drawn under its own path.
      specs: of `networks.transformer`.
      params: its params, however drawn; attentions are drawn anew, and nothing else.
      heads: how many each attention has.
      query_key: a and b; may be traced.
      value_output: c and d; may be traced.

    Returns:
      The params.

    Raises:
      TypeError: if heads is not an integer, a pair is not two, or a factor not a number.
      ValueError: if params have no such attention, one has keys or values of fewer heads than
        queries, or widths that heads do not divide.

    Source: Trockman and Kolter 2023, arXiv:2305.09828, section 3.

    >>> from initlab import initialize, networks
    >>> from initlab.initializers import lecun_normal, by_role
    >>> network = networks.transformer((2, 8, 2), 1, jnp.tanh, heads=2, length=3)
    >>> params = initialize(jax.random.key(0), network.specs, by_role(lecun_normal()))
    >>> w = mimetic(jax.random.key(1), network.specs, params, 2)["block_1"]["attention"]
    >>> bool(jnp.trace(w["value"]["weight"] @ w["output"]["weight"]) < 0)
    True
    """
    checks.check_count("heads", heads, 1)
    for name, pair in (("query_key", query_key), ("value_output", value_output)):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"{name} must be two numbers, got {pair!r:.80}")
        for number in pair:
            checks.check_number(name, number)
    known = checks.check_specs(specs)
    checks.check_params(params, specs)
    own = checks.leaves_by_path("params", params)
    last = f"{PARTS[0]}/weight"
    found = [path.removesuffix(last) for path in known if path.endswith(last)]
    if not found:
        raise ValueError(
            "params must have attentions with weights of query, key, value and output, as those of "
            f"networks.transformer, got {list(known)[:4]}"
        )
    for path in found:
        spec = known[path + last]
        width = _width(path, known, heads)
        keys = [path_key(key, each.removesuffix(last)) for each in spec.stack or (path,)]
        drawn = _attentions(jnp.stack(keys), query_key, value_output, width, heads, spec.dtype)
        for part, each in zip(PARTS, drawn, strict=True):
            own[f"{path}{part}/weight"] = each if spec.stack else each[0]
    return jax.tree.unflatten(jax.tree.structure(params), own.values())


def _width(path: str, specs: dict[str, ParamSpec], heads: int) -> int:
    """Of an attention whose four weights are [width, width]."""
    shapes = []
    for part in PARTS:
        spec = specs.get(f"{path}{part}/weight")
        shapes.append(spec and spec.shape[bool(spec.stack) :])
    width = shapes[0][0]
    if any(shape != (width, width) for shape in shapes):
        raise ValueError(
            f"{path!r} must have query, key, value and output [width, width], keys and values "
            f"of as many heads as queries, got {shapes}"
        )
    if width % heads:
        raise ValueError(f"heads must divide the width {width} of {path!r}, got {heads}")
    return width


@functools.partial(jax.jit, static_argnums=(3, 4, 5))
def _attentions(
    keys: jax.Array,
    query_key: tuple[Number, Number],
    value_output: tuple[Number, Number],
    width: int,
    heads: int,
    dtype: Any,
) -> list[jax.Array]:
    """Query, key, value and output, [keys, width, width] each."""

    def draw(key: jax.Array) -> list[jax.Array]:
        return _attention(key, query_key, value_output, width, heads, dtype)

    return jax.vmap(draw)(keys)


def _attention(
    key: jax.Array,
    query_key: tuple[Number, Number],
    value_output: tuple[Number, Number],
    width: int,
    heads: int,
    dtype: Any,
) -> list[jax.Array]:
    """Query, key, value and output, [width, width] each."""
    of_heads, of_values = jax.random.split(key)
    noise, identity = (jnp.asarray(each, dtype) for each in query_key)
    eye = jnp.eye(width, dtype=dtype)
    std = width**-0.5
    shape = (heads, width, width)
    # Each head's matrix is drawn whole: only as many singular vectors as it has features are kept.
    left, right = jax.vmap(_roots)(
        noise * std * jax.random.normal(of_heads, shape, dtype) + identity * eye[None]
    )
    features = width // heads
    query = jnp.concatenate(left[:, :, :features], axis=1)
    own_key = jnp.concatenate(right[:, :, :features], axis=1)
    noise, identity = (jnp.asarray(each, dtype) for each in value_output)
    value, output = _roots(
        noise * std * jax.random.normal(of_values, shape[1:], dtype) - identity * eye
    )
    return [query, own_key, value, output.mT]


def _roots(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`(U sqrt(S), V sqrt(S))`, whose product `L R^T` is the matrix."""
    left, values, right = jnp.linalg.svd(matrix)
    roots = jnp.sqrt(values)[..., None, :]
    return left * roots, right.mT * roots
