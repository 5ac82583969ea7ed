"""What is known of an array of a wide network at its start: data, a draw's law, a sample of a unit.

A layer's units are independent draws of one unit's law when the layer is wide. So an axis of units
needs no entries: SIZE samples of one unit, at all examples and positions together, stand for it.
"""

import dataclasses
import enum
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = [
    "SIZE",
    "Drawn",
    "Kind",
    "Known",
    "Normals",
    "Sampled",
    "Unfollowed",
    "correlated",
    "moments",
    "sampled_from",
]

SIZE = 4096
"""Samples of a unit: with matched second moments, errors of a mean square are below 1 %."""

WITHOUT_MEAN = 5.0
"""Standard errors from which on the mean of a parameter's entries is taken for no accident."""


class Kind(enum.Enum):
    """Of an axis.

    Attributes:
      SITE: an entry for each example or position.
      UNIT: independent entries, alike.
      SAME: equal entries.
      FLAT: sites and units in one.
    """

    SITE = "site"
    UNIT = "unit"
    SAME = "same"
    FLAT = "flat"


@dataclasses.dataclass(frozen=True, eq=False)
class Known:
    """An array that is computed as it is.

    Attributes:
      value: itself.
      is_data: whether it depends on the batch; else it is a constant.
    """

    value: Any
    is_data: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Drawn:
    """An array of parameters alone, as several draws have it.

    Attributes:
      values: [draws, ...].
      path: the parameter's.
      index: of iterations of the loops that slice it.
    """

    values: jax.Array
    path: str
    index: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """As an audit calls its place: "layers/weight[2]"."""
        return self.path + (f"[{', '.join(map(str, self.index))}]" if self.index else "")

    def varies(self) -> tuple[bool, ...]:
        """Along which axes entries differ."""
        values = np.asarray(self.values)
        return tuple(
            bool((values != np.take(values, [0], axis)).any()) for axis in range(1, values.ndim)
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Sampled:
    """Samples of what one unit gives at each site.

    Attributes:
      values: [SIZE, ...], or [1, ...] of what is the same for all units; an axis of UNIT and
        SAME has one entry, a FLAT one those of its sites.
      shape: the array's own.
      kinds: of each axis.
      place: of the product that gave it, as long as nothing but a bias has come after it.
    """

    values: jax.Array
    shape: tuple[int, ...]
    kinds: tuple[Kind, ...]
    place: str | None = None

    def copies(self, axis: int) -> int:
        """How many entries of the array one of `values` stands for, along an axis."""
        return self.shape[axis] // self.values.shape[axis + 1]


@dataclasses.dataclass(frozen=True, eq=False)
class Unfollowed:
    """An array of which nothing is predicted.

    Attributes:
      reason: why.
    """

    reason: str


class Normals:
    """Standard normal samples, exact in their moments up to the third: those of all calls together.

    Samples come in pairs of opposite signs, with unit covariance and none with earlier ones.
    """

    def __init__(self) -> None:
        self._draw = np.random.default_rng(0)
        self._known = np.zeros((SIZE // 2, 0))

    def draw(self, count: int) -> np.ndarray:
        """Samples [SIZE, count] that are independent of all before."""
        if not count:
            return np.zeros((SIZE, 0))
        half = self._draw.standard_normal((SIZE // 2, count))
        if count <= SIZE // 8:
            if self._known.shape[1] + count > SIZE // 4:
                self._known = self._known[:, self._known.shape[1] // 2 + count :]
            known = self._known
            half -= known @ (known.T @ half) / len(half)
            # Inverse Cholesky factor: unit covariance.
            root = np.linalg.cholesky(half.T @ half / len(half))
            half = np.linalg.solve(root, half.T).T
            self._known = np.concatenate([known, half], axis=1)
        return np.concatenate([half, -half])


def moments(values: np.ndarray) -> np.ndarray:
    """Second moments [S, S] of samples [SIZE, S, terms], summed over the terms."""
    rows = np.asarray(values, np.float64).transpose(1, 0, 2).reshape(values.shape[1], -1)
    return rows @ rows.T / values.shape[0]


def root_of(covariance: np.ndarray) -> np.ndarray:
    """A [S, rank] with `A A^T` the covariance; sites that are copies add no rank."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > 1e-9 * max(values[-1], 0.0)
    return vectors[:, kept] * np.sqrt(values[kept])


def correlated(normals: Normals, covariance: np.ndarray) -> np.ndarray:
    """Gaussian samples [SIZE, S] of a covariance [S, S]."""
    root = root_of(covariance)
    return normals.draw(root.shape[1]) @ root.T


def sampled_from(
    normals: Normals, drawn: Drawn, shape: Sequence[int], kinds: Sequence[Kind]
) -> Sampled:
    """A parameter that is added or multiplied entry by entry, as a sample.

    Args:
      normals: whose samples it takes.
      drawn: the parameter.
      shape: its shape.
      kinds: of the other operand's axes: where those are units, so are the parameter's.
    """
    varies = drawn.varies()
    own = tuple(
        (Kind.SITE if kind == Kind.SITE else Kind.UNIT) if differs else Kind.SAME
        for kind, differs in zip(kinds, varies, strict=True)
    )
    sizes = [size if kind == Kind.SITE else 1 for size, kind in zip(shape, own, strict=True)]
    values = np.asarray(drawn.values, np.float64)
    samples = normals.draw(int(np.prod(sizes))) * values.std() + values.mean()
    samples = samples.reshape(SIZE, *sizes)
    return Sampled(jnp.asarray(samples, drawn.values.dtype), tuple(shape), own)


def has_mean(drawn: Drawn) -> bool:
    """Whether the mean of its entries is more than the accident of a draw."""
    values = np.asarray(drawn.values, np.float64)
    return bool(abs(values.mean()) > WITHOUT_MEAN * values.std() / np.sqrt(values.size))
