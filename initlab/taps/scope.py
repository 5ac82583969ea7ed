"""Where a model is measured: sites in the order of the program, loops and branches within it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from initlab.taps.known import Chain, Key, Known
from initlab.taps.slopes import activation_statistics
from initlab.taps.statistics import signal_statistics, tap

__all__ = ["Notes", "Scope", "Site", "Weigh", "bits", "slots_of"]

Weigh = Callable[[Any, int, list[Any]], tuple[list[Any], Any]]
"""`(product, which operand is the weight, operands) -> operands in their place, what is told`."""


@dataclasses.dataclass
class Site:
    """One place where a model is measured.

    Attributes:
      kind: "product" (of a weight and data, with its bias), "sum" (of two values), "activation".
      names: bit set of the parameters it is called by.
      scope: the model's own name for the place, where it has one.
      sliced: whether its weight is one iteration's of a loop.
      upstream: bit set of the parameters to which a gradient can come back from here.
      norms: how many normalizations lie between the data and it.
      features: the axes of units.
      shape: its shape.
      event: which event of its scope is its last: a bias moves a product on.
      gradient: whether its gradient is measured too.
      scales: whether its weight scales as one parameter does.
    """

    kind: str
    names: int
    scope: str
    sliced: bool = False
    upstream: int = 0
    norms: int = 0
    features: tuple[bool, ...] = ()
    shape: tuple[int, ...] = ()
    event: int = 0
    gradient: bool = True
    scales: bool = False


@dataclasses.dataclass
class Notes:
    """What a whole program says besides its sites.

    Attributes:
      batch: the number of examples.
      untracked: what could not be looked into: `{name: why}`.
      consumed: `{weight's bit: bit set}`: parameters whose gradient comes back through a product
        with that weight.
      contracted: bit set of the weights of products.
      looked_up: bit set of tables.
      stacked: bit set of those that a loop takes a slice of each iteration.
    """

    batch: int
    untracked: dict[str, str] = dataclasses.field(default_factory=dict)
    consumed: dict[int, int] = dataclasses.field(default_factory=dict)
    contracted: int = 0
    looked_up: int = 0
    stacked: int = 0

    def consume(self, weight: Known, data: Known) -> None:
        """Notes that what comes back to `data`'s parameters passes a weight."""
        for bit in bits(weight.factors):
            self.consumed[bit] = self.consumed.get(bit, 0) | data.open


def bits(numbers: int) -> list[int]:
    """The numbers in a bit set."""
    return [n for n in range(numbers.bit_length()) if numbers >> n & 1]


class Scope:
    """The sites of one program, a loop's body or the whole, and what is measured at them.

    A program is read twice alike: first it finds its sites and their last events, then, with that
    plan and slots for the gradients, it measures there.
    """

    def __init__(
        self,
        notes: Notes,
        path: Key = (),
        plan: "Scope | None" = None,
        slots: dict[int, Any] | None = None,
        *,
        gradient: bool = True,
        weigh: Weigh | None = None,
    ) -> None:
        self.notes, self.path, self.plan = notes, path, plan
        self.slots = slots or {}
        self.gradient, self.weigh = gradient, weigh
        self.entries: list[Site | list[Scope]] = []
        self.results: dict[int, Any] = {}
        self.repeats = 1
        self.norms_gained = 0
        self.carried: list[Known] = []
        self.events = 0
        self.told: dict[int, Any] = {}
        self._ended: list[Chain] = []

    def inner(
        self, number: int, branch: int, plan: "Scope | None", slots: dict[int, Any]
    ) -> "Scope":
        """The scope of a loop's body, or of one of several branches."""
        path = (*self.path, number, branch)
        return Scope(self.notes, path, plan, slots, gradient=self.gradient, weigh=self.weigh)

    def add(self, entry: "Site | list[Scope]") -> int:
        """A new site, or the scopes of a loop or of branches; its number."""
        self.entries.append(entry)
        return len(self.entries) - 1

    def scopes(self, number: int) -> "list[Scope]":
        """The scopes of a loop or of branches, by its number."""
        entry = self.entries[number]
        assert isinstance(entry, list)
        return entry

    def visit(self, number: int, value: Any, known: Known) -> Any:
        """The value at a site, tapped if this is the site's last event."""
        site = self.entries[number]
        assert isinstance(site, Site)
        self.events += 1
        site.event, site.features, site.shape = self.events, known.features, value.shape
        site.upstream, site.norms = known.open, known.norms
        if self.plan is None:
            return value
        last = self.plan.entries[number]
        assert isinstance(last, Site)
        if last.event != self.events:
            return value
        self.results[number] = signal_statistics(value, self.examples(known.features, value.shape))
        if number in self.told:
            self.results[number]["told"] = self.told[number]
        return tap(value, self.slots[number]) if number in self.slots else value

    def examples(self, features: tuple[bool, ...], shape: tuple[int, ...]) -> int | None:
        """Which axis holds the examples: of the batch's size, or else the only one without units.

        The latter may be longer: the lab's own networks pad examples to full vectors.
        """
        free = [n for n, is_unit in enumerate(features) if not is_unit]
        fitting = [n for n in free if shape[n] == self.notes.batch]
        if fitting:
            return fitting[0]
        return free[0] if len(free) == 1 and shape[free[0]] > self.notes.batch else None

    def end(self, value: Any, known: Known, scope: str) -> None:
        """Measures an activation where something else than an elementwise function takes it."""
        chain = known.chain
        if chain is None or not chain.bends or not any(known.features):
            return
        if not jnp.issubdtype(value.dtype, jnp.floating):
            return
        if any(other is chain for other in self._ended):
            return
        self._ended.append(chain)
        number = self.add(
            Site(
                "activation",
                chain.root.names,
                scope,
                upstream=known.open,
                norms=known.norms,
                features=known.features,
                shape=value.shape,
                gradient=False,
            )
        )
        if self.plan is not None:
            self.results[number] = activation_statistics(value, chain, known.features)


def slots_of(scope: Scope) -> dict[int, Any]:
    """Zeros for the gradients' statistics of a plan's sites: what `tap` wants."""
    slots: dict[int, Any] = {}
    for number, entry in enumerate(scope.entries):
        if isinstance(entry, list):
            inner = [slots_of(each) for each in entry]
            # A loop has one body; branches have one slot each.
            slots[number] = _stacked(inner[0], entry[0].repeats) if len(entry) == 1 else inner
        elif entry.gradient:
            slots[number] = jnp.zeros((), jnp.float32)
    return slots


def _stacked(slots: Any, times: int) -> Any:
    if isinstance(slots, dict):
        return {number: _stacked(each, times) for number, each in slots.items()}
    if isinstance(slots, list):
        return [_stacked(each, times) for each in slots]
    return jnp.zeros((times, *slots.shape), slots.dtype)
