"""From runs to cells of the truth table: an outcome, and a code that fits into a cell."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray

from experiments.what_breaks_symmetry.attribution import TERMS, VISIBLE
from experiments.what_breaks_symmetry.training import PIECES, Start
from initlab import report

__all__ = ["LEGEND", "OUTCOMES", "STARTS", "cells", "outcomes", "summary_of"]

OUTCOMES = (
    "does not train",
    "moves, units stay equal",
    "same function, unequal weights",
    "broken, does not learn",
    "broken, learns",
)
"""What becomes of a run; of the last two in how many seeds it learns decides for a cell."""

STILL, EQUAL, UNEQUAL, BROKEN, LEARNS = range(len(OUTCOMES))

STARTS = Start._fields
"""Dimensions of a start."""

PIECE_NAMES = dict(zip(STARTS, ("W1", "b1", "W2"), strict=True))

LETTERS = dict(zip(TERMS, "Wbomvlxyd", strict=True))

LEGEND = f"""\
0, c, r: a piece of the start is zero, constant, random. What a cell says of most of its seeds:
.       does not train: no bit of W1, b1 or W2 ever changes
=n      moves, and units are equal to the last bit to the end; n: first step to be seen, at
        {VISIBLE:g} from the start
/n      units compute the same function from unequal weights, to the end; n as above
nT k/s  broken: units compute different functions from step n on (0: from the start); k of s learn
T       why: the term without which that one step would have kept them alike: W, b, o: unequal
        incoming weights, biases, outgoing weights; d dropout, m minibatch, v momentum or moments,
        l weight decay, x input noise, y label noise; T|T: each of them would have done it alone;
        ?: none of them
nT>     in front: units equal in all parameters had come apart at step n, by T
*       the seeds disagree"""


def outcomes(results: xarray.Dataset, trained_under: float) -> xarray.DataArray:
    """What became of each run: an index of `OUTCOMES`.

    Args:
      results: `moved`, `apart_step`, `broken_step` and `loss` over any dims.
      trained_under: a run that ends under this loss has learned.

    Returns:
      Integers over the same dims.
    """
    # A NaN compares false: a run whose loss is not finite has learned nothing.
    learns = results["loss"] < trained_under
    outcome = xarray.where(learns, LEARNS, BROKEN)
    outcome = xarray.where(results["broken_step"] < 0, UNEQUAL, outcome)
    never = (results["apart_step"] < 0) & (results["broken_step"] < 0)
    outcome = xarray.where(never, EQUAL, outcome)
    return xarray.where(results["moved"], outcome, STILL)


def cells(results: xarray.Dataset, trained_under: float) -> xarray.Dataset:
    """The truth table.

    Args:
      results: runs over (activation, treatment, start_w1, start_b1, start_w2, seed), terms last.
      trained_under: as for `outcomes`.

    Returns:
      `outcome` (index of `OUTCOMES`; most frequent among the seeds), `learned` (how many seeds) and
      `code` over (activation, start, treatment).
    """
    runs = results.assign(outcome=outcomes(results, trained_under))
    stacked = runs.stack(start=STARTS).transpose("activation", "start", "treatment", "seed", ...)
    arrays = {str(name): stacked[name].values for name in stacked.data_vars}
    shape = stacked["outcome"].shape[:3]
    outcome, learned = np.zeros(shape, int), np.zeros(shape, int)
    code = np.empty(shape, object)
    for place in np.ndindex(shape):
        cell = {name: values[place] for name, values in arrays.items()}
        counts = np.bincount(cell["outcome"], minlength=len(OUTCOMES))
        broken = counts[BROKEN] + counts[LEARNS]
        learned[place] = counts[LEARNS]
        kinds = np.asarray([*counts[:BROKEN], broken])
        kind = int(np.argmax(kinds))
        outcome[place] = kind
        if kind == BROKEN and 2 * counts[LEARNS] > broken:
            outcome[place] = LEARNS
        of_kind = {name: v[np.minimum(cell["outcome"], BROKEN) == kind] for name, v in cell.items()}
        code[place] = _code(kind, of_kind, counts) + ("*" if kinds.max() < kinds.sum() else "")
    dims = ("activation", "start", "treatment")
    return xarray.Dataset(
        {"outcome": (dims, outcome), "learned": (dims, learned), "code": (dims, code)},
        coords={
            "activation": stacked["activation"].values,
            "treatment": stacked["treatment"].values,
            "start": np.asarray([start_code(each) for each in stacked["start"].values], object),
        },
    )


def start_code(start: Sequence[str]) -> str:
    """("zero", "constant", "random") as "0 c r"."""
    return " ".join("0" if piece == PIECES[0] else piece[0] for piece in start)


def _code(kind: int, cell: Mapping[str, np.ndarray], counts: np.ndarray) -> str:
    if kind == STILL:
        return "."
    if kind in (EQUAL, UNEQUAL):
        seen = cell["visible_step"][cell["visible_step"] >= 0]
        return ("=" if kind == EQUAL else "/") + (str(_median(seen)) if seen.size else "-")
    code = f"{_event('broken', cell)} {counts[LEARNS]}/{counts.sum()}"
    came_apart = (cell["apart_step"] > 0) & (cell["apart_step"] < cell["broken_step"])
    return f"{_event('apart', cell)}>{code}" if came_apart.all() else code


def _event(name: str, cell: Mapping[str, np.ndarray]) -> str:
    """The median step and the terms that most runs name."""
    terms = cell[f"{name}_by"].mean(axis=0) > 0.5
    letters = [LETTERS[term] for term, named in zip(TERMS, terms, strict=True) if named]
    joint = "|" if cell[f"{name}_any_would_do"].mean() > 0.5 else "&"
    return f"{_median(cell[f'{name}_step'])}{joint.join(letters) or '?'}"


def _median(steps: np.ndarray) -> int:
    return int(np.quantile(steps, 0.5, method="inverted_cdf"))


def summary_of(results: xarray.Dataset, trained_under: float) -> dict[str, Any]:
    """What the whole table shows, counted over runs.

    Args:
      results: as for `cells`.
      trained_under: as for `outcomes`.

    Returns:
      `losses`: for each activation quartiles of the final losses, of runs whose units stay equal
      and of those whose units differ.
      `symmetric`: for each treatment, the runs from starts without a random piece.
      `harmless`: the treatments that never broke one.
      `random`: for each set of random pieces, the runs of harmless treatments.
      `unexplained`: how many events no term explains.
    """
    all_runs = results.assign(outcome=outcomes(results, trained_under))
    runs = all_runs.stack(start=STARTS).transpose("activation", "start", "treatment", "seed", ...)
    random = np.asarray([[piece == PIECES[2] for piece in start] for start in runs["start"].values])
    is_symmetric = ~random.any(axis=1)
    symmetric = {
        str(name): _count(runs.isel(start=is_symmetric).sel(treatment=[name]), "apart")
        for name in runs["treatment"].values
    }
    harmless = [name for name, row in symmetric.items() if not row["happened"]]
    mild = runs.sel(treatment=harmless)
    by_pieces = {}
    for which in np.unique(random[~is_symmetric], axis=0) if harmless else ():
        here = (random == which).all(axis=1)
        pieces = [PIECE_NAMES[name] for name, is_in in zip(STARTS, which, strict=True) if is_in]
        by_pieces[" ".join(pieces)] = _count(mild.isel(start=here), "broken")
    unexplained = sum(
        int(((results[f"{name}_step"] >= 0) & ~results[f"{name}_by"].any("term")).sum())
        for name in ("apart", "broken")
    )
    losses = {}
    for activation in all_runs["activation"].values:
        of = all_runs.sel(activation=activation)
        kinds = {"equal": of["outcome"] == EQUAL, "broken": of["broken_step"] >= 0}
        losses[str(activation)] = {
            name: report.quartiles(of["loss"].values[chosen.values])
            for name, chosen in kinds.items()
            if chosen.any()
        }
    return {
        "losses": losses,
        "symmetric": symmetric,
        "harmless": harmless,
        "random": dict(sorted(by_pieces.items(), key=lambda item: (len(item[0]), item[0]))),
        "unexplained": unexplained,
    }


def _count(runs: xarray.Dataset, name: str) -> dict[str, Any]:
    """Of some runs: in how many an event happened, when, by what; where it did not."""
    happened = runs[f"{name}_step"].values >= 0
    steps = runs[f"{name}_step"].values[happened]
    by = runs[f"{name}_by"].values[happened].sum(axis=0)
    never = np.logical_not(happened.any(axis=(2, 3)))
    never_at = [
        f"{activation} {start_code(start)}"
        for (i, activation) in enumerate(runs["activation"].values)
        for (j, start) in enumerate(runs["start"].values)
        if never[i, j]
    ]
    return {
        "runs": happened.size,
        "happened": int(happened.sum()),
        "step": [int(steps.min()), int(steps.max())] if steps.size else None,
        "by": {term: int(count) for term, count in zip(TERMS, by, strict=True) if count},
        "still": int((runs["outcome"] == STILL).sum()),
        "learned": int((runs["outcome"] == LEARNS).sum()),
        "not": never_at,
    }
