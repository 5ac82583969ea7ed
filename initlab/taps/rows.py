"""Measurements as rows: a place each, in the order in which the signal meets them."""

import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from initlab import checks
from initlab.taps.facts import Key
from initlab.taps.model import Model
from initlab.taps.scope import Branches, Loop, Place, Site, bits
from initlab.taps.trails import role_of

__all__ = ["Row", "rows_of"]


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """What was measured at one place.

    Attributes:
      place: the parameter's path, or what the model calls the place; with [i] of a loop over layers
        and (n) where one parameter is used again.
      kind: "input", "product", "sum", "activation", "output"; "attention", a softmax that mixes
        data; "router", one that chooses among experts, and "gates", its scores before the choice.
      scope: the model's own name for the place.
      on_path: whether it lies on every path to an output from the input with most such places.
      norms: how many normalizations lie between the data and it.
      upstream: bit set of the parameters to which a gradient is backpropagated from here.
      units: how many units it has.
      values: `{statistic: [seeds]}`; dead is [seeds, units], and so are unit_rms and
        unit_saturated, where units lie on several axes; what is of each head [seeds, heads].
      in_branch: whether it lies in a branch, whose values are NaN where it is not taken.
      key: its site's; None for the input and the output.
      turns: the iteration of each loop around it, None of one whose iterations are one row.
      entries: keys of the rows where the data that it depends on first met a parameter.
      through: bit set of the parameters that multiply it on every path from the data.
      mixed: of each input a bit set of the others that it has met in a sum or as a gate.
      raw: which floating input of the model it is, of kind "input".
      over_time: `{statistic: [seeds, steps]}` of a place that depends on the state of the loop
        over time around it, unit_rms [seeds, steps, units]; else empty.
      norms_gained: how many normalizations each of those steps adds.
      unit_shape: the sizes of its axes of units, in their order in `dead`.
      names: bit set of the parameters that it is called by.
      biases: bit set of the parameters that are added to it.
      leading: whether the first of several such axes lies before that of the examples, as the
        members' does in an ensemble by vmap.
    """

    place: str
    kind: str
    scope: str
    on_path: bool
    norms: int
    upstream: int
    units: int
    values: Mapping[str, np.ndarray]
    in_branch: bool = False
    key: Key | None = None
    turns: tuple[int | None, ...] = ()
    entries: frozenset[Key] = frozenset()
    through: int = 0
    mixed: Mapping[int, int] = dataclasses.field(default_factory=dict)
    raw: int | None = None
    over_time: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    norms_gained: int = 0
    unit_shape: tuple[int, ...] = ()
    names: int = 0
    biases: int = 0
    leading: bool = False


@checks.checked
def rows_of(model: Model, measured: Mapping[str, Any]) -> list[Row]:
    """The rows of a measurement.

    Args:
      model: the model.
      measured: what `measure` gives under a `vmap`: a first axis of seeds everywhere.

    Returns:
      A row for the input, for each site and for the output. A loop over layers has rows for every
      iteration; one over time has the mean of its iterations, and a unit is dead if it always is.
    """
    above = frozenset().union(
        *(facts.paths[facts.longest] for facts in model.outputs if facts.data)
    )
    live = frozenset().union(*(facts.live for facts in model.outputs))
    places = list(model.plan.sites())
    # The state of a loop may be measured at its door and meet no parameter inside.
    entries = frozenset().union(*(place.site.entries for place in places))
    places = [place for place in places if place.site.kind != "input" or place.key in entries]
    layered = {loop for place in places if place.site.sliced for loop in place.loops}
    found = []
    for place in places:
        if role_of(place.site) is None:
            continue
        values = _arrays(measured["sites"][place.key])
        # Before a stop_gradient there is none, which is no gradient of zero.
        if place.key in measured["slots"] and place.key in live:
            values["gradient_norm"] = np.asarray(measured["slots"][place.key])
        for turns, each in _iterations(place.loops, values, layered):
            row = _site_row(model, place, turns, each)
            is_step = place.within and isinstance(place.within[-1], Loop) and turns[-1] is None
            if place.site.recurrent and is_step:
                row = _with_steps(row, place, values)
            moment = place.moment([turn or 0 for turn in turns])
            on_path = place.key in above and place.site.kind != "state"
            found.append((moment, dataclasses.replace(row, on_path=on_path)))
    rows = [
        dataclasses.replace(_row("input", "input", _arrays(each)), raw=0)
        for each in measured["inputs"][:1]
    ]
    # The first input as it is has its row already.
    found = [(moment, row) for moment, row in found if row.raw != 0]
    # All of an iteration comes before the next.
    rows += [row for _, row in sorted(found, key=lambda pair: pair[0])]
    rows += [
        dataclasses.replace(_row("output", "output", _arrays(each)), norms=_output_norms(model))
        for each in measured["outputs"][:1]
    ]
    return _numbered(rows)


def _output_norms(model: Model) -> int:
    return min((facts.norms for facts in model.outputs if facts.data), default=0)


def _row(place: str, kind: str, values: Mapping[str, Any]) -> Row:
    return Row(place, kind, "", True, 0, 0, 0, values)


def _arrays(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(each) for name, each in values.items()}


def _site_row(
    model: Model, place: Place, turns: Sequence[int | None], values: Mapping[str, np.ndarray]
) -> Row:
    """The row of a site in an iteration of each loop around it, None where all are one row."""
    site = place.site
    gained = [loop.norms_gained * (n or 0) for loop, n in zip(place.loops, turns, strict=True)]
    return Row(
        _place(model, site, [turn for turn in turns if turn is not None]),
        role_of(site) or site.kind,
        site.scope,
        on_path=False,
        norms=site.norms + sum(gained),
        upstream=site.upstream,
        units=math.prod(_unit_shape(site)),
        values=values,
        in_branch=any(isinstance(each, Branches) for each in place.within),
        key=place.key,
        turns=tuple(turns),
        entries=site.entries,
        through=site.through,
        mixed=site.mixed,
        raw=site.raw,
        unit_shape=_unit_shape(site),
        names=site.names,
        biases=site.biases,
        leading=sum(site.features) > 1 and site.features[0] and not all(site.features),
    )


def _with_steps(row: Row, place: Place, values: Mapping[str, np.ndarray]) -> Row:
    """A row with its numbers at each step of the innermost loop around it, which is over time."""
    outer = row.turns[:-1]
    if None in outer:
        return row
    steps = {
        name: values[name][(slice(None), *outer)]
        for name in ("rms", "cosine_distance", "unit_rms")
        if name in values
    }
    loop = place.loops[-1]
    if loop.reverse:
        steps = {name: each[:, ::-1] for name, each in steps.items()}
    return dataclasses.replace(row, over_time=steps, norms_gained=loop.norms_gained)


Values = dict[str, np.ndarray]


def _iterations(
    loops: Sequence[Loop], values: Values, layered: Collection[Loop]
) -> Iterator[tuple[tuple[int | None, ...], Values]]:
    """`(iteration of each loop, values there)`; of a loop that is not over layers None, the mean.

    Args:
      loops: those around a site, outermost first.
      values: a first axis of seeds, then one for each loop.
      layered: loops whose iterations have weights of their own.
    """
    if not loops:
        yield (), values
        return
    outer, *inner = loops
    turns: list[tuple[int | None, Values]]
    if outer in layered:
        turns = [
            (n, {name: value[:, n] for name, value in values.items()}) for n in range(outer.repeats)
        ]
    else:
        turns = [(None, {name: _over_time(value) for name, value in values.items()})]
    for turn, there in turns:
        for others, each in _iterations(inner, there, layered):
            yield (turn, *others), each


def _over_time(values: np.ndarray) -> np.ndarray:
    """[seeds, iterations, ...] without the latter."""
    # Flags, as of dead units: a unit that is alive in one iteration gets a gradient.
    if values.dtype == bool:
        return np.logical_and.reduce(values, axis=1)
    # The correlation of a state that starts at zero is not defined in the first iteration.
    partly = np.isfinite(values).any(axis=1) & np.isnan(values).any(axis=1)
    return np.where(
        partly,
        np.nansum(values, axis=1) / np.maximum(1, (~np.isnan(values)).sum(axis=1)),
        values.mean(axis=1),
    )


def _unit_shape(site: Site) -> tuple[int, ...]:
    sizes = zip(site.shape, site.features, strict=True)
    return tuple(size for size, is_unit in sizes if is_unit)


def _place(model: Model, site: Site, index: Sequence[int]) -> str:
    """The parameters that a site is called by, each slice of a stacked one by its number."""
    names = [
        model.paths[bit]
        + ("".join(f"[{n}]" for n in index) if model.notes.stacked >> bit & 1 else "")
        for bit in bits(site.names)
    ]
    name = " + ".join(names) or site.scope or "?"
    return f"input of {name}" if site.kind == "input" else name


def _numbered(rows: list[Row]) -> list[Row]:
    """Places of one kind and name are numbered from the second on."""
    counts: dict[tuple[str, str], int] = {}
    named = []
    for row in rows:
        number = counts[row.kind, row.place] = counts.get((row.kind, row.place), 0) + 1
        if number > 1:
            row = dataclasses.replace(row, place=f"{row.place} ({number})")
        named.append(row)
    return named
