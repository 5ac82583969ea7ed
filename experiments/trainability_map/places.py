"""The axes of a map by name, and where its pixels lie along them."""

import difflib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["KINDS", "Place", "check_names", "kind_of", "place_pixels"]


class Kind(NamedTuple):
    """What an axis is: its scale, and the part of it that is mapped when nothing else is said.

    Attributes:
      is_log: whether its coordinate is log10 of the value.
      center: coordinate of the map's middle.
      span: from the first pixel's coordinate to the last one's.
      by_layer: whether it may be that of one layer, as sigma_w_2.
    """

    is_log: bool
    center: float
    span: float
    by_layer: bool = False


KINDS = {
    "sigma_w": Kind(True, 0.5, 3.0, by_layer=True),
    "sigma_b": Kind(True, -1.0, 2.0),
    "learning_rate": Kind(True, 0.5, 4.0, by_layer=True),
    "offset": Kind(False, 0.0, 8.0),
    "depth": Kind(False, 15.0, 28.0),
}
"""The axes; sigma_w is the std of a weight times sqrt(fan_in), offset is added to each weight of
the first layer."""


class Place(NamedTuple):
    """Pixels along one axis.

    Attributes:
      name: of the axis.
      coordinate: of each pixel, log10 of its value where the axis is logarithmic [n].
      value: what a run is given [n]; integers for depth.
    """

    name: str
    coordinate: np.ndarray
    value: np.ndarray


def kind_of(name: str) -> Kind:
    """The kind of an axis; that of one layer is its quantity's.

    >>> kind_of("learning_rate_2") is KINDS["learning_rate"]
    True
    """
    base, _, number = name.rpartition("_")
    return KINDS[base if number.isdigit() else name]


def check_names(names: Sequence[str], layers: int) -> None:
    """Raises ValueError unless these are two different axes of a network of so many layers.

    Args:
      names: of x and y.
      layers: of the network, the readout included; 0 where layers have no numbers.
    """
    numbered = [
        f"{name}_{number}"
        for name, kind in KINDS.items()
        if kind.by_layer
        for number in range(1, layers + 1)
    ]
    for flag, name in zip("xy", names, strict=True):
        if name not in (*KINDS, *numbered):
            near = difflib.get_close_matches(name, (*KINDS, *numbered), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            some = f", or of one layer {numbered[0]} to {numbered[-1]}" if numbered else ""
            raise ValueError(
                f"--{flag} must be one of {', '.join(KINDS)}{some}, got {name!r}{hint}"
            )
    if names[0] == names[1]:
        raise ValueError(f"--x and --y must be different axes, got {names[0]!r} for both")


def place_pixels(name: str, center: float, span: float, pixels: int, dtype: str) -> Place:
    """Pixels evenly apart in the axis' coordinate, both ends included.

    Args:
      name: of the axis.
      center: coordinate of the middle.
      span: between the first pixel and the last, above 0.
      pixels: how many; of depth no more than there are whole numbers.
      dtype: the coarsest that runs compute in: values are rounded to it, so that runs of finer
        ones are given the same numbers.

    Returns:
      The pixels.

    Raises:
      ValueError: if two pixels would be one number in that dtype, or a value is out of its range.

    >>> place_pixels("learning_rate", 0.0, 2.0, 3, "float32").value.round(6).tolist()
    [0.1, 1.0, 10.0]
    """
    coordinate = np.linspace(center - span / 2, center + span / 2, pixels)
    if name == "depth":
        value = np.unique(np.rint(coordinate).astype(np.int64))
        if value[0] < 1:
            raise ValueError(f"depth must be at least 1, got {value[0]} at the map's edge")
        return Place(name, value.astype(float), value)
    with np.errstate(over="ignore", under="ignore"):
        exact = 10**coordinate if kind_of(name).is_log else coordinate
        value = exact.astype(dtype).astype(np.float64)
    if not np.isfinite(value).all() or (kind_of(name).is_log and not value.all()):
        raise ValueError(
            f"{name} must fit {dtype}, got 10^{coordinate[0]:g} to 10^{coordinate[-1]:g}"
        )
    if np.unique(value).size < pixels:
        raise ValueError(
            f"pixels of {name} must differ in {dtype}, got {pixels} within {span:.3g} around "
            f"{center:.9g}: zoom less, or compute in --dtype=float64 alone"
        )
    return Place(name, coordinate, value)
