"""Numbers of each unit, where units lie on several axes, so that a part may be seen on its own."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from initlab.taps.statistics import scaled_by_largest

__all__ = ["has_parts", "rms_of_units", "share_of_units"]


def has_parts(features: Sequence[bool]) -> bool:
    """Whether units lie on several axes, as on those of members and of their units.

    >>> has_parts((True, False, True)), has_parts((False, True))
    (True, False)
    """
    return sum(features) > 1


def rms_of_units(x: jax.Array, features: Sequence[bool]) -> jax.Array:
    """`sqrt(mean x^2)` of each unit, whatever the size of the others; not differentiated.

    Args:
      x: the signal.
      features: the axes of units.

    Returns:
      [units], those of the axes of units in their order.

    >>> x = jnp.asarray([[[3e-30, 1.0], [4e-30, 1.0]]])
    >>> [float(f"{each:.3g}") for each in rms_of_units(x, (True, False, True))]
    [3.54e-30, 1.0]
    """
    others = tuple(n for n, is_unit in enumerate(features) if not is_unit)
    largest, scaled = scaled_by_largest(x, others)
    return (largest * jnp.sqrt(jnp.mean(jnp.square(scaled), others, keepdims=True))).ravel()


def share_of_units(flags: jax.Array, features: Sequence[bool]) -> jax.Array:
    """The share of true flags of each unit.

    Args:
      flags: of each entry of a signal.
      features: the axes of units.

    Returns:
      [units] float32.

    >>> share_of_units(jnp.asarray([[[True, False]], [[True, True]]]), (False, True, True)).tolist()
    [1.0, 0.5]
    """
    others = tuple(n for n, is_unit in enumerate(features) if not is_unit)
    return jnp.mean(flags.astype(jnp.float32), others).ravel()
