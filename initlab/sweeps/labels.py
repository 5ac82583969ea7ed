"""From arrays to a labelled dataset: dimensions, coordinates, long names and units."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray

from initlab.probes import LONG_NAMES
from initlab.types import Trace

__all__ = ["label"]


def label(trace: Trace, values: Mapping[str, np.ndarray], layers: Sequence[str]) -> xarray.Dataset:
    """Names every dimension of a stack of traces.

    Args:
      trace: arrays whose first axis runs over the product of the axes, first axis slowest.
      values: `{axis: its values}`.
      layers: names of the layers, for measurements with one entry for each.

    Returns:
      A dataset: `dims = (axes..., step)` and perhaps `layer`.

    Raises:
      ValueError: if a measurement is neither a scalar nor has one entry for each layer.
    """
    axes = tuple(values)
    lengths = tuple(column.size for column in values.values())
    variables = {}
    for name, column in trace.values.items():
        extra = column.shape[2:]
        if extra not in ((), (len(layers),)):
            raise ValueError(
                f"probe value {name!r} must be a scalar or have {len(layers)} entries (a layer "
                f"each), got shape {extra}"
            )
        dims = (*axes, "step") + (("layer",) if extra else ())
        attrs = {"long_name": LONG_NAMES.get(name, name)}
        variables[name] = (dims, column.reshape(*lengths, *column.shape[1:]), attrs)
    variables["first_nonfinite_step"] = (
        axes,
        trace.first_nonfinite_step.reshape(lengths),
        {"long_name": "first step after which a parameter was not finite, -1 if none"},
    )
    coordinates = {**values, "step": trace.step[0], "layer": np.asarray(layers, dtype=object)}
    return xarray.Dataset(variables, coords=coordinates)
