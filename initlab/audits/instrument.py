"""What is traced and compiled once for a model, and measures any of its params."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from initlab.compilation import compile_to_run_once
from initlab.symmetry import Coverage, UnitGroup, find_groups
from initlab.taps import Model, measure, read_model
from initlab.types import Apply, OutputLoss, Params

__all__ = ["Instrument", "described", "make_instrument"]


class Instrument(NamedTuple):
    """What is traced and compiled once for a model, and measures any of its params."""

    model: Model
    groups: Sequence[UnitGroup]
    coverage: Coverage | str
    classes: int
    program: Callable[[Params, Any, jax.Array], Any]


@functools.lru_cache(maxsize=8)
def make_instrument(
    apply: Apply,
    loss: OutputLoss | None,
    tree: Any,
    leaves: Any,
    batch_tree: Any,
    inputs: Any,
    draws: jax.ShapeDtypeStruct,
) -> Instrument:
    """Compiled once for a function and the shapes that it takes, as `jax.jit` would."""
    shapes, batch = jax.tree.unflatten(tree, leaves), jax.tree.unflatten(batch_tree, inputs)
    model = read_model(apply, shapes, batch)
    _check_loss(apply, shapes, batch, loss)

    def program(starts: Params, batch: Any, draws: jax.Array) -> Any:
        def one(params: Params, draw: jax.Array) -> Any:
            return measure(model, params, batch, draw, loss)

        if draws.shape[0] == 1:
            # A batched program of one would be another, and slower, than the model's own.
            alone = one(jax.tree.map(lambda leaf: leaf[0], starts), draws[0])
            return jax.tree.map(lambda x: x[None], alone)
        return jax.vmap(one)(starts, draws)

    outputs = jax.tree.leaves(jax.eval_shape(apply, shapes, batch))
    classes = outputs[0].shape[-1] if outputs and outputs[0].shape else 1
    many = [jax.ShapeDtypeStruct((draws.shape[0], *leaf.shape), leaf.dtype) for leaf in leaves]
    lowered = jax.jit(program).lower(jax.tree.unflatten(tree, many), batch, draws)
    return Instrument(model, *_groups(apply, shapes, batch), classes, compile_to_run_once(lowered))


def described(tree: Any) -> tuple[Any, tuple[jax.ShapeDtypeStruct, ...]]:
    """A tree's structure and its leaves' shapes, which are hashable."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves)


def _check_loss(apply: Apply, shapes: Params, batch: Any, loss: OutputLoss | None) -> None:
    if loss is None:
        return
    value = jax.eval_shape(lambda params, x: loss(apply(params, x)), shapes, batch)
    if getattr(value, "shape", None) != () or not jnp.issubdtype(value.dtype, jnp.floating):
        raise ValueError(f"loss must return one real number, got {value}")


def _groups(apply: Apply, shapes: Params, batch: Any) -> tuple[Sequence[UnitGroup], Coverage | str]:
    try:
        return find_groups(apply, shapes, batch, report=True)
    except ValueError as error:
        # A model that ignores its params, or has effects, has no units to compare: the rest of the
        # audit still applies, and the reason is a finding (`untracked`).
        return (), f"the symmetry analysis does not support the model: {error}"
