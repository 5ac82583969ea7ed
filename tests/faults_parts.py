"""A sound start of the tables with one parameter changed, and what the change is."""

import jax
import numpy as np
from audit_models import Fault

from initlab import checks


def changed(params, path, change):
    """The params with `change(leaf)` in place of the leaf of a path."""
    seen = []

    def new(at, leaf):
        if checks.path_name(at) != path:
            return leaf
        seen.append(path)
        return change(leaf)

    params = jax.tree_util.tree_map_with_path(new, params)
    if not seen:
        raise KeyError(path)
    return params


def planted(code, place, severity, entry, changes):
    """A row of the table of faults: a row of the table of sound starts, changed at paths."""
    make, loss, _ = entry

    def ready():
        apply, params, batch = make()
        for path, change in changes.items():
            params = changed(params, path, change)
        return apply, params, batch

    return Fault(code, place, severity, ready, loss)


def times(factor):
    return lambda leaf: np.asarray(leaf) * np.float32(factor)


def constant(value):
    return lambda leaf: np.full_like(leaf, value)


def zero(leaf):
    return np.zeros_like(leaf)


def one_entry(value):
    """One entry in the middle is another number."""

    def change(leaf):
        leaf = np.array(leaf)
        leaf.flat[leaf.size // 2] = value
        return leaf

    return change


def copied(axis, source=0, to=1):
    """Along an axis one slice is a copy of another."""

    def change(leaf):
        leaf = np.moveaxis(np.array(leaf), axis, 0)
        leaf[to] = leaf[source]
        return np.moveaxis(leaf, 0, axis)

    return change


def all_copied(axis):
    """Along an axis all slices are one."""
    return lambda leaf: np.repeat(np.take(leaf, [0], axis), np.shape(leaf)[axis], axis)


def drawn_as(entry, path, factor=1.0):
    """The numbers of another path of a start: one draw in two places."""

    def change(leaf):
        params = entry[0]()[1]
        leaves = jax.tree_util.tree_leaves_with_path(params)
        (found,) = [leaf for at, leaf in leaves if checks.path_name(at) == path]
        return np.resize(np.float32(factor) * np.asarray(found), leaf.shape)

    return change
