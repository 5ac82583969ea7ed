"""Fans: over how many inputs a unit sums, and which axes of a weight they are."""

import math

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.types import ParamSpec

__all__ = ["at_centre", "check_window", "fan_avg", "fan_in", "fan_out", "kernel_shape"]


@checks.checked
def fan_in(spec: ParamSpec) -> float:
    """Inputs that one unit sums over.

    >>> fan_in(ParamSpec((3, 3, 4, 8), fan_in=36, fan_out=72))
    36.0
    """
    return float(spec.fan_in)


@checks.checked
def fan_out(spec: ParamSpec) -> float:
    """Units that one input feeds.

    >>> fan_out(ParamSpec((3, 3, 4, 8), fan_in=36, fan_out=72))
    72.0
    """
    return float(spec.fan_out)


@checks.checked
def fan_avg(spec: ParamSpec) -> float:
    """`(fan_in + fan_out) / 2`.

    >>> fan_avg(ParamSpec((3, 3, 4, 8), fan_in=36, fan_out=72))
    54.0
    """
    return (spec.fan_in + spec.fan_out) / 2


def kernel_shape(name: str, spec: ParamSpec) -> tuple[tuple[int, ...], int, int]:
    """The window of a weight, and the inputs and units of the matrix at each place of it.

    A dense weight has no window. Its axes are split by its fans, so that an attention
    weight, [features, heads, head features] or [heads, head features, features], is one matrix;
    where no split has the spec's fans, it is a convolution's, [*window, inputs, units].

    Args:
      name: of the initializer, for the error.
      spec: a weight.

    Returns:
      `(window, inputs, units)`.

    Raises:
      ValueError: if the spec has fewer than two axes.

    >>> kernel_shape("example", ParamSpec((6, 2, 3), fan_in=6, fan_out=6))
    ((), 6, 6)
    >>> kernel_shape("example", ParamSpec((3, 3, 4, 8), fan_in=36, fan_out=72))
    ((3, 3), 4, 8)
    """
    checks.check_rank_at_least(name, spec, 2)
    for axis in range(1, len(spec.shape)):
        inputs, units = math.prod(spec.shape[:axis]), math.prod(spec.shape[axis:])
        if (inputs, units) == (spec.fan_in, spec.fan_out):
            return (), inputs, units
    return spec.shape[:-2], spec.shape[-2], spec.shape[-1]


def check_window(name: str, spec: ParamSpec, window: tuple[int, ...]) -> None:
    """Raises ValueError unless the weight is a convolution's, of a window of any size."""
    if not window:
        raise ValueError(
            f"{name} requires a convolution's weights [*window, inputs, units], got shape "
            f"{spec.shape} for {spec.path!r}"
        )


def at_centre(matrix: jax.Array, window: tuple[int, ...]) -> jax.Array:
    """`w[centre] = matrix`, else 0: a kernel that reads the centre of its window.

    Args:
      matrix: [inputs, units].
      window: the kernel's other axes; the centre of an even one is its left middle, which is what
        a convolution of the same size as its input (`padding="SAME"`) leaves in place.

    Returns:
      The kernel [*window, inputs, units].

    >>> at_centre(jnp.ones((1, 1)), (3,)).ravel().tolist()
    [0.0, 1.0, 0.0]
    """
    centre = tuple((width - 1) // 2 for width in window)
    return jnp.zeros((*window, *matrix.shape), matrix.dtype).at[centre].set(matrix)
