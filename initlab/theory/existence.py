"""Whether a Gaussian mean is finite, as far as the quadrature reaches."""

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

PLACES = np.linspace(-REACH, REACH, 49)
"""Where the integrand is compared with its ends, in standard deviations."""

DENSITY = np.exp(-(PLACES**2) / 2)


def check_mean(
    name: str, function: Activation, q: Any, c: Any = None, *, square: bool = False
) -> None:
    """Raises ValueError where the integrand has not died out at the quadrature's reach.

    `E exp(z^2)` is infinite for a variance of 1/2 or more, and the quadrature's number would be
    whatever lies within its reach.

    Args:
      name: the argument's.
      function: whose mean is taken.
      q: variance, a number or an array; traced ones are not checked.
      c: correlation, for a mean of `f(u) f(v)`.
      square: whether the mean is of `f^2`.

    Raises:
      ValueError: if the integrand at the reach is over 0.1 % of its mean size.

    >>> check_mean("function", lambda z: np.exp(z**2), 1.0)
    Traceback (most recent call last):
    ValueError: function must have a finite mean under N(0, q), got one whose integrand has not died
    out at 12 standard deviations, for q = 1.0
    """
    if not all(map(checks.is_concrete, (q, 0 if c is None else c))):
        return
    # A mean that is finite for one variance is so for every smaller one.
    q = np.asarray(q, np.float64)[..., None] if c is not None else np.max(q)
    std, pair = np.sqrt(q), 1.0 if c is None else np.asarray(c, np.float64)[..., None]
    # Where u and v are as far out together, and as far apart, as they are likely to be.
    along, across = (std * np.sqrt((1 + sign * pair) / 2) * PLACES for sign in (1, -1))
    with np.errstate(all="ignore"):
        if c is None:
            values = np.abs(in_float64(function, along))
            sections = [values**2 if square else values]
        else:
            near, far = in_float64(function, along), in_float64(function, across)
            sections = [near**2, np.abs(far * far[..., ::-1])]
        sizes = np.nan_to_num(np.stack(sections) * DENSITY, nan=np.inf)
        left = np.maximum(sizes[..., 0], sizes[..., -1]).max(axis=0)
        step = PLACES[1] - PLACES[0]
        mean = sizes.sum(axis=-1).max(axis=0) * step / np.sqrt(2 * np.pi)
        off = ~((left <= LEFT * mean) & np.isfinite(mean))
    if off.any():
        first = np.broadcast_to(q[..., 0] if c is not None else q, off.shape)[off].ravel()[0]
        what = "mean square" if square else "mean"
        raise ValueError(
            f"{name} must have a finite {what} under N(0, q), got one whose integrand has not died "
            f"out at {REACH:.0f} standard deviations, for q = {first}"
        )
