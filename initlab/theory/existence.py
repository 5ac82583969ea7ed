"""Whether a Gaussian mean is finite, as far as the quadrature reaches."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.theory.evaluation import in_float64
from initlab.types import Activation, Array

__all__ = [
    "REACH",
    "check_holds",
    "check_mean",
    "has_mean",
    "lost_layers",
    "nan_after",
    "nan_where",
    "where_mean",
]

REACH = 12.0
"""Standard deviations that quadratures cover: the normal density is 2e-32 there."""

LEFT = 1e-3
"""Share of a mean that the integrand may have at the reach: an infinite one has all of it there."""

PLACES = np.linspace(-REACH, REACH, 49)
"""Where the integrand is compared with its ends, in standard deviations."""

DENSITY = np.exp(-(PLACES**2) / 2)


def has_mean(function: Activation, q: Any, c: Any = None, *, power: int = 1) -> Any:
    """Whether the integrand of `E f(u)^power`, or of `E f(u) f(v)`, dies out within the reach.

    `E exp(z^2)` is infinite for a variance of 1/2 or more, and the quadrature's number would be
    whatever lies within its reach.

    Args:
      function: f, elementwise.
      q: variance of u and of v, a number or an array; it may be traced.
      c: their correlation, for a mean of `f(u) f(v)`.
      power: of f, for a mean of one variable.

    Returns:
      Truth values of the shape of q and c together: whether the integrand at the reach is at most
      0.1 % of its mean size, and that size a number.

    >>> has_mean(lambda z: jnp.exp(z**2), np.array([0.1, 1.0])).tolist()
    [True, False]
    """
    known = all(map(checks.is_concrete, (q, 0 if c is None else c)))
    xp: Any = np if known else jnp

    def of(z: Any) -> Any:
        return in_float64(function, z) if known else function(z)

    if c is not None:
        q, c = xp.broadcast_arrays(*(xp.asarray(each, _dtype(q, c)) for each in (q, c)))
    std = xp.sqrt(xp.asarray(q, _dtype(q)))[..., None]
    places, density = (
        xp.asarray(each, std.dtype).reshape((1,) * (std.ndim - 1) + each.shape)
        for each in (PLACES, DENSITY)
    )
    with np.errstate(all="ignore"):
        if c is None:
            sections = [xp.abs(of(std * places)) ** power]
        else:
            # Where u and v are as far out together, and as far apart, as they are likely to be.
            along, across = (
                std * xp.sqrt((1 + sign * c) / 2)[..., None] * places for sign in (1, -1)
            )
            near, far = of(along), of(across)
            sections = [near**2, xp.abs(far * far[..., ::-1])]
        sizes = xp.nan_to_num(xp.stack(sections) * density[None], nan=np.inf)
        left = xp.maximum(sizes[..., 0], sizes[..., -1]).max(axis=0)
        step = PLACES[1] - PLACES[0]
        mean = sizes.sum(axis=-1).max(axis=0) * step / np.sqrt(2 * np.pi)
        return (left <= LEFT * mean) & xp.isfinite(mean)


def check_mean(name: str, function: Activation, q: Any, c: Any = None, *, power: int = 1) -> None:
    """Raises ValueError where a mean is infinite; a traced variance or correlation is not checked.

    Args:
      name: the argument's.
      function: whose mean is taken.
      q: variance, a number or an array.
      c: correlation, for a mean of `f(u) f(v)`.
      power: as `has_mean`.

    Raises:
      ValueError: if the integrand at the reach is over 0.1 % of its mean size.

    >>> check_mean("function", lambda z: np.exp(z**2), 1.0)
    Traceback (most recent call last):
    ValueError: function must have a finite mean under N(0, q), got one whose integrand has not died
    out at 12 standard deviations, for q = 1.0
    """
    if not all(map(checks.is_concrete, (q, 0 if c is None else c))) or not np.size(q):
        return
    # A mean that is finite for one variance is so for every smaller one.
    q = np.asarray(q, np.float64) if c is not None else np.max(q)
    off = ~has_mean(function, q, c, power=power)
    if off.any():
        what = {1: "mean", 2: "mean square", 4: "mean fourth power"}[power]
        raise ValueError(
            f"{name} must have a finite {what} under N(0, q), got one whose integrand has not died "
            f"out at {REACH:.0f} standard deviations, for q = "
            f"{np.broadcast_to(q, off.shape)[off].ravel()[0]}"
        )


def check_holds(what: str, result: Any, names: Sequence[str]) -> None:
    """Raises ValueError where a known result is beyond its dtype; traced, it says so itself.

    Args:
      what: the result's name.
      result: an array of one axis.
      names: of the arguments that it depends on.

    Raises:
      ValueError: with the first entry that is not finite.

    >>> check_holds("a mean", np.array([1.0, np.inf]), ("q0", "depth"))
    Traceback (most recent call last):
    ValueError: q0 and depth must give numbers that float64 holds, and a mean at layer 1 is inf
    """
    if not checks.is_concrete(result) or np.isfinite(result).all():
        return
    layer = int(np.argmin(np.isfinite(result)))
    raise ValueError(
        f"{', '.join(names[:-1])} and {names[-1]} must give numbers that "
        f"{np.asarray(result).dtype} holds, and {what} at layer {layer} is {result[layer]}"
    )


def where_mean(
    name: str, function: Activation, result: Any, q: Any, c: Any = None, *, power: int = 1
) -> Any:
    """The result of a mean: an error where the mean is known to be infinite, else NaN there.

    Args:
      name: the argument's.
      function: whose mean is taken.
      result: a pytree of arrays, q's and c's axes in front of their own.
      q: variance, a number or an array; it may be traced.
      c: correlation, for a mean of `f(u) f(v)`.
      power: as `has_mean`.

    Returns:
      result; where q or c is traced, NaN in place of finite numbers that stand for no finite mean.

    Raises:
      ValueError: as `check_mean`.

    >>> jax.jit(lambda q: where_mean("phi", lambda z: jnp.exp(z**2), q, q))(jnp.array([0.1, 1.0]))
    Array([0.1, nan], dtype=float32)
    """
    if all(map(checks.is_concrete, (q, 0 if c is None else c))):
        check_mean(name, function, q, c, power=power)
        return result
    lost = ~has_mean(function, q, c, power=power)

    def only(leaf: jax.Array) -> jax.Array:
        # What has overflowed says so itself.
        return nan_where(jnp.broadcast_to(lost, leaf.shape) & jnp.isfinite(leaf), leaf)

    return jax.tree.map(only, result)


def nan_where(lost: jax.Array, leaf: Array) -> jax.Array:
    """NaN in place of the numbers of leaf that are lost.

    >>> nan_where(jnp.array([False, True]), jnp.array([1.0, 2.0])).tolist()
    [1.0, nan]
    """
    return jnp.where(lost, jnp.asarray(jnp.nan, leaf.dtype), leaf)


def lost_layers(function: Activation, q: Any, after: Any, *, power: int) -> Any:
    """Which layers take a mean that is infinite: an error where that is known.

    Args:
      function: whose mean is taken at each layer.
      q: variance that it sees, [..., L]; it may be traced.
      after: what the layer made of the mean, [..., L]; infinite or NaN, it misleads nobody.
      power: as `has_mean`.

    Returns:
      Truth values [..., L] for traced q; None for known ones, of which none is lost.

    Raises:
      ValueError: as `check_mean`, of known q.

    >>> lost_layers(jnp.tanh, np.ones(3), np.ones(3), power=2) is None
    True
    """
    if checks.is_concrete(q):
        check_mean("activation", function, q[np.isfinite(q) & np.isfinite(after)], power=power)
        return None
    return ~has_mean(function, q, power=power) & jnp.isfinite(after)


def nan_after(lost: jax.Array, leaf: jax.Array) -> jax.Array:
    """NaN from the layer on that follows the first lost one.

    Args:
      lost: of each layer but the last, [..., L - 1].
      leaf: [..., L].

    Returns:
      leaf, NaN where it comes of a lost layer.

    >>> nan_after(jnp.array([False, True]), jnp.array([1.0, 2.0, 3.0])).tolist()
    [1.0, 2.0, nan]
    """
    since = jnp.cumsum(lost, axis=-1) > 0
    return nan_where(jnp.concatenate([jnp.zeros_like(since[..., :1]), since], axis=-1), leaf)


def _dtype(*values: Any) -> Any:
    """float64 if a traced value is, else float32; of known numbers float64."""
    if all(map(checks.is_concrete, values)):
        return np.float64
    dtypes = [each.dtype for each in values if not checks.is_concrete(each)]
    return np.float64 if np.dtype(np.float64) in dtypes else np.float32
