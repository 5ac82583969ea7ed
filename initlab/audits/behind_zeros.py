"""Gradients that a zero hides, as behind a zero readout: measured with the zero drawn at random."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from initlab.taps import Chain, Model, Row, rows_of
from initlab.types import Params

__all__ = ["find_hidden", "measure_behind_zeros"]


def find_hidden(rows: Sequence[Row], chains: Sequence[Chain]) -> dict[int, int]:
    """The places whose gradient is zero, each with the parameters that may hide it.

    Args:
      rows: as `rows_of` gives them.
      chains: as `chains_of` gives them.

    Returns:
      `{number of a row: bit set}` of the parameters that multiply the signal on every path behind
      the place.
    """
    hidden: dict[int, int] = {}
    for chain in chains:
        for number in chain.rows:
            row = rows[number]
            norms = row.values.get("gradient_norm")
            if norms is not None and row.upstream and (norms == 0).any():
                hidden[number] = hidden.get(number, 0) | (chain.through & ~row.through)
    return hidden


def measure_behind_zeros(
    model: Model,
    rows: Sequence[Row],
    hidden: Mapping[int, int],
    starts: Params,
    measure: Callable[[Params], Any],
    opened: Any = None,
) -> list[Row]:
    """Rows with `gradient_behind_zeros`, the norm of a gradient that zeros make exactly zero.

    30 chaotic layers and a readout of zeros have no gradient but that of the readout: it will take
    a step, and then the gradient explodes. So the parameters of zeros that multiply the signal on
    every path behind such a place are drawn at random, in a copy, and the program is run again.
    Signals before them, and how gradients change from layer to layer there, stay what they are.

    Args:
      model: the model.
      rows: as `rows_of` gives them.
      hidden: as `find_hidden` gives it.
      starts: params with a first axis of seeds.
      measure: such params to what `taps.measure` gives of each: the compiled program.
      opened: what it gave of params whose zeros were replaced already (`Waiting.first`), or None.

    Returns:
      The rows; the same, and nothing is run, where zeros on every path hide no gradient.
    """
    leaves, tree = jax.tree.flatten(starts)
    drawn, found = [], False
    for bit, leaf in enumerate(map(np.asarray, leaves)):
        is_behind = leaf.size and any(through >> bit & 1 for through in hidden.values())
        zeros = _zeros(leaf, bool(model.notes.stacked >> bit & 1)) if is_behind else np.zeros(())
        found = found or bool(zeros.any())
        drawn.append(np.where(zeros, _draw(leaf, bit), leaf) if zeros.any() else leaf)
    if not found:
        return list(rows)
    if opened is None:
        result = measure(jax.tree.unflatten(tree, drawn))
        opened = {name: result[name] for name in result if name != "gradients"}
    behind = rows_of(model, jax.device_get(opened))
    return [
        _with_norm(row, other) if number in hidden else row
        for number, (row, other) in enumerate(zip(rows, behind, strict=True))
    ]


def _zeros(leaf: np.ndarray, is_stacked: bool) -> np.ndarray:
    """Which seeds' leaves, or which slices of theirs, are all zero: in a shape that broadcasts."""
    axes = tuple(range(1 + is_stacked, leaf.ndim))
    return ~np.any(leaf != 0, axis=axes, keepdims=True)


def _draw(leaf: np.ndarray, bit: int) -> np.ndarray:
    """Of a usual size; a gate becomes 1. Which size does not matter: no step is counted across."""
    if leaf.ndim < 3:
        return np.ones_like(leaf)
    draws = np.random.default_rng(bit).normal(size=leaf.shape[1:]) / np.sqrt(max(leaf.shape[1:]))
    return np.broadcast_to(draws, leaf.shape).astype(leaf.dtype)


def _with_norm(row: Row, other: Row) -> Row:
    zero = row.values["gradient_norm"] == 0
    norms = np.where(zero, other.values["gradient_norm"], np.nan)
    return dataclasses.replace(row, values={**row.values, "gradient_behind_zeros": norms})
