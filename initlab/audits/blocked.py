"""Parameters without a gradient at the start: which of them get one, after what, and which never.

What a parameter waits for is read off the program of the gradients (`openings`), and the program
itself is asked whether it is so: it is measured once more, with all moved that ever will, and zeros
replaced that never do; not at all where every parameter has a gradient.

Where that leaves open whether steps or replaced zeros gave a gradient, or where one appeared that
nothing read off the program explains, as of slopes that underflow or terms that cancel, a last
measurement asks. What it does not tell apart is not told apart.
"""

import dataclasses
import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from initlab.audits.openers import find_candidates, find_opener, shares_of
from initlab.audits.openings import SMALL_STEP, Opening, find_openings, opened
from initlab.audits.slots import Flags, Slot, find_slots, flags_of, moved, sizes_of, zeros_of
from initlab.taps import Model
from initlab.types import OutputLoss, Params

__all__ = ["Blocked", "Waiting", "find_waiting"]


class Blocked(NamedTuple):
    """What becomes of a parameter whose gradient is exactly zero at the start.

    Attributes:
      steps: after how many steps of descent it has a gradient; 0 for never.
      by: what it waits for: the one parameter whose step alone gives it a gradient; or, if it never
        has one, all those that would have to start elsewhere than at zero.
    """

    steps: int
    by: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Waiting:
    """The parameters of some starts that have no gradient, and what each is read to wait for.

    Attributes:
      paths: names of the parameters.
      slots: what is asked about, parameters, slices and members.
      tree: the structure of params.
      leaves: params with a first axis of seeds.
      gradients: theirs.
      zero: flags of the slots that are zero, [seeds, slots].
      alive: flags of those that have a gradient.
      waiting: flags of those that are asked about.
      openings: what each of them waits for, of each seed, as far as it was read.
      drawn: flags of the zeros that are drawn at random in the first measurement.
      wide: bit set of the parameters that are opened to a usual size, if they are.
      routers: bit set of the parameters whose scores choose among experts.
    """

    paths: Sequence[str]
    slots: Sequence[Slot]
    tree: Any
    leaves: list[np.ndarray]
    gradients: list[Any]
    zero: Flags
    alive: Flags
    waiting: Flags
    openings: Sequence[dict[int, Opening]]
    drawn: Flags
    wide: int
    routers: int

    def first(self) -> Params:
        """Params with all moved that ever gets a gradient, and zeros drawn that never do."""
        return jax.tree.unflatten(self.tree, self._opened(self.drawn))

    def sizes(self, measured: Any) -> np.ndarray:
        """Zero where one that waits has no gradient in a measurement, or none waits."""
        return np.where(self.waiting, sizes_of(measured, self.slots), 0)

    def second(self, sizes: np.ndarray, gradients: Params) -> Params | None:
        """Params that ask what the first ones leave open; None where they leave nothing.

        Where a gradient may be there for steps or for drawn zeros, the same without the latter.
        Where one came from what was not read off the program: the routers moved alone, if there are
        any; else each that had a gradient by a share of its step, and what has one since as well.

        Args:
          sizes: with the first.
          gradients: with the first.

        Returns:
          The params.
        """
        has_one = sizes != 0
        if self.drawn.any():
            unsure = self._with(lambda each: not each.is_sure)
            if not (has_one & (unsure | self._unread())).any():
                return None
            return jax.tree.unflatten(self.tree, self._opened(np.zeros_like(self.drawn)))
        fresh = has_one & self._unread()
        if not fresh.any():
            return None
        if self._choosing():
            alone = flags_of(self.routers, self.slots)[0].astype(float)
            return jax.tree.unflatten(self.tree, self._opened(self.drawn, alone))
        shares = shares_of(self.slots, self._candidates())
        ahead = self._opened(self.drawn, shares)
        directions = jax.tree.leaves(gradients)
        return jax.tree.unflatten(self.tree, moved(self.slots, ahead, directions, fresh))

    def told(
        self, sizes: np.ndarray, again: np.ndarray | None = None, *, is_pure: bool = True
    ) -> list[dict[str, Blocked]]:
        """Of each seed `{path: Blocked}`.

        Args:
          sizes: with the first params.
          again: with the second; None before they are measured, or where there are none.
          is_pure: whether nothing else was changed in the second.

        Returns:
          What becomes of each that waits.
        """
        has_one = sizes != 0
        by_steps, later = has_one, np.zeros_like(has_one)
        if again is not None and self.drawn.any():
            by_steps = has_one & (again != 0)
        elif again is not None:
            later = (again != 0) & ~has_one
        steps, by = np.where(later, 2, 0), {}
        for seed, number in np.argwhere(has_one).tolist():
            where = seed, number
            steps[where], by[where] = self._explained(seed, number, bool(by_steps[where]))
            if again is not None and is_pure and not by[where] and not self.drawn.any():
                by[where] = self._opener(float(again[where]), float(sizes[where]))
        never = _once(self.slots, self.waiting & (steps == 0))
        # A member without a gradient for another reason is no fault: an expert that no token chose.
        return [
            {
                slot.path: Blocked(int(steps[seed, n]), by.get((seed, n), ()))
                for n, slot in enumerate(self.slots)
                if self.waiting[seed, n]
                and (not slot.is_member or (never[seed, n] and by.get((seed, n))))
            }
            for seed in range(len(steps))
        ]

    def _opener(self, part: float, whole: float) -> tuple[str, ...]:
        """The one that gave a gradient, as the second params tell it; empty where they do not."""
        choosing = self._choosing()
        if choosing:
            return (self.paths[choosing[0]],) if part and len(choosing) == 1 else ()
        candidates, number = self._candidates(), find_opener(part, whole)
        if number is None or number >= len(candidates):
            return ()
        return (self.paths[candidates[number]],)

    def _candidates(self) -> list[int]:
        return find_candidates(self.slots, self.alive, self.zero)

    def _choosing(self) -> list[int]:
        """The routers that have a gradient, by the numbers of their leaves."""
        which = (self.alive & flags_of(self.routers, self.slots)).any(axis=0)
        return sorted({self.slots[n].leaf for n in np.flatnonzero(which).tolist()})

    def _explained(self, seed: int, number: int, by_steps: bool) -> tuple[int, tuple[str, ...]]:
        """Steps and names of a slot that has a gradient in the first measurement."""
        opening = self.openings[seed].get(number)
        if opening is None and (by_steps or self.slots[number].is_member):
            return 1, ()
        if opening is not None and opening.steps and by_steps:
            return opening.steps, () if opening.leaf is None else (self.paths[opening.leaf],)
        if opening is not None and opening.needs:
            return 0, tuple(self.slots[n].path for n in opening.needs)
        if by_steps:
            return 1, ()
        # As of a last bias, over which the slopes of a loss cancel while its data are cut off: it
        # waits for all zeros on their way, and so does what is before it.
        return 0, tuple(self.slots[n].path for n in np.flatnonzero(self.drawn[seed]).tolist())

    def _opened(self, drawn: Flags, shares: np.ndarray | float = 1.0) -> list[np.ndarray]:
        # What zeros do not explain may end with a step: a whole one, or it is said never to end.
        share = 1.0 if (self.waiting & self._unread()).any() else SMALL_STEP
        return opened(
            self.slots,
            self.leaves,
            self.gradients,
            self.zero,
            self.alive,
            self.openings,
            drawn,
            self.wide,
            self.routers,
            share,
            shares,
        )

    def _with(self, holds: Callable[[Opening], Any]) -> Flags:
        """The slots of whose opening something holds."""
        return _with(self.openings, self.alive.shape, holds)

    def _unread(self) -> Flags:
        """The parameters that wait for something that was not read off the program."""
        is_member = np.asarray([slot.is_member for slot in self.slots], bool)[None]
        return ~self._with(lambda each: each.steps or each.needs) & ~is_member


def find_waiting(
    model: Model,
    loss: OutputLoss | None,
    starts: Params,
    measured: Any,
    members: Sequence[tuple[str, int]] = (),
    wide: int = 0,
) -> Waiting | None:
    """Which parameters have no gradient though outputs depend on them, and what each waits for.

    Args:
      model: the model.
      loss: of its outputs, or None.
      starts: params with a first axis of seeds.
      measured: what `taps.measure` gives of them.
      members: parameters and an axis of theirs whose slices are members, as of an ensemble: one of
        zeros that has no gradient, where others of its parameter have one, is asked about as well.
      wide: bit set of the parameters that are opened to a usual size, if they are.

    Returns:
      Those parameters; None where each has a gradient.
    """
    slots = find_slots(model, members)
    leaves, tree = jax.tree.flatten(starts)
    leaves = [np.asarray(leaf) for leaf in leaves]
    sizes = sizes_of(measured, slots)
    is_zero = zeros_of(leaves, slots)
    zero = is_zero & flags_of(model.notes.multiplied, slots)
    is_member = np.asarray([slot.is_member for slot in slots], bool)[None]
    waiting = (sizes == 0) & flags_of(model.trained, slots) & (zero | ~is_member)
    if not waiting.any():
        return None
    openings = find_openings(model, loss, slots, leaves, is_zero, zero, sizes != 0, waiting)
    # What never opens is drawn at random as well, so that one run asks for all of it.
    drawn = _never(openings, sizes.shape) | flags_of(wide, slots) & ~is_member
    drawn &= zero & waiting & ~_with(openings, sizes.shape, lambda each: each.steps)
    gradients = jax.tree.leaves(measured["gradients"])
    return Waiting(
        model.paths,
        slots,
        tree,
        leaves,
        gradients,
        is_zero,
        sizes != 0,
        waiting,
        openings,
        drawn,
        wide,
        _routers(model),
    )


def _routers(model: Model) -> int:
    """Bit set of the parameters whose scores choose among experts."""
    sites = [place.site for place in model.plan.sites()]
    return functools.reduce(operator.or_, (s.names for s in sites if s.kind == "router"), 0)


def _never(openings: Sequence[dict[int, Opening]], shape: tuple[int, ...]) -> Flags:
    """The zeros that keep some slot from ever having a gradient."""
    flags = np.zeros(shape, bool)
    for seed, found in enumerate(openings):
        for opening in found.values():
            flags[seed, list(opening.needs)] = True
    return flags


def _with(
    openings: Sequence[dict[int, Opening]], shape: tuple[int, ...], holds: Callable[[Opening], Any]
) -> Flags:
    """The slots of whose opening something holds."""
    flags = np.zeros(shape, bool)
    for seed, found in enumerate(openings):
        flags[seed, [number for number, opening in found.items() if holds(opening)]] = True
    return flags


def _once(slots: Sequence[Slot], never: Flags) -> Flags:
    """Without the members of a parameter that as a whole never gets a gradient: told once."""
    once = never.copy()
    for number, slot in enumerate(slots):
        if slot.is_member:
            whole = [n for n, s in enumerate(slots) if s.leaf == slot.leaf and not s.is_member]
            once[:, number] &= ~never[:, whole].any(axis=1)
    return once
