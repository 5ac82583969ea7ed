"""Vectors of length 1 along the stream: networks that live on a sphere."""

import math

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.initializers.combinators import by_role, made_of
from initlab.initializers.fans import kernel_shape
from initlab.types import Initializer, ParamSpec

__all__ = ["normalized"]


@checks.checked
def normalized(inside: Initializer) -> Initializer:
    """`w / |w|`: into each unit, at the ends of branches and in embeddings out of each input.

    So each vector that is as long as the stream is wide has length 1, whichever side of the matrix
    it is on. What is all 0 stays 0. nGPT keeps it so after each step, has no norms, and learned
    factors instead, which are its network's.

    Args:
      inside: draws the weights; their scale has no effect.

    Returns:
      The initializer of a whole network: biases 0; a window counts to the inputs.

    Raises:
      TypeError: if inside is not callable.
      ValueError: when drawn, if a weight has fewer than two axes.

    Source: Loshchilov et al. 2024, nGPT, arXiv:2410.01131, section 2.6; its code's
      normalize_matrices.

    >>> from initlab.initializers import ones
    >>> normalized(ones())(jax.random.key(0), ParamSpec((4, 2), 4, 2))[:, 0].tolist()
    [0.5, 0.5, 0.5, 0.5]
    """

    def along(axis: int) -> Initializer:
        def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
            window, inputs, units = kernel_shape("normalized", spec)
            matrix = inside(key, spec).reshape(math.prod(window) * inputs, units)
            lengths = jnp.linalg.norm(matrix, axis=axis, keepdims=True)
            return (matrix / jnp.where(lengths == 0, 1, lengths)).reshape(spec.shape)

        return init

    return made_of(by_role(along(0), residual=along(1), embedding=along(1)), [inside])
