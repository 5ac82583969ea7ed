"""What is wrong with the parameters themselves: duplicates, constants, those that do not train."""

import math
from collections.abc import Iterator

from initlab.audits.evidence import Evidence, Weight
from initlab.audits.finding import Finding
from initlab.audits.thresholds import Thresholds

__all__ = [
    "constant_tensor",
    "duplicate_tensors",
    "symmetric_units",
    "unbalanced_updates",
    "unused_parameter",
]


def symmetric_units(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """Units that are identical: their exchange leaves the parameters as they are."""
    del thresholds
    for name, (distinct, size, _) in evidence.widths.items():
        if distinct < size:
            yield Finding(
                "symmetric_units",
                "fail",
                name,
                distinct,
                size,
                f"only {distinct} of {size} units differ: identical units get identical gradients "
                "and stay identical indefinitely",
                "draw every unit's weights at random, each with a key of its own",
            )


def duplicate_tensors(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """Tensors that are one draw, up to a factor."""
    for names, correlation in evidence.duplicates:
        yield Finding(
            "duplicate_tensors",
            "warn",
            ", ".join(names),
            correlation,
            thresholds.duplicate_correlation,
            "these tensors hold the same random numbers: one key drew them all",
            "split the key: one for each tensor and each layer",
        )


def constant_tensor(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """Weights all of whose entries are one number; zeros may be intended."""
    del thresholds
    notes = evidence.model.notes
    identical = {
        path
        for distinct, size, paths in evidence.widths.values()
        if distinct < size
        for path in paths
    }
    for weight in evidence.weights:
        is_weight = (notes.contracted | notes.looked_up) >> weight.bit & 1
        is_stacked = notes.stacked >> weight.bit & 1
        size = math.prod(evidence.model.shapes[weight.bit][is_stacked:])
        if not is_weight or weight.smallest != weight.largest or size == 1:
            continue
        is_identical = evidence.model.paths[weight.bit] in identical
        if weight.rms > 0 and not is_identical and not evidence.alone >> weight.bit & 1:
            continue  # One factor of a weight, as the gain of a weight norm: others may differ.
        severity = "info" if weight.rms == 0 else "warn"
        cause = "all of its entries are one number, so that its units start identical"
        if is_identical:
            severity, cause = (
                "fail",
                f"{cause} and, since nothing else distinguishes them, stay identical",
            )
        elif weight.rms == 0:
            cause = "it starts at zero: what it feeds starts without it, and it learns first"
        yield Finding(
            "constant_tensor",
            severity,
            weight.path,
            weight.largest,
            0.0,
            cause,
            "nothing, if it ends a branch or is the readout; else draw it at random",
        )


def unused_parameter(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """Parameters whose gradient is exactly zero, and why."""
    del thresholds
    outputs = evidence.model.outputs
    read = opened = 0
    for known in outputs:
        read, opened = read | known.params, opened | known.differentiable
    for weight in evidence.weights:
        if weight.gradient_rms != 0:
            continue
        if not read >> weight.bit & 1:
            why = ("warn", "no output depends on it", "remove it, or use it")
        elif not opened >> weight.bit & 1:
            why = (
                "warn",
                "on every path from it to the outputs lies a stop_gradient or a step function",
                "move the stop_gradient, if this parameter is to be trained",
            )
        else:
            why = _blocked(evidence, weight)
        severity, cause, remedy = why
        yield Finding("unused_parameter", severity, weight.path, 0.0, 0.0, cause, remedy)


def _blocked(evidence: Evidence, weight: Weight) -> tuple[str, str, str]:
    """Why the gradient of a parameter that the outputs depend on is exactly zero."""
    notes = evidence.model.notes
    first = next((s for s in evidence.signals if s.upstream >> weight.bit & 1), None)
    if first is not None and not first.is_computed:
        cause = "it is used in a branch that was not taken"
        return "info", cause, "nothing, if other batches take that branch"
    # The gradient of one factor of a product is the other factor times the cotangent: `behind` are
    # zeros that the gradient is multiplied by on its way back, `before` those that made the input.
    zeros = [w for w in evidence.weights if w.rms == 0 and w.bit != weight.bit]
    behind = [w for w in zeros if notes.consumed.get(w.bit, 0) >> weight.bit & 1]
    before = [w for w in zeros if notes.consumed.get(weight.bit, 0) >> w.bit & 1]
    # A bias of zero blocks no gradient; a factor of the data does.
    before = [w for w in before if w.bit in notes.consumed]
    blocks = behind or before
    if blocks:
        named = ", ".join(w.path for w in blocks[:3])
        # Two zeros in a row block each other: neither ever moves. One alone does at the first step.
        shut = [w for w in blocks if w.gradient_rms == 0]
        if not shut:
            cause = (
                f"its gradient is zero because {named} is: it gets one once that has taken a step"
            )
            return "info", cause, "nothing: one step of training ends it"
        cause = (
            f"its gradient is zero because {named} is, which gets no gradient either: neither is "
            "ever updated"
        )
        return "fail", cause, "initialize only one of two consecutive factors at zero"
    dead = [
        s.place
        for s in evidence.signals
        if s.kind == "activation" and s.dead == 1 and s.upstream >> weight.bit & 1
    ]
    if dead:
        cause = f"no gradient passes {dead[0]}, all of whose units are flat on every example"
        return "fail", cause, "start the biases there at zero"
    is_weight = notes.contracted >> weight.bit & 1
    cause = (
        "its gradient is exactly zero: it is multiplied by zeros, or its sum cancels or underflows"
    )
    return (
        ("fail" if is_weight else "warn"),
        cause,
        "look at the signal and the gradient around it, and at their dtype",
    )


def unbalanced_updates(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """The gradient_ratio, gradient_rms / rms, differs too much between the layers' weights."""
    # Without tables: the rows that a batch does not look up have no gradient, so that the rms of a
    # table's depends on the batch.
    notes = evidence.model.notes
    ratios = [
        (weight.gradient_rms / weight.rms, weight.path)
        for weight in evidence.weights
        if (notes.contracted & ~notes.looked_up) >> weight.bit & 1
        and weight.rms > 0
        and weight.gradient_rms > 0
    ]
    if len(ratios) < 2:
        return
    (least, slow), (most, fast) = min(ratios), max(ratios)
    spread = most / least
    for severity, line in (
        ("fail", thresholds.update_ratio[1]),
        ("warn", thresholds.update_ratio[0]),
    ):
        if spread > line:
            yield Finding(
                "unbalanced_updates",
                severity,
                slow,
                spread,
                line,
                f"one step of gradient descent changes {fast} by {spread:.0e} times as large a "
                "share of its rms",
                "bring the weights to one scale, or give them learning rates of their own (Adam "
                "does)",
            )
            return
