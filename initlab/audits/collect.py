"""Everything that the diagnostics read of some starts: measurements, and facts of the program."""

import dataclasses
import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from initlab.audits.balance import enlarged, read_rescaled
from initlab.audits.behind_zeros import find_hidden, measure_behind_zeros
from initlab.audits.blocked import Waiting, find_waiting
from initlab.audits.class_prior import ClassPrior, measure_predictions
from initlab.audits.coarse import find_coarse
from initlab.audits.copies import find_copies
from initlab.audits.duplicates import find_duplicates
from initlab.audits.evidence import Evidence, signals_of, weights_of
from initlab.audits.faint import find_faint
from initlab.audits.instrument import Instrument
from initlab.audits.keys import Drawn
from initlab.audits.leaks import find_leaks
from initlab.audits.optimizers import FirstUpdate, measure_update
from initlab.audits.signals import has_collapsed
from initlab.audits.singular import find_broken
from initlab.audits.softmaxes import softmaxes_of
from initlab.audits.thresholds import Thresholds
from initlab.taps import Model, Row, chains_of, rows_of
from initlab.types import OutputLoss, Params

__all__ = ["Asked", "Collected", "collect"]


class Asked(NamedTuple):
    """What an audit is asked for beside params and batch: see `audit`."""

    loss: OutputLoss | None
    optimizer: optax.GradientTransformation | None
    prior: ClassPrior | None
    independent: bool
    causal: bool


class Collected(NamedTuple):
    """What was found out: the evidence of each start, its rows, the raw measurement."""

    evidence: Sequence[Evidence]
    rows: Sequence[Row]
    measured: dict[str, Any]
    first_update: FirstUpdate | None


def collect(
    instrument: Instrument,
    starts: Params,
    batch: Any,
    draws: jax.Array,
    drawn: Drawn | None,
    asked: Asked,
    thresholds: Thresholds,
) -> Collected:
    """Runs the compiled measurement, and again where a fault is suspected: three times at most.

    Args:
      instrument: of the model.
      starts: params with a first axis of seeds.
      batch: inputs.
      draws: a key for each seed.
      drawn: how the starts differ, where `init` drew them.
      asked: what costs more and is measured on request.
      thresholds: what is suspicious.

    Returns:
      Evidence for each seed, and what it was made of.
    """
    model = instrument.model

    def measure(starts: Params) -> Any:
        return instrument.program(starts, batch, draws)

    # On a CPU these are views, and slices of them compile nothing.
    hosted = jax.tree.map(np.asarray, starts)
    first = jax.tree.map(lambda leaf: leaf[0], hosted)
    leaks = find_leaks(model, first, batch, independent=asked.independent, causal=asked.causal)
    predictions = [None] * draws.shape[0]
    if asked.prior is not None:
        predictions = measure_predictions(model, asked.prior, starts, batch)
    result = measure(starts)
    # Without the gradients, which are as large as the params.
    measured = jax.device_get({name: result[name] for name in result if name != "gradients"})
    rows = rows_of(model, measured)
    chains = chains_of(model, rows)
    hidden = find_hidden(rows, chains)
    wide = functools.reduce(operator.or_, hidden.values(), 0)
    waiting = find_waiting(model, asked.loss, starts, result, _members(instrument), wide)
    faint = find_faint(
        model, starts, result["gradients"], instrument.batched, thresholds.max_efolds
    )
    del result
    blocked, opened, left = [{} for _ in range(draws.shape[0])], None, None
    if waiting is not None:
        result = measure(waiting.first())
        sizes = waiting.sizes(result)
        blocked, again = waiting.told(sizes), waiting.second(sizes, result["gradients"])
        left = None if again is None else _Left(waiting, sizes, again)
        opened = {name: result[name] for name in result if name != "gradients"}
        del result, waiting
    rows = measure_behind_zeros(model, rows, hidden, starts, measure, opened)
    step = None
    if asked.optimizer is not None and asked.loss is not None:
        step = measure_update(model, asked.loss, asked.optimizer, starts, batch)

    def evidence(seed: int) -> Evidence:
        params = jax.tree.map(lambda leaf: leaf[seed], hosted)
        copies = find_copies(params, instrument.groups, instrument.batched)
        return Evidence(
            model,
            signals_of(rows, seed),
            weights_of(model, measured["params"], seed),
            copies.widths,
            find_duplicates(_tensors(model, params), thresholds.duplicate_correlation),
            float(measured["loss"][seed]),
            float(measured["loss_at_zero"][seed]),
            instrument.classes,
            instrument.coverage,
            chains,
            blocked=blocked[seed],
            softmaxes=softmaxes_of(rows, seed),
            prior=asked.prior,
            predictions=predictions[seed],
            leaks=leaks,
            coarse=find_coarse(_whole(model, params), thresholds),
            broken=find_broken(model, measured["sites"], seed),
            fans=instrument.fans,
            drawn=drawn,
            first_update=None if step is None else step.of(seed),
            blocks=copies.blocks,
            repeated=copies.repeated,
            batched=instrument.batched,
            faint=faint[seed],
        )

    found = [evidence(seed) for seed in range(draws.shape[0])]
    found = _measured_again(model, found, left, measure, starts, measured, rows, thresholds)
    return Collected(found, rows, measured, step)


class _Left(NamedTuple):
    """What waits, the sizes that its first measurement gave, and what else is to be measured."""

    waiting: Waiting
    sizes: np.ndarray
    again: Params


def _measured_again(
    model: Model,
    found: list[Evidence],
    left: _Left | None,
    measure: Callable[[Params], Any],
    starts: Params,
    measured: Mapping[str, Any],
    rows: Sequence[Row],
    thresholds: Thresholds,
) -> list[Evidence]:
    """With what one last measurement tells: of what waits, and of what is small, or of both."""
    never = {path for each in found for path, known in each.blocked.items() if not known.steps}
    grown = enlarged(
        model,
        starts,
        measured,
        thresholds.update_ratio[0],
        is_suspicious=any(has_collapsed(each, thresholds) for each in found),
        base=None if left is None else left.again,
        never=() if left is None else never,
    )
    if grown is not None:
        result = measure(grown[1])
    elif left is not None:
        result = measure(left.again)
    else:
        return found
    if left is not None:
        waiting, sizes, _ = left
        told = waiting.told(sizes, waiting.sizes(result), is_pure=grown is None)
        pairs = zip(found, told, strict=True)
        found = [dataclasses.replace(each, blocked=known) for each, known in pairs]
    if grown is not None:
        pairs = zip(found, read_rescaled(model, grown[0], result, rows), strict=True)
        found = [dataclasses.replace(each, rescaled=rescaled) for each, rescaled in pairs]
    return found


def _members(instrument: Instrument) -> list[tuple[str, int]]:
    """Parameters and axes that may be members': as long as a batched one of the same number."""
    model = instrument.model
    axes = {
        (each.axis, each.size)
        for _, each in instrument.batched
        if each.outer == each.inner == 1 and not each.start and not each.rest
    }
    return [
        (path, axis)
        for path, shape in zip(model.paths, model.shapes, strict=True)
        for axis, size in sorted(axes)
        if len(shape) > axis and shape[axis] == size and math.prod(shape)
    ]


def _whole(model: Model, params: Params) -> list[tuple[str, np.ndarray]]:
    return [
        (path, np.asarray(leaf))
        for path, leaf in zip(model.paths, jax.tree.leaves(params), strict=True)
    ]


def _tensors(model: Model, params: Params) -> list[tuple[str, np.ndarray]]:
    """Every parameter, and every slice of one that a loop scans over."""
    tensors, trained = [], model.trained
    for bit, (path, leaf) in enumerate(zip(model.paths, jax.tree.leaves(params), strict=True)):
        # A copy that is not trained, as a target network, is one on purpose.
        if not trained >> bit & 1:
            continue
        array = np.asarray(leaf)
        if model.notes.stacked >> bit & 1:
            tensors += [(f"{path}[{n}]", each) for n, each in enumerate(array)]
        else:
            tensors.append((path, array))
    return tensors
