"""Which zero keeps a parameter without a gradient, read off the program of the gradients."""

import functools
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab.audits.slots import STEP, Flags, Slot, flags_of, moved
from initlab.programs.equations import all_equations
from initlab.programs.primitives import COMPUTING_CALLBACKS
from initlab.programs.trace import as_function, trace
from initlab.programs.vanishing import NONZERO, Number, Ways, find_ways
from initlab.taps import Model, measure
from initlab.types import OutputLoss

__all__ = ["SMALL_STEP", "Opening", "find_openings", "opened"]

SMALL_STEP = 2.0**-6
"""What opens a gate, as a share of the size of a usual weight: signals stay what they are."""


class Opening(NamedTuple):
    """What a slot without a gradient waits for.

    Attributes:
      steps: after how many steps it has one; 0 for never.
      leaf: the leaf whose step alone gives it one; None where it waits for two that take the same
        step, and for never.
      needs: the slots of zeros that keep it from ever having one: all of them would have to change.
      is_sure: whether nothing else than steps would give it one.
    """

    steps: int
    leaf: int | None
    needs: tuple[int, ...] = ()
    is_sure: bool = True


def find_openings(
    model: Model,
    loss: OutputLoss | None,
    slots: Sequence[Slot],
    leaves: Sequence[np.ndarray],
    zero: Flags,
    factors: Flags,
    alive: Flags,
    waiting: Flags,
) -> list[dict[int, Opening]]:
    """What each slot without a gradient waits for, as far as factors of zero explain it.

    The program of the gradients says which zeros must have moved for each not to be zero
    (`programs.vanishing`); which of those move first is then a matter of counting. Nothing is run.
    A member is read as if all members were as it is: what they share is the same for each.

    Args:
      model: the model.
      loss: of its outputs.
      slots: of its parameters.
      leaves: params with a first axis of seeds.
      zero: flags of the slots that are zero, [seeds, slots].
      factors: flags of those among them that multiply something, as a bias does not.
      alive: flags of those that have a gradient at the start.
      waiting: flags of those that are asked about.

    Returns:
      Of each seed `{slot: Opening}` for those that factors of zero explain.
    """
    program = _gradients_of(model, loss)
    known: dict[bytes, list[Ways]] = {}

    def read(
        closed: np.ndarray, may_be_drawn: np.ndarray, moving: np.ndarray, seed: int
    ) -> dict[int, Opening]:
        numbers = _numbers(model, slots, leaves, seed)
        pattern = closed.tobytes() + repr(sorted(numbers.items())).encode()
        if pattern not in known:
            known[pattern] = _ways(program, len(model.paths), slots, closed, numbers)
        return _in_order(known[pattern], slots, moving, may_be_drawn)

    found = []
    for seed in range(len(zero)):
        flags = zero[seed], factors[seed], alive[seed]
        openings = read(*flags, seed)
        for own in _members(slots, waiting[seed]):
            as_one = [each.copy() for each in flags]
            for each in as_one:
                each[list(own)] = each[list(own.values())]
            for number, opening in read(as_one[0], as_one[1], as_one[2], seed).items():
                if number in own:
                    needs = tuple(own.get(n, n) for n in opening.needs)
                    openings[own[number]] = opening._replace(needs=needs)
        found.append(openings)
    return found


def _members(slots: Sequence[Slot], waiting: np.ndarray) -> list[dict[int, int]]:
    """For each index of members that is asked about `{slot of a leaf: slot of its member}`."""
    asked = {(s.axis, s.row) for n, s in enumerate(slots) if s.is_member and waiting[n]}
    whole = {s.leaf: n for n, s in enumerate(slots) if not s.is_member and s.row is None}
    return [
        {
            whole[s.leaf]: n
            for n, s in enumerate(slots)
            if s.is_member and (s.axis, s.row) == where and s.leaf in whole
        }
        for where in asked
    ]


def _gradients_of(model: Model, loss: OutputLoss | None) -> Any:
    run = as_function(model.program)
    names = {each.primitive.name for each in all_equations(model.program)}

    def total(leaves: list[Any], inputs: list[Any]) -> jax.Array:
        outputs = run(*leaves, *inputs)
        if loss is not None:
            return loss(jax.tree.unflatten(model.out_tree, outputs))
        real = [y for y in outputs if jnp.issubdtype(y.dtype, jnp.floating)]
        return sum((jnp.sum(y.astype(jnp.float32)) for y in real), start=jnp.float32(0))

    def measured(leaves: list[Any], inputs: list[Any]) -> Any:
        return measure(model, leaves, inputs, jax.random.key(0), loss)["gradients"]

    # Through what has no reverse mode the measurement takes none, as no other program would.
    is_opaque = names & (COMPUTING_CALLBACKS | {"while"})
    given = [jax.ShapeDtypeStruct(each.shape, each.dtype) for each in model.program.in_avals]
    count = len(model.paths)
    return trace(measured if is_opaque else jax.grad(total), given[:count], given[count:])[0]


def _numbers(
    model: Model, slots: Sequence[Slot], leaves: Sequence[np.ndarray], seed: int
) -> dict[int, Number]:
    """The parameters that are one number, as a gate is or a norm's scale.

    Of stacked ones only those with a number for each layer: layers that are the same to the reading
    of a loop are read once.
    """
    places: dict[int, list[int]] = {}
    for number, slot in enumerate(slots):
        if not slot.is_member:
            places.setdefault(slot.leaf, []).append(number)
    found: dict[int, Number] = {}
    for leaf, numbers in places.items():
        values = leaves[leaf][seed]
        if not np.isrealobj(values) or not np.isfinite(values).all():
            continue
        if not model.notes.stacked >> leaf & 1:
            if (values == values.flat[0]).all():
                found[leaf] = float(values.flat[0]), frozenset({1 << numbers[0]})
        elif values.ndim == 1:
            rows = tuple(frozenset({1 << n}) for n in numbers)
            found[leaf] = tuple(map(float, values)), rows
    return found


def _ways(
    program: Any,
    count: int,
    slots: Sequence[Slot],
    zero: np.ndarray,
    numbers: dict[int, Number],
) -> list[Ways]:
    """The ways of the gradient of each slot that is no member; a zero slot's bit is its number."""
    of_leaf: list[list[Ways]] = [[NONZERO] for _ in program.in_avals]
    places: list[list[int]] = [[] for _ in range(count)]
    for number, slot in enumerate(slots):
        if not slot.is_member:
            places[slot.leaf].append(number)
    for leaf, own in enumerate(places):
        if own:
            of_leaf[leaf] = [frozenset({1 << n}) if zero[n] else NONZERO for n in own]
    inputs = [each[0] if len(each) == 1 else each for each in of_leaf]
    ways = [NONZERO] * len(slots)
    for own, rows in zip(places, find_ways(program, inputs, numbers), strict=True):
        for row, number in enumerate(own):
            ways[number] = rows[row if len(rows) > 1 else 0]
    return ways


def _in_order(
    ways: Sequence[Ways], slots: Sequence[Slot], alive: np.ndarray, factors: np.ndarray
) -> dict[int, Opening]:
    """What opens after one step, after two, and so on; and what never does, for which factors."""
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
    after = sum(1 << n for n in open_after)
    may_be_drawn = sum(1 << n for n in np.flatnonzero(factors).tolist())
    for number, opening in found.items():
        found[number] = opening._replace(is_sure=not any(way & ~after for way in ways[number]))
    for number, slot in enumerate(slots):
        if number in open_after or slot.is_member or ways[number] == NONZERO:
            continue
        closed = [way & ~after for way in ways[number]]
        closed = [way for way in closed if way & ~may_be_drawn == 0]
        # Two ways past the same zeros: no one of them is needed.
        needed = functools.reduce(operator.and_, closed) if closed else 0
        needed = needed or functools.reduce(operator.or_, closed, 0)
        found[number] = Opening(0, None, tuple(n for n in range(len(slots)) if needed >> n & 1))
    return found


def opened(
    slots: Sequence[Slot],
    leaves: list[np.ndarray],
    gradients: Sequence[Any],
    zero: Flags,
    alive: Flags,
    openings: Sequence[dict[int, Opening]],
    drawn: Flags,
    wide: int,
    routers: int,
    share: float,
    shares: np.ndarray | float = 1.0,
) -> list[np.ndarray]:
    """Params in which all that ever gets a gradient has moved away from zero, and some zeros more.

    What has a gradient moves as far as it has one: by a step of descent, or if it is zero at random
    in the entries that have one; what gets one later at random, where it is zero or whole steps are
    taken.

    Args:
      slots: of the leaves.
      leaves: params with a first axis of seeds.
      gradients: theirs.
      zero: flags of the slots that are zero.
      alive: flags of those that have a gradient.
      openings: what gets one later, of each seed.
      drawn: flags of the zeros that are drawn at random though they never get one.
      wide: bit set of the leaves that are opened to the size of a usual weight, others less.
      routers: bit set of the leaves whose scores choose among experts: where whole steps are taken,
        one after the other would choose each of these, and a random move of their own size does.
      share: of a step, by which what has a gradient and is not zero moves.
      shares: [slots], what each slot's move is multiplied by.

    Returns:
      The leaves.
    """
    later = np.zeros(alive.shape, bool)
    for seed, found in enumerate(openings):
        later[seed, [n for n, opening in found.items() if opening.steps]] = True
    is_member = np.asarray([slot.is_member for slot in slots], bool)[None]
    rng = np.random.default_rng(0)
    which = (alive | later & (zero | (share == 1))) & ~is_member | drawn
    at_choice = alive & flags_of(routers if share == 1 else 0, slots)
    later |= drawn | at_choice
    directions = list(gradients)
    for leaf in {slot.leaf for n, slot in enumerate(slots) if (which & (zero | later))[:, n].any()}:
        draw = rng.normal(size=leaves[leaf].shape[1:])
        # Gates and biases upwards: relu of a gate is open there.
        draw = -np.abs(draw) if draw.ndim < 2 else draw
        given = np.array(gradients[leaf])
        for n, slot in enumerate(slots):
            if slot.leaf == leaf and (not slot.is_member or drawn[:, n].any()):
                random = np.broadcast_to(draw, given.shape)[slot.place]
                part = given[slot.place]
                by_seed = (len(part),) + (1,) * (part.ndim - 1)
                has_one = (part != 0) | later[:, n].reshape(by_seed)
                at_random = (zero | later)[:, n].reshape(by_seed)
                given[slot.place] = np.where(at_random, np.where(has_one, random, 0), part)
        directions[leaf] = given
    factors = np.asarray(
        [(1.0 if wide >> slot.leaf & 1 else SMALL_STEP) / STEP for slot in slots], np.float64
    )
    steps = np.where(at_choice.any(axis=0), 1 / STEP, share)
    after = moved(slots, leaves, directions, which & ~zero, shares * steps)
    return moved(slots, after, directions, which & zero, shares * factors)
