"""What a value has to do with a softmax, and the sites that softmaxes and choices have."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from initlab.taps.facts import Facts, Key
from initlab.taps.scope import Scope, Site

__all__ = ["Softmax", "Trail", "add_site", "role_of", "trail_units"]


@dataclasses.dataclass(eq=False)
class Softmax:
    """One softmax, or one choice of the largest, while the program is read.

    Attributes:
      logits: what exp is taken of, or what is chosen among.
      before: the logits' trail.
      axes: those along which it is taken, once the sum is known.
      uses: "normalized" (divided by its sum), "contracted" (with data), "over_units" (taken along
        units of a product, as experts or classes are), "chosen" (its largest are taken),
        "of_chosen" (it is taken among the largest), "used" (what was chosen bears on more than an
        output), "in_blocks" (its sum runs on over blocks).
      scores: what exp is taken of, before a maximum was subtracted.
      key: its site's, in the scope where it is taken.
      sites: its own, and those of its other blocks where it is taken block by block.
      code: of a choice, the one-hot code of whose running sum a capacity is compared with.
    """

    logits: Any
    before: "Trail"
    axes: tuple[int, ...] = ()
    uses: set[str] = dataclasses.field(default_factory=set)
    scores: Any = None
    sites: list[Site] = dataclasses.field(default_factory=list)
    key: Key | None = None
    code: Any = None

    def unite(self, other: "Softmax") -> None:
        """The two are one, as its blocks are: they share their uses and sites from here on."""
        if self.uses is other.uses:
            return
        self.uses |= other.uses
        self.sites += other.sites
        for site in other.sites:
            site.uses = self.uses
        other.uses, other.sites = self.uses, self.sites


@dataclasses.dataclass(frozen=True, eq=False)
class Trail:
    """What a value has to do with a softmax.

    Attributes:
      units: for each axis, whether units of the last product lie on it.
      names: bit set of the parameters of that product, or of the two that were contracted.
      part: "exponentials", "sum", "log_sum", "log_weights", "weights", "mixture" (of data by
        exponentials); of a choice "chosen", "index", "code" (one-hot), "place" (the running sum of
        the code: how many tokens chose an expert before); "" of another value.
      softmax: whose part it is.
      along: for each axis, whether the softmax is taken along it.
      stretched: whether it was broadcast since, as a gate is to what it multiplies.
      is_top: whether it is a maximum, as a softmax subtracts.
      is_factor: whether it is made of two of them, or of their difference's exponential: what a
        softmax in blocks scales what came before by.
      scores: what such a maximum was subtracted from; None of another value.
    """

    units: tuple[bool, ...]
    names: int
    part: str = ""
    softmax: Softmax | None = None
    along: tuple[bool, ...] = ()
    stretched: bool = False
    is_top: bool = False
    is_factor: bool = False
    scores: Any = None


def role_of(site: Site) -> str | None:
    """What a softmax or a choice is for: "attention", "router", "gates"; None where it is neither.

    Any other site is of its own kind. An attention's weights contract with data along an axis of
    the data. A router's lie along units of a product, and either contract with what the experts
    give, or their largest are chosen.
    """
    uses = set(site.uses)
    if site.kind == "function" or site.part_of is not None:
        return None
    if site.kind not in ("softmax", "router"):
        return site.kind
    if site.kind == "router":
        return "router" if "used" in uses else None
    if "normalized" not in uses or "of_chosen" in uses:
        return None
    if "over_units" not in uses:
        return "attention" if "contracted" in uses else None
    if "chosen" in uses:
        return "gates"
    return "router" if "contracted" in uses else None


def trail_units(facts: Facts) -> tuple[bool, ...]:
    """The axes of the last product's units, or of any units where no product is known."""
    return facts.features if facts.trail is None else facts.trail.units


def add_site(kind: str, softmax: Softmax, axes: Sequence[int], scope: Scope) -> Key:
    """A new site of a softmax or a choice, called by the parameters of its logits; its key."""
    before, shape = softmax.before, np.shape(softmax.logits)
    rest = [n for n in range(len(shape)) if n not in axes]
    if all(before.units[n] for n in axes):
        softmax.uses.add("over_units")
    site = Site(
        kind,
        before.names,
        "",
        features=tuple(before.units[n] for n in rest),
        shape=tuple(shape[n] for n in rest),
        gradient=False,
        uses=softmax.uses,
    )
    softmax.sites.append(site)
    softmax.key = scope.key(scope.add(site))
    return softmax.key
