"""Params of one mlp, and in plain NumPy what belongs to a unit and which units are the same."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from initlab import networks
from initlab import symmetry as sy

SIZES = (2, 5, 4, 3)
NETWORK = networks.mlp(SIZES, jnp.tanh)
GROUPS = sy.mlp_groups(NETWORK.specs)


def random_params(seed=0, sizes=SIZES, values=None):
    """Params of an mlp: Gaussian, or integers in [0, values)."""
    rng = np.random.default_rng(seed)

    def leaf(*shape):
        draw = rng.standard_normal(shape) if values is None else rng.integers(0, values, shape)
        return draw.astype(np.float32)

    return {
        f"layer_{n}": {"weight": leaf(i, j), "bias": leaf(j)}
        for n, (i, j) in enumerate(itertools.pairwise(sizes), start=1)
    }


def constant_params(value=0.5, sizes=SIZES):
    return jax.tree.map(lambda leaf: np.full_like(leaf, value), random_params(sizes=sizes))


def numpy_rows(params, group):
    """Columns, biases and outgoing rows of a hidden layer's units."""
    n = int(group.name.removeprefix("layer_"))
    layer, after = params[f"layer_{n}"], params[f"layer_{n + 1}"]
    return np.concatenate([layer["weight"].T, layer["bias"][:, None], after["weight"]], axis=1)


def numpy_classes(rows, atol=0.0):
    """The first row that equals each row, pair by pair and entry by entry."""

    def equal(a, b):
        if np.isnan(a) or np.isnan(b):
            return bool(np.isnan(a) and np.isnan(b))
        return a == b or (np.isfinite(a) and np.isfinite(b) and abs(a - b) <= atol)

    labels = []
    for row in rows:
        same = (all(map(equal, row, other)) for other in rows)
        labels.append(next(number for number, each in enumerate(same) if each))
    return labels


def moved(params, group, permutation):
    """The parameters with the units of a group, or of one block of it, moved by NumPy."""
    params = dict(params)
    for unit in group.axes:
        name = unit.path
        source = np.arange(params[name].shape[unit.axis])
        end = source.size - unit.rest
        blocks = source[unit.start : end].reshape(unit.outer, group.size, unit.inner)
        source[unit.start : end] = blocks[:, permutation].ravel()
        inside = np.ones((1,) * params[name].ndim, bool)
        for block, index in zip(unit.blocks, unit.at, strict=False):
            length = params[name].shape[block.axis]
            number = np.arange(length) - block.start
            is_there = (number // block.inner % block.size == index) & (number >= 0)
            is_there &= number < length - block.start - block.rest
            shape = [1] * params[name].ndim
            shape[block.axis] = length
            inside = inside & is_there.reshape(shape)
        exchanged = np.take(params[name], source, axis=unit.axis)
        params[name] = np.where(inside, exchanged, params[name])
    return params
