"""What is traced and compiled once for a model, and measures any of its params."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.audits.fans import Fans, read_fans
from initlab.compilation import compile_or_reuse, compile_to_run_once
from initlab.programs.equations import has_lasting_effect
from initlab.programs.trace import as_function
from initlab.symmetry import BlockAxis, Coverage, Symmetry, UnitGroup, read_symmetry
from initlab.taps import Model, measure, read_model
from initlab.types import Apply, OutputLoss, Params

__all__ = ["Instrument", "described", "make_instrument"]


MOST_CONSTANTS = 1e6
"""Entries of the arrays that a model may have closed over for its program's text to be written."""


class Instrument(NamedTuple):
    """What is traced and compiled once for a model, and measures any of its params."""

    model: Model
    groups: Sequence[UnitGroup]
    coverage: Coverage | str
    batched: Sequence[tuple[str, BlockAxis]]
    classes: int
    fans: Mapping[int, Fans]
    program: Callable[[Params, Any, jax.Array], Any]


def make_instrument(
    apply: Apply,
    loss: OutputLoss | None,
    tree: Any,
    leaves: Any,
    batch_tree: Any,
    inputs: Any,
    draws: jax.ShapeDtypeStruct,
) -> Instrument:
    """Traced at each call, as the functions are now; the same program is compiled once."""
    shapes, batch = jax.tree.unflatten(tree, leaves), jax.tree.unflatten(batch_tree, inputs)
    model = read_model(apply, shapes, batch)
    avals = [jax.ShapeDtypeStruct(each.shape, each.dtype) for each in model.program.out_avals]
    _check_loss(jax.tree.unflatten(model.out_tree, avals), loss)

    def program(starts: Params, batch: Any, draws: jax.Array) -> Any:
        def one(params: Params, draw: jax.Array) -> Any:
            return measure(model, params, batch, draw, loss)

        if draws.shape[0] == 1:
            # A batched program of one would be another, and slower, than the model's own.
            alone = one(jax.tree.map(lambda leaf: leaf[0], starts), draws[0])
            return jax.tree.map(lambda x: x[None], alone)
        if any(map(has_lasting_effect, model.program.eqns)):
            # A reference that is the same for all starts has no place for what one writes.
            return jax.lax.map(lambda each: one(*each), (starts, draws))
        return jax.vmap(one)(starts, draws)

    classes = avals[0].shape[-1] if avals and avals[0].shape else 1
    many = [jax.ShapeDtypeStruct((draws.shape[0], *leaf.shape), leaf.dtype) for leaf in leaves]
    lowered = jax.jit(program).lower(jax.tree.unflatten(tree, many), batch, draws)
    constants = sum(np.size(each) for each in model.program.consts)
    is_short = constants < MOST_CONSTANTS
    compiled = (
        compile_or_reuse(lowered, compile_to_run_once) if is_short else compile_to_run_once(lowered)
    )
    groups, coverage, batched = _groups(model, shapes, batch, loss)
    fans = read_fans(model, groups)
    return Instrument(model, groups, coverage, batched, classes, fans, compiled)


def described(tree: Any) -> tuple[Any, tuple[jax.ShapeDtypeStruct, ...]]:
    """A tree's structure and its leaves' shapes, which are hashable."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves)


def _check_loss(outputs: Any, loss: OutputLoss | None) -> None:
    if loss is None:
        return
    with checks.calling("loss", "(outputs)"):
        value = jax.eval_shape(lambda outputs: loss(outputs), outputs)
    if getattr(value, "shape", None) != () or not jnp.issubdtype(value.dtype, jnp.floating):
        raise ValueError(f"loss must return one real number, got {value}")


Groups = tuple[Sequence[UnitGroup], Coverage | str, Sequence[tuple[str, BlockAxis]]]


def _groups(model: Model, shapes: Params, batch: Any, loss: OutputLoss | None) -> Groups:
    # The program, not the function: what Python does in it, as to print, is done once an audit.
    run = as_function(model.program)

    def apply(params: Params, batch: Any) -> Any:
        return run(*jax.tree.leaves((params, batch)))

    try:
        found = read_symmetry(apply, shapes, batch)
    except ValueError as error:
        # A model that ignores its params, or has effects, has no units to compare: the rest of the
        # audit still applies, and the reason is a finding (`untracked`).
        return (), f"the symmetry analysis does not support the model: {error}", ()
    groups = found.groups
    if loss is not None and found.batched:
        groups += _under_loss(model, apply, shapes, batch, loss, found)
    return groups, found.coverage, found.batched


def _under_loss(
    model: Model, apply: Apply, shapes: Params, batch: Any, loss: OutputLoss, found: Symmetry
) -> tuple[UnitGroup, ...]:
    """What a loss may exchange that outputs may not: members of an ensemble that it treats alike.

    Single outputs, as classes without a label of their own, are left out: a readout of zeros, which
    is common, would look like copies.
    """

    def whole(params: Params, batch: Any) -> Any:
        return loss(jax.tree.unflatten(model.out_tree, jax.tree.leaves(apply(params, batch))))

    places = {(path, each.axis, each.outer, each.inner, each.start) for path, each in found.batched}
    names = {group.name for group in found.groups}
    held = {_places(group) for group in found.groups}
    return tuple(
        dataclasses.replace(group, name=f"{group.name} (under the loss)")
        if group.name in names
        else group
        for group in read_symmetry(whole, shapes, batch).groups
        if _places(group) not in held and _places(group) & places
    )


def _places(group: UnitGroup) -> frozenset[tuple[str, int, int, int, int]]:
    return frozenset((u.path, u.axis, u.outer, u.inner, u.start) for u in group.axes)
