"""The structure of a sweep: choices that are Python and not numbers, each compiled once."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from initlab import checks
from initlab.sweeps.axes import Axis, check_axis_values, check_names
from initlab.sweeps.names import check_label
from initlab.training import Run

__all__ = ["Dimension", "Structure", "read_structure"]


class Dimension(NamedTuple):
    """One dimension of the structure.

    Attributes:
      name: the factory's keyword.
      labels: its coordinate in the results [n], numbers or text.
      values: what the factory is given [n].
    """

    name: str
    labels: np.ndarray
    values: tuple[Any, ...]


class Structure(NamedTuple):
    """The dimensions, and the run at each of their combinations, first dimension slowest.

    Attributes:
      dimensions: none where one run is swept.
      runs: as many as the product of the dimensions.
    """

    dimensions: tuple[Dimension, ...]
    runs: tuple[Run, ...]

    @property
    def lengths(self) -> tuple[int, ...]:
        """How many labels each dimension has."""
        return tuple(len(dimension.values) for dimension in self.dimensions)

    @property
    def names(self) -> tuple[str, ...]:
        """What each combination is called: "depth=2, activation=tanh"; "" for a single run."""
        rows = itertools.product(*(dimension.labels.tolist() for dimension in self.dimensions))
        return tuple(
            ", ".join(
                f"{dimension.name}={label}"
                for dimension, label in zip(self.dimensions, row, strict=True)
            )
            for row in rows
        )


def read_structure(
    run: Run | Callable[..., Run], given: Mapping[str, Any] | None, axes: Sequence[Axis]
) -> Structure:
    """Makes every run, which checks the axes.

    Args:
      run: a run, or with `given` a factory that takes its names as keywords.
      given: `{keyword: numbers or text}` or `{keyword: {label: value}}`, or None.
      axes: the numeric axes.

    Returns:
      Dimensions and runs.

    Raises:
      TypeError: if run is no run (no factory of runs), or a label is neither a number nor text.
      ValueError: if a dimension is empty or has a label twice, and a run's errors for an axis.
    """
    if given is None:
        if not isinstance(run, Run):
            raise TypeError(
                f"without a structure, run must be a Run, as make_run returns it, got {run!r}"
            )
        check_axis_values(run, axes)
        return Structure((), (run,))
    if isinstance(run, Run) or not callable(run):
        raise TypeError(f"with a structure, run must be a factory of runs, got {run!r}")
    if not isinstance(given, Mapping) or not given:
        raise TypeError(f"structure must be a dict of names and values, got {given!r}")
    numbers = [name for axis in axes for name in {axis.dimension: 0, **axis.columns}]
    check_names([*given, *numbers])
    dimensions = tuple(_dimension(name, values) for name, values in given.items())
    runs = []
    for values in itertools.product(*(dimension.values for dimension in dimensions)):
        keywords = {each.name: value for each, value in zip(dimensions, values, strict=True)}
        with checks.calling("run", f"({', '.join(map(str, keywords))})"):
            made = run(**keywords)
        if not isinstance(made, Run):
            raise TypeError(f"the factory must return a Run, as make_run does, got {made!r}")
        check_axis_values(made, axes)
        runs.append(made)
    return Structure(dimensions, tuple(runs))


def _dimension(name: str, given: Any) -> Dimension:
    if isinstance(given, str | bytes) or not hasattr(given, "__iter__"):
        raise TypeError(f"structure {name!r} must be a list or a dict of values, got {given!r}")
    labels = [label.item() if isinstance(label, np.generic) else label for label in given]
    values = tuple(given.values()) if isinstance(given, Mapping) else tuple(given)
    if not labels:
        raise ValueError(f"structure {name!r} must hold at least one value, got none")
    if all(isinstance(label, str) for label in labels):
        for label in labels:
            check_label(f"a value of structure {name!r}", label)
        column = np.asarray(labels, dtype=object)
    elif all(isinstance(label, int | float) and not isinstance(label, bool) for label in labels):
        column = np.asarray(labels)
        if column.dtype.kind not in "if" or not np.isfinite(column).all():
            raise ValueError(f"structure {name!r} must be labelled by finite numbers, got {labels}")
    else:
        raise TypeError(
            f"structure {name!r} must be labelled by numbers or by text; give other values names, "
            f"{{name: value}}; got {labels!r}"
        )
    if len(set(labels)) != len(labels):
        raise ValueError(f"structure {name!r} must hold different labels, got {labels}")
    return Dimension(name, column, values)
