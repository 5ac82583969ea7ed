"""Where a model is measured: sites in the order of the program, loops and branches within it."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from initlab.taps.apart import has_parts, rms_of_units
from initlab.taps.facts import Chain, Facts, Key, Recentre, Rescale
from initlab.taps.notes import Notes
from initlab.taps.paths import Side, sides_of
from initlab.taps.slopes import activation_statistics
from initlab.taps.statistics import signal_statistics, tap

__all__ = [
    "Branches",
    "Loop",
    "Place",
    "Scope",
    "Site",
    "bits",
    "slots_of",
]


@dataclasses.dataclass
class Site:
    """One place where a model is measured.

    Attributes:
      kind: "product" (of a weight and data, with its bias), "sum" (of two values), "activation",
        "input" (data where they first meet a parameter), "state" (of a loop, after its last step),
        "softmax", "router" (a choice of the largest scores), "function" (of parameters alone).
      names: bit set of the parameters it is called by.
      scope: the model's own name for the place, where it has one.
      sliced: whether its weight is one iteration's of a loop.
      upstream: bit set of the parameters to which a gradient is backpropagated from here.
      norms: how many normalizations lie between the data and it.
      features: the axes of units.
      shape: its shape.
      event: which event of its scope is its last: a bias moves a product on.
      gradient: whether its gradient is measured too.
      scales: whether its weight scales as one parameter does.
      entries: sites where the data that it depends on first meet a parameter.
      through: bit set of the parameters that multiply it on every path from the data.
      mixed: of each input a bit set of the others that it has met in a sum or as a gate.
      recurrent: whether it depends on the state of the loop over time that it lies in.
      raw: which floating input it is, of kind "input".
      biases: bit set of the parameters that are added to it.
      uses: of a softmax or of a choice, what becomes of it (`taps.softmax.Softmax.uses`); the name
        of a function.
      part_of: of a block of a softmax the key of the site that stands for all of its blocks.
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
    biases: int = 0
    entries: frozenset[Key] = frozenset()
    through: int = 0
    mixed: Mapping[int, int] = dataclasses.field(default_factory=dict)
    recurrent: bool = False
    raw: int | None = None
    uses: Collection[str] = ()
    part_of: Key | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Loop:
    """A scan.

    Attributes:
      body: its sites.
      repeats: the number of iterations.
      norms_gained: how many normalizations each iteration adds to those before.
      carried: the facts of what every iteration is given by the one before.
      reverse: whether it begins with the last slice.
      followed: the parts of its state whose memory is measured, together where they are one.
      running: the softmaxes inside whose sums run on over its turns.
    """

    body: "Scope"
    repeats: int
    norms_gained: int
    carried: Sequence[Facts]
    reverse: bool = False
    followed: Sequence[Sequence[int]] = ()
    running: frozenset[Key] = frozenset()


@dataclasses.dataclass(frozen=True, eq=False)
class Branches:
    """A cond: the sites of each branch."""

    scopes: Sequence["Scope"]


class Place(NamedTuple):
    """A site and where it lies.

    Attributes:
      key: its key, under which its measurements are kept.
      site: itself.
      within: the loops and branches around it, outermost first.
    """

    key: Key
    site: Site
    within: tuple[Loop | Branches, ...]

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The loops around it: one leading axis each of what is measured there."""
        return tuple(each for each in self.within if isinstance(each, Loop))

    def moment(self, iterations: Sequence[int]) -> Key:
        """When it is computed in an iteration of each loop; moments compare as time does.

        The key has two numbers for each loop around the site, the second of which is always 0: the
        iteration takes its place.
        """
        key, turns = list(self.key), iter(iterations)
        for n, each in enumerate(self.within):
            if isinstance(each, Loop):
                turn = next(turns)
                key[2 * n + 1] = each.repeats - 1 - turn if each.reverse else turn
        return tuple(key)


def bits(numbers: int) -> list[int]:
    """The numbers in a bit set."""
    return [n for n in range(numbers.bit_length()) if numbers >> n & 1]


class Scope:
    """The sites of one program, a loop's body or the whole, and what is measured at them.

    A program is read twice, alike. Only at its end is it known which event of a site is its last (a
    bias, or another, may follow a product), and how many slots the gradients need, which
    `value_and_grad` must be given before it starts. So the first reading, of shapes alone, makes
    the plan, and the second, with the plan and the slots, measures. Both number sites and events in
    the order of the program, which is how the second finds the first's.
    """

    def __init__(
        self,
        notes: Notes,
        path: Key = (),
        plan: "Scope | None" = None,
        slots: dict[Key, Any] | None = None,
        *,
        gradient: bool = True,
        rescale: Rescale | None = None,
        recentre: Recentre | None = None,
        follow: bool = False,
    ) -> None:
        self.notes, self.path, self.plan = notes, path, plan
        self.slots = slots or {}
        self.gradient, self.rescale, self.recentre = gradient, rescale, recentre
        self.follow = follow
        self.entries: list[Site | Loop | Branches] = []
        self.results: dict[Key, Any] = {}
        self.recorded: dict[int, Any] = {}
        self.sides: list[Side] = []
        self.softmaxes: list[Any] = []
        self.decays: list[Any] = []
        self._events = 0
        self._ended: list[Chain] = []
        self._entered: list[tuple[Facts, Key]] = []

    @property
    def measures(self) -> bool:
        """Whether statistics are wanted here: not to plan, nor to rescale."""
        return self.plan is not None and self.rescale is None

    def sites(self) -> Iterator[Place]:
        """Every site in the order of the program, those within loops and branches included."""
        for number, entry in enumerate(self.entries):
            if isinstance(entry, Site):
                yield Place(self.key(number), entry, ())
                continue
            for scope in [entry.body] if isinstance(entry, Loop) else entry.scopes:
                for place in scope.sites():
                    yield place._replace(within=(entry, *place.within))

    def joins(self) -> Iterator[tuple[Side, tuple[Loop | Branches, ...]]]:
        """Every side of a join, and the loops and branches around the join."""
        yield from ((side, ()) for side in self.sides)
        for entry in self.entries:
            if isinstance(entry, Site):
                continue
            for scope in [entry.body] if isinstance(entry, Loop) else entry.scopes:
                yield from ((side, (entry, *within)) for side, within in scope.joins())

    def key(self, number: int) -> Key:
        """The key of a site of this scope."""
        return (*self.path, number)

    def inner(
        self, number: int, branch: int, plan: "Scope | None", slots: dict[Key, Any]
    ) -> "Scope":
        """The scope of a loop's body, or of one of several branches."""
        path = (*self.path, number, branch)
        given = {"gradient": self.gradient, "rescale": self.rescale, "recentre": self.recentre}
        return Scope(self.notes, path, plan, slots, follow=self.follow, **given)

    def slots_within(self, number: int) -> dict[Key, Any]:
        """The slots of the sites within a loop or branches."""
        path = self.key(number)
        return {key: slot for key, slot in self.slots.items() if key[: len(path)] == path}

    def add(self, entry: Site | Loop | Branches) -> int:
        """A new site, loop or set of branches; its number."""
        self.entries.append(entry)
        return len(self.entries) - 1

    def add_bias(self, number: int, bias: Facts) -> None:
        """Notes what is added to the value at a site."""
        site = self.entries[number]
        assert isinstance(site, Site)
        site.biases |= bias.params

    def visit(self, number: int, value: Any, facts: Facts) -> Any:
        """The value at a site, tapped if this is the site's last event."""
        site = self.entries[number]
        assert isinstance(site, Site)
        self._events += 1
        site.event, site.features, site.shape = self._events, facts.features, value.shape
        site.upstream, site.norms = facts.differentiable, facts.norms
        site.entries, site.through = facts.entries, facts.through
        site.mixed, site.recurrent = facts.mixed, facts.recurrent
        if self.plan is None:
            return value
        last = self.plan.entries[number]
        assert isinstance(last, Site)
        if last.event != self._events:
            return value
        key, statistics = self.key(number), {}
        if self.measures:
            statistics = signal_statistics(value, self.examples(facts.features, value.shape))
            if has_parts(facts.features):
                statistics["unit_rms"] = rms_of_units(value, facts.features)
        if number in self.recorded:
            statistics["recorded"] = self.recorded[number]
        self.results[key] = statistics
        return tap(value, self.slots[key]) if key in self.slots else value

    def enter(self, value: Any, facts: Facts, names: int, scope: str) -> Facts:
        """Measures data where they first meet a parameter: what came before is their own scale."""
        is_new = facts.data and not facts.params and not facts.entries and not facts.discrete
        if not is_new or not jnp.issubdtype(value.dtype, jnp.floating):
            return facts
        known = next((key for other, key in self._entered if other is facts), None)
        if known is None:
            site = Site("input", names, scope, gradient=False, raw=facts.raw)
            number = self.add(site)
            self.visit(number, value, facts)
            known = self.key(number)
            self._entered.append((facts, known))
        return dataclasses.replace(facts, entries=frozenset({known}))

    def join(self, operands: Sequence[Facts]) -> None:
        """Notes values that are joined, each of them behind sites of its own."""
        self.sides += sides_of(operands)

    def examples(self, features: tuple[bool, ...], shape: tuple[int, ...]) -> int | None:
        """Which axis holds the examples: of the batch's size, or else the only one without units.

        The latter may be longer: the lab's own networks pad examples to full vectors.
        """
        free = [n for n, is_unit in enumerate(features) if not is_unit]
        fitting = [n for n in free if shape[n] == self.notes.batch]
        if fitting:
            return fitting[0]
        return free[0] if len(free) == 1 and shape[free[0]] > self.notes.batch else None

    def end(self, value: Any, facts: Facts, scope: str, *, is_factor: bool = False) -> None:
        """Measures an activation where something else than an elementwise function takes it.

        Args:
          value: what is taken.
          facts: what is known of it.
          scope: the model's own name for the place.
          is_factor: whether it may be a factor of what takes it, and is no input of a layer.
        """
        chain = facts.chain
        if chain is None or not chain.is_nonlinear:
            return
        # A product of one unit may have lost its axis.
        if not any(facts.features) and chain.root.site is None:
            return
        if not jnp.issubdtype(value.dtype, jnp.floating):
            return
        # By which a softmax in blocks scales what came before: no unit's.
        if facts.trail is not None and facts.trail.is_factor:
            return
        # Two products may take one activation, which is one place all the same.
        if any(other is chain for other in self._ended):
            return
        self._ended.append(chain)
        number = self.add(
            Site(
                "activation",
                chain.root.names,
                scope,
                upstream=facts.differentiable,
                norms=facts.norms,
                features=facts.features,
                shape=value.shape,
                gradient=False,
            )
        )
        if self.measures:
            statistics = activation_statistics(value, chain, facts.features, is_factor=is_factor)
            self.results[self.key(number)] = statistics


def slots_of(plan: Scope) -> dict[Key, Any]:
    """A zero for each gradient that `tap` will measure, for each iteration of the loops around."""
    return {
        place.key: jnp.zeros([loop.repeats for loop in place.loops], jnp.float32)
        for place in plan.sites()
        if place.site.gradient
    }
