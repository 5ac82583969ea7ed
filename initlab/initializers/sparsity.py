"""Few weights into each unit."""

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.initializers.distributions import normal
from initlab.initializers.fans import kernel_shape
from initlab.types import Initializer, Number, ParamSpec

__all__ = ["sparse"]


@checks.checked
def sparse(nonzero: int = 15, std: Number = 1.0) -> Initializer:
    """Exactly `min(nonzero, fan_in)` weights `~ N(0, std^2)` into each unit, the rest 0.

    Args:
      nonzero: how many inputs each unit sees, at least 1.
      std: standard deviation of the weights that are not zero; may be traced.

    Returns:
      The initializer; units are the last axis, the others are flattened, except in an attention
      weight, which is split by its fans.

    Raises:
      TypeError: if nonzero is not an integer or std not a number.
      ValueError: if nonzero is under 1, or std negative, NaN or infinite; when drawn, if the spec's
        rank is under two.

    Source: Martens 2010, Deep learning via Hessian-free optimization, section 5.

    >>> w = sparse(3)(jax.random.key(0), ParamSpec((10, 2), 10, 2))
    >>> (w != 0).sum(axis=0).tolist()
    [3, 3]
    """
    checks.check_count("nonzero", nonzero, 1)
    checks.check_scale("std", std)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        _, _, units = kernel_shape("sparse", spec)
        key_weights, key_places = jax.random.split(key)
        weights = normal(std)(key_weights, spec).reshape(-1, units)
        inputs = weights.shape[0]
        order = jnp.broadcast_to(jnp.arange(inputs)[:, None], weights.shape)
        rank = jax.random.permutation(key_places, order, axis=0, independent=True)
        return jnp.where(rank < nonzero, weights, 0).reshape(spec.shape)

    return init
