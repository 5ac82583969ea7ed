"""Sequences as the networks take them: tokens [B, T], or real values [B, T, inputs]."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.networks.layers import linear, linear_specs
from initlab.types import Array, Params, ParamSpec, Role

__all__ = ["check_sequences", "embed", "embedding_specs"]


def check_sequences(x: Array, inputs: int, length: int, tokens: bool) -> Any:
    """The array x; raises unless it holds sequences of at most `length` steps.

    Args:
      x: tokens [B, T], real values [B, T, inputs], or those flat [B, length * inputs].
      inputs: tokens of the vocabulary, or features.
      length: the longest sequence.
      tokens: which of them.

    Raises:
      TypeError: if tokens are not integers, or values not real.
      ValueError: if x has another shape or is too long, or a known token is out of range.

    >>> check_sequences(np.zeros((2, 6)), 2, 3, False).shape
    (2, 6)
    """
    return (_check_tokens if tokens else _check_values)(x, inputs, length)


def _check_tokens(x: Array, inputs: int, length: int) -> Any:
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


def _check_values(x: Array, inputs: int, length: int) -> Any:
    flat = length * inputs

    def fits(given: tuple) -> bool:
        if given[1:] == (flat,):
            return True
        return len(given) == 3 and 0 < given[1] <= length and given[2] == inputs

    return checks.check_examples("x", x, f"[B, 1 to {length}, {inputs}]", f"[B, {flat}]", fits=fits)


def embedding_specs(
    inputs: int, width: int, tokens: bool, dtype: np.dtype, bias: bool = True
) -> dict[str, ParamSpec]:
    """A table of tokens, or a linear layer.

    >>> list(embedding_specs(3, 2, True, np.dtype("float32")))
    ['table']
    """
    if tokens:
        return {"table": ParamSpec((inputs, width), 1, width, Role.EMBEDDING, dtype)}
    return linear_specs(inputs, width, Role.INPUT, dtype, bias=bias)


def embed(params: Params, x: jax.Array, inputs: int) -> jax.Array:
    """Each step as a vector [B, T, width]: looked up where the params have a table.

    >>> embed({"table": jnp.eye(2)}, jnp.array([[1]]), 2).tolist()
    [[[0.0, 1.0]]]
    """
    if "table" in params:
        # Filled with NaN: by default an index out of range would be clipped to the last token.
        return params["table"].at[x].get(mode="fill", fill_value=np.nan)
    values = x.astype(params["weight"].dtype).reshape(x.shape[0], -1, inputs)
    return linear(params, values)
