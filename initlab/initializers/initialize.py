"""Params from specs: every parameter drawn by an initializer under its own key."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.frameworks import check_are_parameters, framework_hint
from initlab.initializers.combinators import demands_of
from initlab.keys import path_key
from initlab.types import Initializer, Params, ParamSpec

__all__ = ["draw_parameter", "initialize"]


@checks.checked
def initialize(key: jax.Array, specs: Params, initializer: Initializer) -> Params:
    """Draws every parameter: `params[path] = initializer(path_key(key, path), specs[path])`.

    A parameter stacked over layers is drawn slice by slice, each under its own layer's path, so
    that a network with its depth scanned starts as the unrolled one does. The initializer sees the
    path of the whole there, the shape of a slice, and by `stack` and `place` which slice it is. So
    are members drawn, each under a key of its own.

    Operations are compiled one by one, so that layers, seeds and schemes share the draws of one
    shape. To draw one scheme under many keys, `jax.jit(lambda key: initialize(key, specs, init))`
    compiles the tree as one program; its last bits may differ.

    Args:
      key: a JAX key.
      specs: pytree of ParamSpec.
      initializer: `(key, spec) -> array`.

    Returns:
      The params: arrays of the specs' shapes and dtypes, in the specs' tree.

    Raises:
      TypeError: if specs holds none, or something else than ParamSpec of floating arrays, as
        counters and statistics of a framework, or initializer is not callable or raises.
      ValueError: if the initializer returns another shape or dtype than the spec's, or is made by
        `by_path` and one of its patterns matches no parameter or only what earlier ones take, or is
        for another kind of network; if two specs have one path.

    >>> from initlab.initializers import constant
    >>> initialize(jax.random.key(0), {"w": ParamSpec((1, 2), 1, 2)}, constant(0.5))
    {'w': Array([[0.5, 0.5]], dtype=float32)}
    """
    checks.check_callable("initializer", initializer)
    check_are_parameters(specs)
    by_path = checks.check_specs(specs)
    for demand in demands_of(initializer):
        demand(by_path)
    # Not one jitted program for the tree: the generator is what takes long to compile, and there it
    # is compiled for each tensor, not each shape, and again for each scheme made anew. XLA would
    # also merge a scheme's factor with the sqrt(2) of a normal draw: other bits than op by op.

    def draw(tree_path: tuple[Any, ...], spec: ParamSpec) -> jax.Array:
        path = checks.path_name(tree_path)
        if not jnp.issubdtype(spec.dtype, jnp.floating):
            hint = framework_hint(specs)
            raise TypeError(f"specs[{path!r}] must be floating, got {np.dtype(spec.dtype)}{hint}")
        return draw_parameter(key, dataclasses.replace(spec, path=path), initializer)

    return jax.tree_util.tree_map_with_path(draw, specs)


def draw_parameter(key: jax.Array, spec: ParamSpec, initializer: Initializer) -> jax.Array:
    """One parameter of a tree, with its slices and members, by the tree's key and its path."""
    if not spec.stack:
        return _draw_one(path_key(key, spec.path), spec, initializer)
    keys = jnp.stack([path_key(key, each) for each in spec.stack])

    def draw_slice(key: jax.Array, place: jax.Array) -> jax.Array:
        one = dataclasses.replace(spec, shape=spec.shape[1:], place=place)
        return _draw_one(key, one, initializer)

    return jax.vmap(draw_slice)(keys, jnp.asarray(np.arange(len(spec.stack))))


def _draw_one(key: jax.Array, spec: ParamSpec, initializer: Initializer) -> jax.Array:
    if spec.members:
        return _draw_members(key, spec, initializer)
    with checks.calling("initializer", "(key, spec)"):
        value = initializer(key, spec)
    name = f"what initializer returns for params[{spec.path!r}]"
    checks.check_array(name, value, spec)
    return value


def _draw_members(key: jax.Array, spec: ParamSpec, initializer: Initializer) -> jax.Array:
    """Each member by itself, [*counts, *shape of one], and its axes back in their places."""
    counts = [spec.shape[axis] for axis in spec.members]
    shape = tuple(size for axis, size in enumerate(spec.shape) if axis not in spec.members)
    one = dataclasses.replace(spec, shape=shape, members=())

    def draw_one(key: jax.Array) -> jax.Array:
        return _draw_one(key, one, initializer)

    drawn = jax.vmap(draw_one)(jax.random.split(key, math.prod(counts)))
    return jnp.moveaxis(drawn.reshape(*counts, *shape), range(len(counts)), spec.members)
