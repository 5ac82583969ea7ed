"""The spectral norm and the stable rank of each weight, as the matrix that its use makes of it."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from initlab.audits.fans import Fans
from initlab.taps import Model
from initlab.types import Params

__all__ = ["Matrices", "measure_matrices", "spectral_norm"]

STEPS = 12
"""Of the Lanczos method: the largest singular value of a random matrix of 1,000 to about 1 %."""

SMALL = 64
"""The smaller side of a matrix up to which its singular values are computed outright."""


class Matrices(NamedTuple):
    """Of each weight whose use is understood; of a stacked one of each layer.

    Attributes:
      names: as "layer_1/weight" or "blocks/w[3]", [weights].
      spectral_norm: over sqrt(fan_out / fan_in), near 1 where a layer keeps the rms of its input
        (Yang, Simon and Bernstein 2023, arXiv:2310.17813); of several members the largest, [seeds,
        weights].
      stable_rank: squared Frobenius norm over squared spectral norm, of several members the mean,
        [seeds, weights].
    """

    names: tuple[str, ...]
    spectral_norm: np.ndarray
    stable_rank: np.ndarray


def measure_matrices(model: Model, fans: Mapping[int, Fans], starts: Params) -> Matrices:
    """Both numbers of every weight with fans, in a few products with a vector.

    Args:
      model: the model.
      fans: as `read_fans` reads them.
      starts: params with a first axis of seeds.

    Returns:
      The numbers; NaN where the axes of a weight do not split at its fan_in, or it is not finite.
    """
    names: list[str] = []
    columns: list[np.ndarray] = []
    leaves = jax.tree.leaves(starts)
    for number, each in fans.items():
        leaf = np.asarray(leaves[number])
        is_stacked = bool(model.notes.stacked >> number & 1)
        slices = leaf.shape[1] if is_stacked else 1
        for layer in range(slices):
            part = leaf[:, layer] if is_stacked else leaf
            copies = each.copies // (each.stack if is_stacked else 1)
            columns.append(np.stack([_numbers(w, copies, each.fan_in) for w in part]))
            path = model.paths[number]
            names.append(f"{path}[{layer}]" if is_stacked else path)
    values = np.stack(columns, axis=1) if columns else np.zeros((leaves[0].shape[0], 0, 2))
    return Matrices(tuple(names), values[..., 0], values[..., 1])


def _numbers(weight: np.ndarray, copies: int, fan_in: int) -> tuple[float, float]:
    """`(largest spectral norm over sqrt(fan_out / fan_in), mean stable rank)` of the copies."""
    split = _split(weight.shape, copies, fan_in)
    if split is None or weight.size == 0 or not np.isfinite(weight).all():
        return math.nan, math.nan
    rows, columns = split
    parts = weight.astype(np.float32).reshape(copies, rows, columns)
    # Entries near the ends of float32's range have a norm beyond it.
    largest = float(np.abs(parts).max(initial=0.0)) or 1.0
    parts = parts / np.float32(largest)
    norms = np.array([spectral_norm(part) for part in parts])
    squares = np.sum(np.square(parts.astype(float)), axis=(1, 2))
    fan_out = rows * columns / fan_in
    with np.errstate(invalid="ignore", divide="ignore"):
        ranks = squares / np.square(norms)
    return float(norms.max() * largest / math.sqrt(fan_out / fan_in)), float(ranks.mean())


def _split(shape: tuple[int, ...], copies: int, fan_in: int) -> tuple[int, int] | None:
    """Rows and columns of one copy, copies first; inputs on either, as frameworks differ."""
    first = next((n for n in range(len(shape)) if math.prod(shape[:n]) == copies), None)
    if first is None:
        return None
    rest = shape[first:]
    for n in range(1, len(rest)):
        rows, columns = math.prod(rest[:n]), math.prod(rest[n:])
        if fan_in in (rows, columns):
            return rows, columns
    return None


def spectral_norm(matrix: Any) -> float:
    """The largest singular value, by the Lanczos method on `W^T W` where the matrix is large.

    Args:
      matrix: [m, n], float32.

    Returns:
      The norm; of a large matrix from below, to about 1 %.

    >>> spectral_norm(np.diag([3.0, 1.0, -4.0]))
    4.0
    """
    if min(matrix.shape) <= SMALL:
        return float(np.linalg.norm(matrix, 2))
    narrow = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    vector = np.random.default_rng(0).normal(size=narrow.shape[1]).astype(np.float32)
    basis: list[np.ndarray] = []
    images: list[np.ndarray] = []
    for _ in range(STEPS):
        before = np.linalg.norm(vector)
        # Against all vectors before, and twice: in float32 they lose their right angles.
        for other in basis + basis:
            vector = vector - (other @ vector) * other
        size = np.linalg.norm(vector)
        # What is left is rounding: the space that the matrix reaches is exhausted.
        if size <= 1e-5 * before:
            break
        basis.append(vector / size)
        images.append(narrow @ basis[-1])
        vector = narrow.T @ images[-1]
    return float(np.linalg.norm(np.stack(images), 2))
