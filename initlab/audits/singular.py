"""Functions that the model takes of parameters, and that some of their entries are unfit for."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from initlab.audits.finding import Finding, listed
from initlab.programs.primitives import SINGULAR_AT_ZERO
from initlab.taps import Model
from initlab.taps.scope import bits

__all__ = ["Broken", "broken_functions", "find_broken"]


class Broken(NamedTuple):
    """A function of parameters alone that is NaN or infinite, or has no slope, in some entries.

    Attributes:
      paths: of the parameters.
      function: as JAX calls it.
      broken: how many entries.
      made: of how many.
    """

    paths: Sequence[str]
    function: str
    broken: int
    made: int


def find_broken(model: Model, sites: Mapping[Any, Any], seed: int) -> list[Broken]:
    """Those of one seed, in the order of the program.

    Args:
      model: the program's facts.
      sites: what was measured at each, with a first axis of seeds.
      seed: which.

    Returns:
      The first for each parameter, where it is taken entry by entry and fails in the smaller part
      of them; those of all turns of a loop together.
    """
    found: list[Broken] = []
    told = 0
    for place in model.plan.sites():
        if place.site.kind != "function":
            continue
        numbers = sites[place.key]
        broken, made = (float(np.nansum(numbers[name][seed])) for name in ("broken", "made"))
        if not broken or told & place.site.names:
            continue
        told |= place.site.names
        # Of all of them, or of sums as a norm is, the cause is no entry that was drawn.
        sizes = {math.prod(model.shapes[bit]) for bit in bits(place.site.names)}
        if made in sizes and broken < made / 2:
            paths = [model.paths[bit] for bit in bits(place.site.names)]
            (function,) = place.site.uses
            found.append(Broken(paths, function, int(broken), int(made)))
    return found


def broken_functions(broken: Sequence[Broken]) -> Iterator[Finding]:
    """A failure for each parameter that some entries make unfit for what the model takes of it."""
    for each in broken:
        is_at_zero = each.function in SINGULAR_AT_ZERO
        what = "as for a 0 that a draw in low precision gives" if is_at_zero else "all finite"
        yield Finding(
            "coarse_draw",
            "fail",
            ", ".join(each.paths),
            each.broken / each.made,
            0.0,
            f"the model takes {each.function} of {listed(each.paths)}, whose value or slope is NaN "
            f"or infinite for {each.broken:,} of {each.made:,} entries, {what}",
            f"draw {listed(each.paths)} in float32 and away from such entries (minval above 0), or "
            f"add a small constant before {each.function}",
        )
