"""Which zero keeps a parameter without a gradient, read off the program of the gradients."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab.audits.descent import STEP, Flags, Slot, moved
from initlab.programs.equations import all_equations, has_lasting_effect
from initlab.programs.primitives import COMPUTING_CALLBACKS
from initlab.programs.trace import as_function, trace
from initlab.programs.vanishing import NONZERO, Ways, find_ways
from initlab.taps import Model
from initlab.types import OutputLoss

__all__ = ["Opening", "find_openings", "opened"]

SMALL_STEP = 2.0**-6
"""What opens a gate, as a share of the size of a usual weight: signals stay what they are."""


class Opening(NamedTuple):
    """After how many steps a slot has a gradient, and the leaf whose step alone gives it one.

    The leaf is None where it waits for two that take the same step.
    """

    steps: int
    leaf: int | None


def find_openings(
    model: Model, loss: OutputLoss | None, slots: Sequence[Slot], zero: Flags, alive: Flags
) -> list[dict[int, Opening]] | None:
    """What each slot without a gradient waits for, as far as factors of zero explain it.

    The program of the gradients says which zeros must have moved for each not to be zero
    (`programs.vanishing`); which of those move first is then a matter of counting. Nothing is run.

    Args:
      model: the model.
      loss: of its outputs.
      slots: of its parameters.
      zero: flags of the slots that are zero, [seeds, slots].
      alive: flags of those that have a gradient at the start.

    Returns:
      Of each seed `{slot: Opening}` for those that get a gradient; None where the gradients have no
      program: behind a loop of unknown length, or a call of Python.
    """
    program = _gradients_of(model, loss)
    if program is None:
        return None
    known: dict[bytes, list[Ways]] = {}
    found = []
    for closed, moving in zip(zero, alive, strict=True):
        pattern = closed.tobytes()
        if pattern not in known:
            known[pattern] = _ways(program, len(model.paths), slots, closed)
        found.append(_in_order(known[pattern], slots, moving))
    return found


def _gradients_of(model: Model, loss: OutputLoss | None) -> Any:
    names = {each.primitive.name for each in all_equations(model.program)}
    is_opaque = bool(names & (COMPUTING_CALLBACKS | {"while"}))
    if is_opaque or any(has_lasting_effect(each) for each in all_equations(model.program)):
        return None
    run = as_function(model.program)

    def total(leaves: list[Any], inputs: list[Any]) -> jax.Array:
        outputs = run(*leaves, *inputs)
        if loss is not None:
            return loss(jax.tree.unflatten(model.out_tree, outputs))
        real = [y for y in outputs if jnp.issubdtype(y.dtype, jnp.floating)]
        return sum((jnp.sum(y.astype(jnp.float32)) for y in real), start=jnp.float32(0))

    given = [jax.ShapeDtypeStruct(each.shape, each.dtype) for each in model.program.in_avals]
    count = len(model.paths)
    return trace(jax.grad(total), given[:count], given[count:])[0]


def _ways(program: Any, count: int, slots: Sequence[Slot], zero: np.ndarray) -> list[Ways]:
    """The ways of the gradient of each slot that is no member; a zero slot's bit is its number."""
    of_leaf: list[list[Ways]] = [[NONZERO] for _ in program.in_avals]
    places: list[list[int]] = [[] for _ in range(count)]
    for number, slot in enumerate(slots):
        if not slot.is_member:
            places[slot.leaf].append(number)
    for leaf, numbers in enumerate(places):
        if numbers:
            of_leaf[leaf] = [frozenset({1 << n}) if zero[n] else NONZERO for n in numbers]
    inputs = [each[0] if len(each) == 1 else each for each in of_leaf]
    ways = [NONZERO] * len(slots)
    for numbers, rows in zip(places, find_ways(program, inputs), strict=True):
        for row, number in enumerate(numbers):
            ways[number] = rows[row if len(rows) > 1 else 0]
    return ways


def _in_order(ways: Sequence[Ways], slots: Sequence[Slot], alive: np.ndarray) -> dict[int, Opening]:
    """What opens after one step, after two, and so on until nothing more does."""
    open_after = {n: 0 for n, slot in enumerate(slots) if alive[n] and not slot.is_member}
    found: dict[int, Opening] = {}
    for step in range(1, len(slots) + 1):
        before = sum(1 << n for n in open_after)
        fresh = sum(1 << n for n, when in open_after.items() if when == step - 1)
        news: dict[int, Opening] = {}
        for number, slot in enumerate(slots):
            if number in open_after or slot.is_member or ways[number] == NONZERO:
                continue
            ready = sorted(way & fresh for way in ways[number] if way & ~before == 0)
            if ready:
                single = [way for way in ready if way.bit_count() == 1]
                leaf = slots[single[0].bit_length() - 1].leaf if single else None
                news[number] = Opening(step, leaf)
        if not news:
            break
        open_after |= dict.fromkeys(news, step)
        found |= news
    return found


def opened(
    slots: Sequence[Slot],
    leaves: list[np.ndarray],
    gradients: Sequence[Any],
    zero: Flags,
    alive: Flags,
    openings: Sequence[dict[int, Opening]],
    wide: int,
) -> list[np.ndarray]:
    """Params in which all that ever gets a gradient has moved away from zero.

    What has a gradient moves as far as it has one: by a step of descent, or if it is zero at random
    in the entries that have one; what gets one later at random.

    Args:
      slots: of the leaves.
      leaves: params with a first axis of seeds.
      gradients: theirs.
      zero: flags of the slots that are zero.
      alive: flags of those that have a gradient.
      openings: what gets one later, of each seed.
      wide: bit set of the leaves that are opened to the size of a usual weight, others less.

    Returns:
      The leaves.
    """
    later = np.zeros(alive.shape, bool)
    for seed, found in enumerate(openings):
        later[seed, list(found)] = True
    is_member = np.asarray([slot.is_member for slot in slots], bool)[None]
    rng = np.random.default_rng(0)
    which = (alive | later & zero) & ~is_member
    directions = list(gradients)
    for leaf in {slot.leaf for n, slot in enumerate(slots) if (which & zero)[:, n].any()}:
        draw = rng.normal(size=leaves[leaf].shape[1:])
        # Gates and biases upwards: relu of a gate is open there.
        draw = -np.abs(draw) if draw.ndim < 2 else draw
        given = np.array(gradients[leaf])
        for n, slot in enumerate(slots):
            if slot.leaf == leaf and not slot.is_member:
                drawn = np.broadcast_to(draw, given.shape)[slot.place]
                part = given[slot.place]
                by_seed = (len(part),) + (1,) * (part.ndim - 1)
                has_one = (part != 0) | later[:, n].reshape(by_seed)
                at_zero = zero[:, n].reshape(by_seed)
                given[slot.place] = np.where(at_zero, np.where(has_one, drawn, 0), part)
        directions[leaf] = given
    factors = np.asarray(
        [(1.0 if wide >> slot.leaf & 1 else SMALL_STEP) / STEP for slot in slots], np.float64
    )
    step = SMALL_STEP * np.ones(len(slots))
    after = moved(slots, leaves, directions, which & ~zero, step)
    return moved(slots, after, directions, which & zero, factors)
