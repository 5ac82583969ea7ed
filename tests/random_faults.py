"""Faults that can be planted into any random start: what is changed, and what must be said."""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np
from random_starts import Architecture, Layer

from initlab import checks


class Planted(NamedTuple):
    """A broken start: its params, its apply, and the (code, severities, places) that are right."""

    params: Any
    apply: Any
    code: str
    severities: tuple[str, ...]
    places: tuple[str, ...]


def _at(params, path, index, change):
    def new(at, leaf):
        if checks.path_name(at) != path:
            return leaf
        leaf = np.array(leaf)
        if index is None:
            return np.asarray(change(leaf), leaf.dtype)
        leaf[index] = change(leaf[index])
        return leaf

    return jax.tree_util.tree_map_with_path(new, params)


def _value(params, path):
    (leaf,) = [
        leaf
        for at, leaf in jax.tree_util.tree_leaves_with_path(params)
        if checks.path_name(at) == path
    ]
    return np.asarray(leaf)


def zero_pair(net: Architecture, params: Any, layer: Layer) -> Planted | None:
    """Two weights in a row are zero: each keeps the other's gradient at zero."""
    if net.is_chain:
        number = net.hidden.index(layer)
        if number + 1 == len(net.hidden):
            return None
        after = net.hidden[number + 1]
        pair = ((layer.path, layer.index), (after.path, after.index))
    else:
        pair = ((layer.path, None), (layer.path.replace("up", "down"), None))
    for path, index in pair:
        params = _at(params, path, index, np.zeros_like)
    return Planted(params, net.apply, "unused_parameter", ("fail",), (layer.place,))


def copied_units(net: Architecture, params: Any, layer: Layer) -> Planted | None:
    """One unit is a copy of another, in everything that it takes and gives."""
    if not layer.units:
        return None

    def change(axis, leaf):
        leaf = np.moveaxis(leaf, axis, 0)
        leaf[3] = leaf[5]
        return np.moveaxis(leaf, 0, axis)

    for path, axis in layer.units:
        params = _at(params, path, None, functools.partial(change, axis))
    places = tuple(path for path, _ in layer.units)
    return Planted(params, net.apply, "symmetric_units", ("fail",), places)


def constant(net: Architecture, params: Any, layer: Layer) -> Planted | None:
    """A weight is one number."""
    params = _at(params, layer.path, layer.index, lambda leaf: np.full_like(leaf, 0.1))
    return Planted(params, net.apply, "constant_tensor", ("warn", "fail"), (layer.place,))


def not_a_number(net: Architecture, params: Any, layer: Layer) -> Planted | None:
    """One entry of a bias is NaN."""

    def change(leaf):
        leaf[2] = np.nan
        return leaf

    place = layer.place.replace("/w", "/b") if "/w" in layer.place else layer.bias
    params = _at(params, layer.bias, layer.index, change)
    return Planted(params, net.apply, "non_finite", ("fail",), (place,))


BEYOND = 1e4
"""By which factor a weight is too large or too small: e^6 = 403 is the limit of a signal in all.

A net this narrow changes its signal by a factor of its own, 1/5 to 3.5 in 12,000 draws without a
fault. Planted a factor of 25 beyond the limit, each is more than twice the limit in all of them; at
1,000 a start whose signal grows by 2.5 by itself is within the limit, and rightly passes it.
"""


def too_large(net: Architecture, params: Any, layer: Layer) -> Planted | None:
    """A weight is 100 times too large before a tanh, `BEYOND` times before a relu."""
    if not net.is_chain:
        return None
    factor, code = (100, "saturated") if net.activation == "tanh" else (BEYOND, "exploding_signal")
    params = _at(params, layer.path, layer.index, lambda leaf: leaf * factor)
    # Of few units some stay unsaturated by chance.
    return Planted(params, net.apply, code, ("warn", "fail"), (layer.place,))


def too_small(net: Architecture, params: Any, layer: Layer) -> Planted | None:
    """A weight is `BEYOND` times too small."""
    if not net.is_chain:
        return None
    params = _at(params, layer.path, layer.index, lambda leaf: leaf / BEYOND)
    return Planted(params, net.apply, "vanishing_signal", ("fail",), (layer.place,))


def dead(net: Architecture, params: Any, layer: Layer) -> Planted | None:
    """The biases before a relu are far below zero."""
    if net.activation != "relu":
        return None
    params = _at(params, layer.bias, layer.index, lambda leaf: np.full_like(leaf, -30))
    return Planted(params, net.apply, "dead_units", ("fail",), (layer.place,))


def one_key(net: Architecture, params: Any, layer: Layer) -> Planted | None:
    """A weight holds the numbers of another layer's, at another scale."""
    other = net.hidden[net.hidden.index(layer) - 1]
    drawn = _value(params, other.path)
    drawn = drawn if other.index is None else drawn[other.index]
    params = _at(params, layer.path, layer.index, lambda leaf: 1.1 * np.resize(drawn, leaf.shape))
    return Planted(params, net.apply, "duplicate_tensors", ("warn",), (layer.place,))


def stopped(net: Architecture, params: Any, layer: Layer) -> Planted | None:
    """A stop_gradient behind a layer, so that it never trains."""
    number = net.hidden.index(layer)
    apply = functools.partial(net.apply, stop=number)
    places = (layer.place, layer.path)
    if layer.index is not None:
        # Of a stack that is indexed, not scanned, later slices train: what is before it does not.
        places = ("in",)
    # In one branch of several it may be on purpose, as of a frozen part: a note.
    severities = ("warn", "fail") if net.is_chain else ("info",)
    return Planted(params, apply, "unused_parameter", severities, places)


def without_fan(net: Architecture, params: Any, layer: Layer) -> Planted | None:
    """All hidden weights have std 1, before a tanh 3: nobody divided by the fan."""
    if not net.is_chain:
        return None
    del layer
    std = 3 if net.activation == "tanh" else 1
    for each in net.hidden:
        params = _at(params, each.path, each.index, lambda leaf: leaf * std / leaf.std())
    code = "saturated" if net.activation == "tanh" else "confident_start"
    places = ("output", *(each.place for each in net.hidden))
    return Planted(params, net.apply, code, ("warn", "fail"), places)


def confident(net: Architecture, params: Any, layer: Layer) -> Planted | None:
    """The readout is 50 times too large."""
    del layer
    path = "out" if isinstance(params, dict) else f"{len(params) - 1}/w"
    params = _at(params, path, None, lambda leaf: leaf * 50)
    return Planted(params, net.apply, "confident_start", ("fail",), ("output",))


FAULTS = {
    each.__name__: each
    for each in (
        confident,
        constant,
        copied_units,
        dead,
        not_a_number,
        one_key,
        stopped,
        too_large,
        too_small,
        without_fan,
        zero_pair,
    )
}
