"""Where a function given as code is not smooth: its kinks, found to the last bit."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.activations import check_activation, slope
from initlab.theory.evaluation import in_float64
from initlab.types import Activation

__all__ = ["Pieces", "find_pieces", "slope_pieces"]

REACH, CELLS = 32.0, 8192
"""Kinks are searched in [-REACH, REACH], one in each of so many cells."""

JUMP = 1e-6
"""A change between neighbouring floats that is larger than this is no rounding error."""

MOST_KINKS = 80
"""The quadrature of a pair has panels in proportion to their cube: more would take terabytes."""

HALVINGS = 64
"""From 2^-7, the width of a cell, to neighbouring floats of all but the tiniest numbers."""

DERIVATIVES = 3
"""Jumps are searched in the function and its first two derivatives."""


class Pieces(NamedTuple):
    """A function of one variable and where it breaks into smooth pieces.

    Attributes:
      function: elementwise.
      kinks: where it or one of its first two derivatives jumps, ascending.
      order: the lowest derivative that jumps: 0 the function itself, 1 its slope; infinite for none
        of them.
    """

    function: Callable[[Any], jax.Array]
    kinks: tuple[float, ...]
    order: float


def slope_pieces(pieces: Pieces) -> Pieces:
    """The derivative of each piece; without the delta functions of the function's own jumps.

    Args:
      pieces: a function and its kinks.

    Returns:
      Its derivative, which breaks at the same places, one order lower.

    >>> step = slope_pieces(find_pieces(jax.nn.relu))
    >>> step.kinks, step.order, step.function(jnp.array([-1.0, 2.0])).tolist()
    ((0.0,), 0.0, [0.0, 1.0])
    """

    def derivative(z: jax.Array) -> jax.Array:
        return slope(pieces.function, z)

    return Pieces(derivative, pieces.kinks, max(pieces.order - 1, 0))


def find_pieces(function: Activation, name: str = "activation") -> Pieces:
    """Bisects each of many small cells towards the larger change: a jump stays, slopes vanish.

    Args:
      function: an elementwise function; the numbers that it holds must be concrete.
      name: the argument's, for the error.

    Returns:
      The function and its kinks in [-32, 32], of which no two share a cell of 1/128.

    Raises:
      TypeError: if it is not a function of one array, cannot be hashed, or holds traced values.
      ValueError: if it is not elementwise, or has more than `MOST_KINKS`.

    >>> find_pieces(jax.nn.hard_tanh).kinks
    (-1.0, 1.0)
    >>> find_pieces(jnp.tanh).kinks
    ()
    """
    if not checks.is_hashable(function):
        raise TypeError(
            f"{name} must be hashable, got {checks.called(function)}, which is not: write "
            "lambda z: f(z)"
        )
    return _find_pieces(function, name)


@functools.lru_cache(maxsize=256)
def _find_pieces(function: Activation, name: str) -> Pieces:
    _check_elementwise(function, name)
    derivatives: list[Activation] = [function]
    for _ in range(DERIVATIVES - 1):
        derivatives.append(functools.partial(slope, derivatives[-1]))

    @jax.jit
    def stacked(z: jax.Array) -> jax.Array:
        return jnp.stack([each(z) for each in derivatives])

    def evaluate(z: np.ndarray) -> np.ndarray:
        return in_float64(stacked, z)

    # The cells' ends must not be round numbers, as the places of kinks mostly are: a kink on the
    # border of two cells would be in neither.
    low = np.linspace(-REACH, REACH, CELLS, endpoint=False) + REACH / CELLS / math.pi
    high = low + 2 * REACH / CELLS
    at_low, at_high = evaluate(low), evaluate(high)
    # Of a smooth cell the change halves with the cell and vanishes; a jump keeps its size however
    # small the cell. No program text is read, so that any code will do.
    for _ in range(HALVINGS):
        middle = low + (high - low) / 2
        at_middle = evaluate(middle)
        # Where the function is infinite, differences are NaN, and no jump.
        with np.errstate(invalid="ignore"):
            left = np.abs(at_middle - at_low).sum(0) >= np.abs(at_high - at_middle).sum(0)
        low, high = np.where(left, low, middle), np.where(left, middle, high)
        at_low, at_high = np.where(left, at_low, at_middle), np.where(left, at_middle, at_high)
    # Of a function that is large, as exp at 30, so is the rounding.
    size = np.maximum(1, np.maximum(np.abs(at_high), np.abs(at_low)))
    with np.errstate(invalid="ignore"):
        jumps = np.abs(at_high - at_low) > JUMP * size
    order = np.argmax(jumps.any(1)) if jumps.any() else math.inf
    return Pieces(function, tuple(_distinct(high[jumps.any(0)], name)), float(order))


def _distinct(places: np.ndarray, name: str) -> list[float]:
    """Ascending, each once, rounded to 12 digits where that is within rounding error."""
    rounded = np.round(places, 12)
    places = np.where(np.abs(places - rounded) < 1e-14, rounded + 0.0, places)
    kept: list[float] = []
    for place in np.sort(places):
        if not kept or place - kept[-1] > 1e-9:
            kept.append(float(place))
    if len(kept) > MOST_KINKS:
        raise ValueError(
            f"{name} must have at most {MOST_KINKS} kinks or jumps in [-{REACH:.0f}, "
            f"{REACH:.0f}], got {len(kept)}, from {kept[0]:g} to {kept[-1]:g}; one that is steeper "
            "than floats can show looks so too"
        )
    return kept


def _check_elementwise(function: Activation, name: str) -> None:
    with jax.enable_x64(True):
        check_activation(name, function, np.float64, shape=(9,), mixing=ValueError)
        program = jax.make_jaxpr(function)(jax.ShapeDtypeStruct((9,), np.float64))
    if not all(map(checks.is_concrete, program.consts)):
        raise TypeError(f"{name} {function!r} must not hold traced values")
