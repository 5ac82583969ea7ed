"""The layout of the results: variables, coordinates, dimensions, long names and units."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import xarray

from initlab.probes import LONG_NAMES
from initlab.sweeps.axes import RESERVED, Axis
from initlab.sweeps.names import check_name
from initlab.sweeps.plan import Chunk
from initlab.sweeps.structure import Structure
from initlab.types import History

__all__ = ["Layout", "Variable", "arrange", "fill_value", "lay_out"]

DIVERGED = "first step after which a parameter was not finite, -1 if none"


class Variable(NamedTuple):
    """An array over runs: its dims, shape, dtype and attributes."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    attrs: Mapping[str, str]

    @property
    def is_by_layer(self) -> bool:
        """Whether it has an entry for each layer."""
        return self.dims[-1] == "layer"


class Layout(NamedTuple):
    """The dataset without its values, known before anything is computed.

    Attributes:
      variables: `{name: Variable}`, over (structure..., axes..., step, layer).
      coordinates: those of every dimension.
      layers: the layers of each of the structure's runs.
    """

    variables: Mapping[str, Variable]
    coordinates: xarray.Dataset
    layers: tuple[tuple[str, ...], ...]

    @property
    def bytes_for_each_run(self) -> int:
        """Size of one run's results."""
        sizes = {"step": 1, "layer": 1, **self.coordinates.sizes}
        return sum(
            variable.dtype.itemsize
            * math.prod(sizes[dim] for dim in variable.dims if dim in ("step", "layer"))
            for variable in self.variables.values()
        )


def lay_out(structure: Structure, axes: Sequence[Axis], traces: Sequence[History]) -> Layout:
    """Names every dimension of the results.

    Args:
      structure: dimensions and runs.
      axes: the numeric axes.
      traces: one run's results for each of the structure's runs, as shapes and dtypes.

    Returns:
      Variables over (structure..., axes..., step) and perhaps layer. The layers are those of all
      runs together; where a run lacks one, real numbers are NaN, integers the least of their dtype
      and booleans False.

    Raises:
      TypeError: if a measurement is not named by text.
      ValueError: if a measurement is neither a scalar nor has one entry for each layer, or is named
        like a dimension or as no file can be, or if two runs differ in their steps or in what they
        measure.
    """
    measured = [
        _measurements(trace, run.layers) for trace, run in zip(traces, structure.runs, strict=True)
    ]
    _check_alike(structure, measured)
    dims = (*(each.name for each in structure.dimensions), *(axis.dimension for axis in axes))
    shape = (*structure.lengths, *(axis.length for axis in axes))
    layers = tuple(dict.fromkeys(layer for run in structure.runs for layer in run.layers))
    steps = _steps(structure.runs[0].description)
    taken = {*dims, *(name for axis in axes for name in axis.columns), *RESERVED}
    variables = {}
    for name, (dtype, is_by_layer, is_curve) in measured[0].items():
        check_name("a probe value", name)
        if name in taken:
            raise ValueError(f"a probe value must not be named {name!r}; taken are {sorted(taken)}")
        more = ({"step": len(steps)} if is_curve else {}) | (
            {"layer": len(layers)} if is_by_layer else {}
        )
        attrs = {"long_name": LONG_NAMES.get(name, name), "units": "1"}
        variables[name] = Variable((*dims, *more), (*shape, *more.values()), dtype, attrs)
    diverged = {"long_name": DIVERGED, "units": "1"}
    variables["first_nonfinite_step"] = Variable(dims, shape, np.dtype(np.int32), diverged)
    coordinates = _coordinates(structure, axes, steps, layers)
    return Layout(variables, coordinates, tuple(run.layers for run in structure.runs))


def fill_value(dtype: np.dtype) -> Any:
    """What marks a missing number: NaN, the least integer, or False."""
    if dtype.kind in "fc":
        return dtype.type("nan")
    return np.iinfo(dtype).min if dtype.kind in "iu" else False


def arrange(layout: Layout, chunk: Chunk, history: History) -> dict[str, np.ndarray]:
    """A chunk's results in the shape of the chunk's region.

    Args:
      layout: of all results.
      chunk: the chunk.
      history: its results, the first axis running over its runs.

    Returns:
      `{name: array}`, to be assigned to `chunk.region` of each variable.
    """
    # Runs of a structure may lack layers that others have, as at another depth.
    own = layout.layers[chunk.combination]
    layers = layout.coordinates["layer"].values.tolist()
    arranged = {}
    columns = {
        **history.values,
        **history.reductions,
        "first_nonfinite_step": history.first_nonfinite_step,
    }
    for name, variable in layout.variables.items():
        column = columns[name].astype(variable.dtype, copy=False)
        if variable.is_by_layer and list(own) != layers:
            whole = np.full(
                (*column.shape[:-1], len(layers)), fill_value(variable.dtype), variable.dtype
            )
            whole[..., [layers.index(layer) for layer in own]] = column
            column = whole
        single = (1,) * len(chunk.place)
        arranged[name] = column.reshape(*single, *chunk.shape, *column.shape[1:])
    return arranged


def _measurements(
    history: History, layers: Sequence[str]
) -> dict[str, tuple[np.dtype, bool, bool]]:
    """Of each measurement its dtype, whether it has an entry for each layer, and for each step."""
    measured = {}
    curves = [(name, value, value.shape[1:]) for name, value in history.values.items()]
    numbers = [(name, value, value.shape) for name, value in history.reductions.items()]
    for name, value, extra in curves + numbers:
        if extra not in ((), (len(layers),)):
            raise ValueError(
                f"probe value {name!r} must be a scalar or have {len(layers)} entries (a layer "
                f"each), got shape {extra}"
            )
        # A store knows NumPy's own dtypes only; float32 holds every number of the short ones.
        short = jnp.issubdtype(value.dtype, jnp.floating) and value.dtype.itemsize <= 2
        measured[name] = (
            np.dtype(np.float32 if short else value.dtype),
            bool(extra),
            name in history.values,
        )
    return measured


def _check_alike(structure: Structure, measured: Sequence[Mapping[str, Any]]) -> None:
    runs = zip(structure.names, structure.runs, measured, strict=True)
    first_name, first_run, first_measured = next(runs)
    for name, run, values in runs:
        if _steps(run.description) != _steps(first_run.description):
            raise ValueError(
                f"all runs of a structure must have the same steps and every; ({first_name}) has "
                f"{_span(first_run.description)} and ({name}) {_span(run.description)}"
            )
        if values != first_measured:
            differ = sorted(
                key
                for key in {*values, *first_measured}
                if values.get(key) != first_measured.get(key)
            )
            raise ValueError(
                f"all runs of a structure must measure the same; ({first_name}) and ({name}) "
                f"differ in {differ}"
            )


def _steps(description: Mapping[str, Any]) -> range:
    return range(0, description["steps"] + 1, description["every"])


def _span(description: Mapping[str, Any]) -> str:
    return f"steps={description['steps']}, every={description['every']}"


def _coordinates(
    structure: Structure, axes: Sequence[Axis], steps: Sequence[int], layers: Sequence[str]
) -> xarray.Dataset:
    coordinates: dict[str, Any] = {}
    for dimension in structure.dimensions:
        coordinates[dimension.name] = (
            dimension.name,
            dimension.labels,
            _attrs(dimension.name, dimension.labels),
        )
    for axis in axes:
        for name, column in axis.columns.items():
            coordinates[name] = (axis.dimension, column, _attrs(name, column))
    numbers = np.asarray(steps, dtype=np.int32)
    coordinates["step"] = ("step", numbers, {"long_name": "optimizer steps taken", "units": "1"})
    coordinates["layer"] = ("layer", np.asarray(layers, dtype=object), {"long_name": "layer"})
    return xarray.Dataset(coords=coordinates)


def _attrs(name: str, values: np.ndarray) -> dict[str, str]:
    is_text = values.dtype == object
    return {"long_name": name.replace("_", " ")} | ({} if is_text else {"units": "1"})
