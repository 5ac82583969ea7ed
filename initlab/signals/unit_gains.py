"""The gains under which every product of a wide model has mean square 1: theory's, not measured."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.signals.predict import read_starts
from initlab.signals.reader import Entry
from initlab.types import Apply, Params

__all__ = ["rescaled", "unit_gains"]

WITHIN = 0.01
"""How far a product's mean square may be from 1 when all gains are in place."""


def unit_gains(
    apply: Apply, starts: Params, batch: Any, squares: Params = None
) -> Mapping[Entry, float]:
    """`1 / sqrt(q_k)` of each weight, with all products before it already given `q = 1`.

    A bias adds its own variance to its product's: what is left to the weight is 1 less that.

    Args:
      apply: a pure function `(params, batch) -> outputs`.
      starts: params with a first axis of draws.
      batch: inputs.
      squares: of each leaf the mean square of its entries; those of starts when absent.

    Returns:
      By weight, and by slice of a weight that a loop slices: what it is multiplied by. Weights
      whose product is zero have none, nor have tables that are only looked up.

    Raises:
      ValueError: if a product cannot be followed, has a bias as large as it may be in all, or keeps
        its size whatever its weight's.
    """
    reader = read_starts(apply, starts, batch, squares, {})
    if reader.failed:
        named = "; ".join(f"{name}: {reason}" for name, reason in reader.failed.items())
        raise ValueError(f"theory cannot follow what these weights do to data: {named}")
    if not reader.factors:
        raise ValueError(
            "apply has no product of a parameter that is drawn and data, or all are zero"
        )
    names = {entry: _name(entry) for entry in reader.factors}
    biases = {name: reader.places[name].rms ** 2 - 1 for name in names.values()}
    for name, square in biases.items():
        if square > 1 - WITHIN:
            raise ValueError(
                f"the bias of {name} has mean square {square:.3g}, which leaves its weight nothing "
                "of 1: draw it smaller, or 0"
            )
    if max(biases.values()) > 0.01 * WITHIN:
        left = {name: 1 - square for name, square in biases.items()}
        reader = read_starts(apply, starts, batch, squares, left)
    factors = reader.factors
    _check_slices(starts, factors)
    # Not all weights act by their size: one may be normalized, or its product before its bias.
    again = read_starts(
        apply, rescaled(starts, factors, draws=1), batch, _squares(starts, squares, factors)
    )
    for name in names.values():
        square = again.places[name].rms ** 2
        if abs(square - 1) > WITHIN:
            raise ValueError(
                f"the product of {name} does not grow as its weight does, which the model "
                "normalizes, adds to, or rearranges before a loop slices it: with the gains its "
                f"mean square is {square:.3g}"
            )
    return factors


def rescaled(params: Params, factors: Mapping[Entry, float], draws: int = 0) -> Params:
    """Params with each weight, or slice of one, times its factor.

    Args:
      params: a pytree of arrays.
      factors: by path and slice.
      draws: how many leading axes the arrays have before a parameter's own.

    Returns:
      The params.
    """
    by_path: dict[str, dict[tuple[int, ...], float]] = {}
    for (path, index), factor in factors.items():
        by_path.setdefault(path, {})[index] = factor
    leaves = []
    for path, leaf in checks.leaves_by_path("params", params).items():
        own = by_path.get(path)
        if own is not None:
            rank = len(next(iter(own)))
            sizes = np.ones(np.shape(leaf)[draws : draws + rank])
            for index, factor in own.items():
                sizes[index] = factor
            sizes = sizes.reshape((1,) * draws + sizes.shape + (1,) * (leaf.ndim - draws - rank))
            leaf = leaf * jnp.broadcast_to(jnp.asarray(sizes, leaf.dtype), leaf.shape)
        leaves.append(leaf)
    return jax.tree.unflatten(jax.tree.structure(params), leaves)


def _check_slices(starts: Params, factors: Mapping[Entry, float]) -> None:
    shapes = {path: np.shape(leaf)[1:] for path, leaf in checks.leaves_by_path("", starts).items()}
    for path, index in factors:
        # A loop counts slices of what it is given, which need not be the leaf as it is.
        if any(at >= size for at, size in zip(index, shapes[path], strict=False)):
            raise ValueError(
                f"theory cannot follow {path}, of shape {shapes[path]}, which the model rearranges "
                "before a loop slices it"
            )


def _squares(starts: Params, squares: Params, factors: Mapping[Entry, float]) -> Params:
    """Mean squares of rescaled leaves."""
    if squares is None:
        return None
    before = jax.tree.map(lambda leaf: float(np.mean(np.square(np.asarray(leaf, float)))), starts)
    after = jax.tree.map(
        lambda leaf: float(np.mean(np.square(np.asarray(leaf, float)))),
        rescaled(starts, factors, draws=1),
    )
    return jax.tree.map(
        lambda square, old, new: square * new / old if old else square, squares, before, after
    )


def _name(entry: Entry) -> str:
    path, index = entry
    return path + (f"[{', '.join(map(str, index))}]" if index else "")
