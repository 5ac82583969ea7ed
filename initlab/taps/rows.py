"""Measurements as rows: a place each, in the order in which the signal meets them."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from initlab.taps.known import Key
from initlab.taps.model import Model
from initlab.taps.scope import Scope, Site, bits

__all__ = ["Row", "rows_of"]


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """What was measured at one place.

    Attributes:
      place: the parameter's path, or what the model calls the place; with [i] of a loop over layers
        and (n) where one parameter is used again.
      kind: "input", "product", "sum", "activation" or "output".
      scope: the model's own name for the place.
      on_path: whether every way from the data to the outputs passes it.
      norms: how many normalizations lie between the data and it.
      upstream: bit set of the parameters to which a gradient can come back from here.
      units: how many units it has.
      values: `{statistic: [seeds]}`; dead is [seeds, units].
      in_branch: whether it lies in a branch, whose values are NaN where it is not taken.
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


def rows_of(model: Model, measured: Mapping[str, Any]) -> list[Row]:
    """The rows of a measurement.

    Args:
      model: the model.
      measured: what `measure` gives under a `vmap`: a first axis of seeds everywhere.

    Returns:
      A row for the input, for each site and for the output. A loop over layers has rows for every
      iteration; one over time has the mean of its iterations, and a unit is dead if it always is.
    """
    measured = _to_numpy(measured)
    above = frozenset().union(*(known.above for known in model.outputs if known.data))
    rows = [_row("input", "input", each) for each in measured["inputs"][:1]]
    rows += _walk(model, model.plan, measured["sites"], measured["slots"], (), above, 0)
    rows += [
        dataclasses.replace(_row("output", "output", each), norms=_output_norms(model))
        for each in measured["outputs"][:1]
    ]
    return _told_apart(rows)


def _output_norms(model: Model) -> int:
    return min((known.norms for known in model.outputs if known.data), default=0)


def _row(place: str, kind: str, values: Mapping[str, Any]) -> Row:
    return Row(place, kind, "", True, 0, 0, 0, values)


def _to_numpy(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {name: _to_numpy(each) for name, each in tree.items()}
    if isinstance(tree, list | tuple):
        return [_to_numpy(each) for each in tree]
    return np.asarray(tree)


def _walk(
    model: Model,
    scope: Scope,
    sites: Mapping[int, Any],
    slots: Mapping[int, Any],
    index: tuple[int, ...],
    above: frozenset[Key],
    norms: int,
) -> Iterator[Row]:
    for number, entry in enumerate(scope.entries):
        if isinstance(entry, Site):
            values = dict(sites[number])
            if number in slots:
                values["gradient_norm"] = slots[number]
            key = (*scope.path, number)
            yield Row(
                _place(model, entry, index),
                entry.kind,
                entry.scope,
                key in above,
                entry.norms + norms,
                entry.upstream,
                _units(entry),
                values,
            )
        elif len(entry) == 1:
            yield from _loop(
                model, entry[0], sites[number][0], slots.get(number, {}), index, above, norms
            )
        else:
            inner_slots = slots.get(number, [{} for _ in entry])
            for inner, measured, slot in zip(entry, sites[number], inner_slots, strict=True):
                for row in _walk(model, inner, measured, slot, index, above, norms):
                    yield dataclasses.replace(row, in_branch=True)


def _loop(
    model: Model,
    body: Scope,
    sites: Any,
    slots: Any,
    index: tuple[int, ...],
    above: frozenset[Key],
    norms: int,
) -> Iterator[Row]:
    if _is_layered(body):
        for turn in range(body.repeats):
            yield from _walk(
                model,
                body,
                _at(sites, turn),
                _at(slots, turn),
                (*index, turn),
                above,
                norms + turn * body.norms_gained,
            )
    else:
        yield from _walk(model, body, _over_time(sites), _over_time(slots), index, above, norms)


def _is_layered(scope: Scope) -> bool:
    """Whether a loop's iterations have weights of their own."""
    return any(
        entry.sliced if isinstance(entry, Site) else any(map(_is_layered, entry))
        for entry in scope.entries
    )


def _at(tree: Any, turn: int) -> Any:
    """One iteration: seeds come first, iterations second."""
    if isinstance(tree, Mapping):
        return {name: _at(each, turn) for name, each in tree.items()}
    if isinstance(tree, list):
        return [_at(each, turn) for each in tree]
    return tree[:, turn]


def _over_time(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {name: _over_time(each) for name, each in tree.items()}
    if isinstance(tree, list):
        return [_over_time(each) for each in tree]
    if tree.dtype == bool:
        return tree.all(axis=1)
    # The correlation of a state that starts at zero is not defined in the first iteration.
    known = np.isfinite(tree).any(axis=1) & np.isnan(tree).any(axis=1)
    return np.where(
        known,
        np.nansum(tree, axis=1) / np.maximum(1, (~np.isnan(tree)).sum(axis=1)),
        tree.mean(axis=1),
    )


def _units(site: Site) -> int:
    sizes = zip(site.shape, site.features, strict=True)
    return int(np.prod([size for size, is_unit in sizes if is_unit]))


def _place(model: Model, site: Site, index: tuple[int, ...]) -> str:
    """The parameters that a site is called by, each slice of a stacked one by its number."""
    names = [
        model.paths[bit]
        + ("".join(f"[{n}]" for n in index) if model.notes.stacked >> bit & 1 else "")
        for bit in bits(site.names)
    ]
    return " + ".join(names) or site.scope or "?"


def _told_apart(rows: list[Row]) -> list[Row]:
    """Places of one kind and name are numbered from the second on."""
    counts: dict[tuple[str, str], int] = {}
    named = []
    for row in rows:
        number = counts[row.kind, row.place] = counts.get((row.kind, row.place), 0) + 1
        if number > 1:
            row = dataclasses.replace(row, place=f"{row.place} ({number})")
        named.append(row)
    return named
