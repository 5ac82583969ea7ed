"""Whether a Gaussian mean is finite, as far as the quadrature reaches."""

import math
from typing import Any

import numpy as np

from initlab import checks
from initlab.theory.evaluation import in_float64
from initlab.types import Activation

__all__ = ["REACH", "check_mean"]

REACH = 12.0
"""Standard deviations that quadratures cover: the normal density is 2e-32 there."""

LEFT = 1e-3
"""Share of a mean that the integrand may have at the reach: an infinite one has all of it there."""


def check_mean(name: str, function: Activation, q: Any, value: Any, c: Any = None) -> None:
    """Raises ValueError where the integrand has not died out at the quadrature's reach.

    `E exp(z^2)` is infinite for a variance of 1/2 or more, and the quadrature's number would be
    whatever lies within its reach.

    Args:
      name: the argument's.
      function: whose mean was taken.
      q: variance; traced ones are not checked.
      value: the mean.
      c: correlation, for a mean of `f(u) f(v)`.

    Raises:
      ValueError: if the integrand at the reach is over 0.1 % of the mean.

    >>> check_mean("function", lambda z: jnp.exp(z**2), 1.0, 1.4e31)
    Traceback (most recent call last):
    ValueError: function must have a finite mean under N(0, q), got one whose integrand has not died
    out at 12 standard deviations, for q = 1.0
    """
    if not all(map(checks.is_concrete, (q, value, 0 if c is None else c))):
        return
    std, value = np.sqrt(np.asarray(q, np.float64)), np.abs(np.asarray(value, np.float64))
    pair = 1.0 if c is None else np.asarray(c, np.float64)
    # Where u and v are furthest out together, and where they are furthest apart.
    ends = [REACH * std * np.sqrt((1 + sign * pair) / 2) for sign in (1, -1)]
    along, across = np.broadcast_arrays(*ends)
    high, low = np.abs(in_float64(function, np.stack([[along, across], [-along, -across]])))
    with np.errstate(over="ignore", invalid="ignore"):
        sizes = [high[0], low[0]] if c is None else [high[0] ** 2, low[0] ** 2, high[1] * low[1]]
        left = np.max(np.nan_to_num(sizes, nan=np.inf), axis=0) * math.exp(-(REACH**2) / 2)
    if (off := ~(left <= LEFT * np.maximum(value, 1e-30))).any():
        first = np.broadcast_to(np.asarray(q, np.float64), off.shape)[off].ravel()[0]
        raise ValueError(
            f"{name} must have a finite mean under N(0, q), got one whose integrand has not died "
            f"out at {REACH:.0f} standard deviations, for q = {first}"
        )
