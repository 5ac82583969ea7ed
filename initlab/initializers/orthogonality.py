"""Matrices with orthonormal rows or columns, and the kernels that hold one."""

import jax
import jax.numpy as jnp
from jax.nn import initializers as jax_initializers

from initlab import checks
from initlab.types import Initializer, Number, ParamSpec

__all__ = ["orthogonal"]


def orthogonal(gain: Number = 1.0) -> Initializer:
    """`w = gain Q`, rows or columns of Q orthonormal (Saxe et al. 2013, arXiv:1312.6120).

    Args:
      gain: the singular values, at least 0; may be traced.

    Returns:
      The initializer; for a rank above two the last axis is the units', the others are flattened.

    Raises:
      TypeError: if gain is not a number.
      ValueError: if gain is negative, NaN or infinite; when drawn, if the spec's rank is under two.

    >>> w = orthogonal(2.0)(jax.random.key(0), ParamSpec((3, 3), 3, 3))
    >>> bool(abs(w @ w.T - 4 * jnp.eye(3)).max() < 1e-5)
    True
    """
    checks.check_scale("gain", gain)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        checks.check_rank_at_least("orthogonal", spec, 2)
        # QR is not to be had below float32.
        dtype = spec.dtype if jnp.finfo(spec.dtype).bits >= 32 else jnp.float32
        draw = jax_initializers.orthogonal(jnp.asarray(gain, dtype))
        return draw(key, spec.shape, dtype).astype(spec.dtype)

    return init
