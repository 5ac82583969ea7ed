"""Whether one learning rate suits all weights, and what explains it where it does not."""

import functools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from initlab.audits.evidence import SMALL, Evidence, Rescaled, Weight, weights_of
from initlab.audits.finding import Finding, listed
from initlab.audits.thresholds import Thresholds
from initlab.taps import Model
from initlab.types import Params

__all__ = ["measure_rescaled", "unbalanced_updates"]


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


def measure_rescaled(
    model: Model,
    measure: Callable[[Params], Any],
    starts: Params,
    measured: Mapping[str, Any],
    line: float,
) -> list[Rescaled | None]:
    """The weights as they would be with small gates and readouts at their usual size.

    Gates are what multiplies the signal entry by entry; readouts are the weights behind which no
    other product follows. Both may start at any size, and grow first.

    Args:
      model: the model.
      measure: params with a first axis of seeds to what `taps.measure` gives of each.
      starts: such params.
      measured: what `measure` gives of them.
      line: from which spread of the gradient_ratio on they are measured.

    Returns:
      Of each seed; None where nothing is out of balance, or nothing is small.
    """
    seeds = range(len(measured["loss"]))
    weights = [weights_of(model, measured["params"], seed) for seed in seeds]
    if not any(_spread(model, each)[0] > line for each in weights):
        return [None for _ in seeds]
    leaves, tree = jax.tree.flatten(starts)
    gates = model.notes.multiplied & ~(model.notes.contracted | model.notes.looked_up)
    readouts = _readouts(model)
    names = []
    for bit, leaf in enumerate(leaves):
        usual = 1.0 if gates >> bit & 1 else max(leaf.shape[1:], default=1) ** -0.5
        values = np.asarray(leaf)
        size = np.sqrt(np.mean(np.square(values.astype(np.float64))))
        if (gates | readouts) >> bit & 1 and 0 < size < SMALL * usual:
            leaves[bit] = (values.astype(np.float64) * (usual / size)).astype(values.dtype)
            names.append(model.paths[bit])
    if not names:
        return [None for _ in seeds]
    after = jax.device_get(measure(jax.tree.unflatten(tree, leaves))["params"])
    return [Rescaled(names, weights_of(model, after, seed)) for seed in seeds]


def _readouts(model: Model) -> int:
    """Bit set of the weights of products that end in an output, or behind which no other lies."""
    products = [p.site for p in model.plan.sites() if p.site.kind == "product"]
    upstream = model.notes.looked_up
    for site in products:
        upstream |= site.upstream & ~site.names
    # An actor's head ends in an output, though a critic goes on with it.
    named = functools.reduce(operator.or_, (facts.names for facts in model.outputs), 0)
    return model.notes.contracted & (named & ~model.notes.looked_up | ~upstream)
