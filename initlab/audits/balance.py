"""Whether one learning rate suits all weights, and what explains it where it does not."""

import dataclasses
import functools
import operator
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from initlab.audits.evidence import SMALL, Evidence, Rescaled, Weight, signals_of, weights_of
from initlab.audits.finding import Finding, listed
from initlab.audits.thresholds import Thresholds
from initlab.taps import Model, Row, rows_of
from initlab.types import Params

__all__ = ["enlarged", "explained", "read_rescaled", "unbalanced_updates"]


def unbalanced_updates(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """The gradient_ratio, gradient_rms / rms, differs too much between the layers' weights."""
    spread, slow, fast = _spread(evidence.model, evidence.weights)
    line = thresholds.update_ratio[0]
    if not spread > line:
        return
    rate = (
        f"one step of plain gradient descent changes {fast} by {spread:.0e} times as large a share "
        "of its rms"
    )
    if evidence.rescaled is not None:
        # What is left of it with gates and readouts at their usual size.
        without, slow, fast = _spread(evidence.model, evidence.rescaled.weights)
        if without <= line:
            names = listed(evidence.rescaled.names)
            yield Finding(
                "unbalanced_updates",
                "info",
                slow,
                spread,
                line,
                f"{rate}: the small start of {names} explains it, which grow first",
                "nothing; Adam's steps do not depend on it",
            )
            return
        spread = without
    failed = spread > thresholds.update_ratio[1]
    yield Finding(
        "unbalanced_updates",
        "fail" if failed else "warn",
        slow,
        spread,
        thresholds.update_ratio[failed],
        rate,
        "bring the weights to one scale, or give them learning rates of their own (Adam does)",
    )


def explained(
    evidence: Evidence, find: Callable[[Evidence], Iterator[Finding]]
) -> Iterator[Finding]:
    """Findings of a start; notes, if they are gone once small gates have their usual size.

    A class token that sees the data through branches times 1e-5 is the same for all examples at
    first: the gates grow first. What is wrong besides is found, and placed, with them grown.

    Args:
      evidence: of the start.
      find: what is looked for.

    Yields:
      The findings.
    """
    found = list(find(evidence))
    rescaled = evidence.rescaled
    if not found or rescaled is None:
        yield from found
        return
    grown = dataclasses.replace(
        evidence, signals=rescaled.signals, weights=rescaled.weights, rescaled=None
    )
    left = list(find(grown))
    yield from left
    names = listed(rescaled.names)
    for each in found if not left else ():
        yield each._replace(
            severity="info",
            cause=f"{each.cause}: the small start of {names} explains it, which grow first",
            remedy="nothing, if the optimizer lets them grow: Adam's steps do not depend on it",
        )


def _spread(model: Model, weights: Sequence[Weight]) -> tuple[float, str, str]:
    """The largest gradient_ratio over the smallest, and the paths of the slow and the fast one."""
    # Without tables: the rows that a batch does not look up have no gradient, so that the rms of a
    # table's depends on the batch.
    counted = model.notes.contracted & ~model.notes.looked_up
    ratios = [
        (weight.gradient_rms / weight.rms, weight.path)
        for weight in weights
        if counted >> weight.bit & 1 and weight.rms > 0 and weight.gradient_rms > 0
    ]
    if len(ratios) < 2:
        return 1.0, "", ""
    (least, slow), (most, fast) = min(ratios), max(ratios)
    return most / least, slow, fast


def enlarged(
    model: Model,
    starts: Params,
    measured: Mapping[str, Any],
    line: float,
    *,
    is_suspicious: bool,
    base: Params | None = None,
    never: Collection[str] = (),
) -> tuple[list[str], Params] | None:
    """Params with small gates, readouts and modulations at their usual size.

    Gates are what multiplies the signal entry by entry; readouts are the weights behind which no
    other product follows; modulations are the fastest of those that lie on some ways from the data
    to the outputs only, as what makes scales and shifts of a condition. All of them may start at
    any size, and grow first.

    Args:
      model: the model.
      starts: params with a first axis of seeds.
      measured: what `taps.measure` gives of them.
      line: from which spread of the gradient_ratio on they are measured.
      is_suspicious: whether they are measured in any case, gates of zero included.
      base: the params that are enlarged, if they are others than starts.
      never: paths of parameters that never get a gradient: a gate of these does not grow.

    Returns:
      Their names, and the params; None where nothing is out of balance, or nothing is small.
    """
    weights = [weights_of(model, measured["params"], n) for n in range(len(measured["loss"]))]
    if not is_suspicious and not any(_spread(model, each)[0] > line for each in weights):
        return None
    leaves, tree = jax.tree.flatten(starts if base is None else base)
    gates = model.notes.multiplied & ~(model.notes.contracted | model.notes.looked_up)
    ends = _readouts(model) | _modulations(model, weights, line)
    names = []
    for bit, leaf in enumerate(jax.tree.leaves(starts)):
        usual = 1.0 if gates >> bit & 1 else max(leaf.shape[1:], default=1) ** -0.5
        values = np.asarray(leaf)
        size = np.sqrt(np.mean(np.square(values.astype(np.float64))))
        is_gate = bool(gates >> bit & 1)
        if (is_gate or ends >> bit & 1) and 0 < size < SMALL * usual:
            values = np.asarray(leaves[bit])
            leaves[bit] = (values.astype(np.float64) * (usual / size)).astype(values.dtype)
        elif is_suspicious and is_gate and size == 0 and model.trained >> bit & 1:
            if model.paths[bit] in never:
                continue
            leaves[bit] = np.ones_like(values)
        else:
            continue
        names.append(model.paths[bit])
    return (names, jax.tree.unflatten(tree, leaves)) if names else None


def read_rescaled(
    model: Model, names: Sequence[str], result: Mapping[str, Any], rows: Sequence[Row]
) -> list[Rescaled]:
    """What was measured with small gates, readouts and modulations at their usual size.

    Args:
      model: the model.
      names: theirs, as `enlarged` gives them.
      result: what `taps.measure` gives of the params of `enlarged`.
      rows: of the start.

    Returns:
      Of each seed.
    """
    after = jax.device_get({name: result[name] for name in result if name != "gradients"})
    grown = [_behind(*pair) for pair in zip(rows_of(model, after), rows, strict=True)]
    return [
        Rescaled(names, weights_of(model, after["params"], seed), signals_of(grown, seed))
        for seed in range(len(after["loss"]))
    ]


def _behind(row: Row, before: Row) -> Row:
    """A row with what is known of its gradient behind zeros."""
    known = {name: each for name, each in before.values.items() if name == "gradient_behind_zeros"}
    return dataclasses.replace(row, values={**row.values, **known})


def _modulations(model: Model, seeds: Sequence[Sequence[Weight]], line: float) -> int:
    """Bit set of the fastest weights among those that lie on some paths to an output only.

    A step changes them by more, as a share of their rms, than the geometric middle of all weights.
    Those of a branch behind a small gate are slow: it is the gate that grows first.
    """
    through = functools.reduce(operator.or_, (facts.through for facts in model.outputs), 0)
    fast = -1
    for weights in seeds:
        spread, slow, _ = _spread(model, weights)
        if spread <= line:
            return 0
        least = next(w.gradient_rms / w.rms for w in weights if w.path == slow)
        middle = least * spread**0.5
        fast &= functools.reduce(
            operator.or_, (1 << w.bit for w in weights if w.gradient_rms > middle * w.rms), 0
        )
    return model.notes.contracted & ~(model.notes.looked_up | through) & fast


def _readouts(model: Model) -> int:
    """Bit set of the weights of products that end in an output, or behind which no other lies."""
    products = [p.site for p in model.plan.sites() if p.site.kind == "product"]
    upstream = model.notes.looked_up
    for site in products:
        upstream |= site.upstream & ~site.names
    # An actor's head ends in an output, though a critic goes on with it.
    named = functools.reduce(operator.or_, (facts.names for facts in model.outputs), 0)
    return model.notes.contracted & (named & ~model.notes.looked_up | ~upstream)
