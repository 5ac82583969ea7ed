"""Statistics of parameters and of their gradients."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from initlab.taps.statistics import scaled_by_largest

__all__ = ["parameter_statistics"]

SMALL = 4096
"""Slices of at most as many entries are measured together."""

Statistics = dict[str, jax.Array]

NAMES = ("rms", "smallest", "largest", "gradient_rms")


def parameter_statistics(
    leaves: Sequence[jax.Array], gradients: Sequence[jax.Array], stacked: Sequence[bool]
) -> list[Statistics]:
    """Of each slice of a stacked parameter, or of the whole.

    Small ones are rows of one padded array: a compiler takes milliseconds for each reduction, and a
    model's many biases and scales would be half of all that there are.

    Args:
      leaves: the parameters.
      gradients: theirs.
      stacked: whether the first axis of each is that of a loop which slices it.

    Returns:
      For each leaf rms, smallest, largest and gradient_rms: [slices] or [1]; [0] of no entries.

    >>> (found,) = parameter_statistics([jnp.asarray([3.0, -4.0])], [jnp.zeros(2)], [False])
    >>> {name: round(value.item(), 2) for name, value in found.items()}
    {'rms': 3.54, 'smallest': -4.0, 'largest': 3.0, 'gradient_rms': 0.0}
    """
    found: list[Statistics] = [dict.fromkeys(NAMES, jnp.zeros(0))] * len(leaves)
    small = []
    for n, (leaf, gradient) in enumerate(zip(leaves, gradients, strict=True)):
        if leaf.size:
            shape = (leaf.shape[0] if stacked[n] else 1, -1)
            rows, slopes = leaf.reshape(shape), gradient.reshape(shape)
            # Doubles keep their digits: they are not one array with others.
            if rows.shape[1] > SMALL or leaf.dtype == jnp.float64:
                found[n] = _statistics(rows, slopes, np.full(len(rows), rows.shape[1]))
            else:
                small.append((n, (rows, slopes)))
    if small:
        counts = [rows[0].shape for _, rows in small]
        width = max(entries for _, entries in counts)
        entries = np.repeat([each for _, each in counts], [slices for slices, _ in counts])
        first, second = (_padded([rows[side] for _, rows in small], width) for side in (0, 1))
        together = _statistics(first, second, entries)
        ends = np.cumsum([slices for slices, _ in counts])
        for (n, rows), end in zip(small, ends, strict=True):
            found[n] = {name: x[end - len(rows[0]) : end] for name, x in together.items()}
    return found


def _padded(rows: Sequence[jax.Array], width: int) -> jax.Array:
    """Arrays [slices, entries] below each other, each with zeros up to one width."""
    parts = []
    for each in rows:
        each = each.astype(jnp.float32)
        missing = width - each.shape[1]
        if len(each) == 1:
            # One concatenation for all of these: of arrays and zeros, in turn.
            parts += [each.ravel(), jnp.zeros(missing, each.dtype)]
        else:
            parts.append(jnp.pad(each, ((0, 0), (0, missing))).ravel())
    return jnp.concatenate(parts).reshape(-1, width)


def _statistics(leaf: jax.Array, gradient: jax.Array, entries: np.ndarray) -> Statistics:
    """Of each row: `entries` numbers and zeros behind them."""
    numbers = jnp.arange(leaf.shape[1], dtype=jnp.int32)[None]
    is_entry = numbers < jnp.asarray(entries, jnp.int32)[:, None]
    values = (
        _rms(leaf, entries),
        jnp.min(jnp.where(is_entry, leaf, jnp.inf), axis=1).astype(jnp.float32),
        jnp.max(jnp.where(is_entry, leaf, -jnp.inf), axis=1).astype(jnp.float32),
        _rms(gradient, entries),
    )
    return dict(zip(NAMES, values, strict=True))


def _rms(rows: jax.Array, entries: np.ndarray) -> jax.Array:
    """As `statistics.rms`, of rows with zeros behind their entries."""
    largest, scaled = scaled_by_largest(rows, (1,))
    squares = jnp.sum(jnp.square(scaled), axis=1)
    return largest[:, 0] * jnp.sqrt(squares / jnp.asarray(entries, squares.dtype))
