"""Parameters whose gradient is exactly zero: for a step, on purpose, or indefinitely."""

import math
import re
from collections.abc import Iterator, Sequence

from initlab.audits.blocked import Blocked
from initlab.audits.dead import dead_layers
from initlab.audits.evidence import Evidence, Weight
from initlab.audits.finding import Finding, listed
from initlab.audits.thresholds import Thresholds

__all__ = ["unused_parameter"]


def unused_parameter(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """Parameters whose gradient is exactly zero, and why."""
    del thresholds
    read, opened = 0, evidence.model.trained
    for known in evidence.model.outputs:
        read |= known.params
    # Reported once, by `dead_units`: one cause, one finding.
    explained = {weight.path for _, weights in dead_layers(evidence) for weight in weights}
    explained |= {path for path, each in evidence.blocked.items() if _is_told(evidence, path, each)}
    frozen = []
    for weight in [*evidence.weights, *_members(evidence)]:
        if weight.gradient_rms != 0 or weight.path in explained:
            continue
        if not read >> weight.bit & 1:
            yield _finding("warn", weight.path, "no output depends on it", "remove it, or use it")
        elif opened >> weight.bit & 1:
            yield _blocked(evidence, weight)
        elif _is_cut(evidence, weight):
            yield _finding(
                "warn",
                weight.path,
                "on every path from it to the outputs lies a stop_gradient or a step function",
                "move the stop_gradient, if this parameter is to be trained",
            )
        else:
            frozen.append(weight.bit)
    if frozen:
        count = len(set(frozen))
        yield _finding(
            "info",
            ", ".join(_subtrees(evidence.model.paths, set(frozen))),
            f"a stop_gradient keeps {count} parameters of these names as they were drawn",
            "nothing, if they are meant to be fixed, as a base under adapters or a target network",
        )


def _members(evidence: Evidence) -> list[Weight]:
    """The slices of zeros, as of one member of an ensemble, that never get a gradient."""
    known = {weight.path for weight in evidence.weights}
    bits = {path: bit for bit, path in enumerate(evidence.model.paths)}
    return [
        Weight(path, bits[path[: path.rindex("[")]], 0.0, 0.0, 0.0, 0.0)
        for path in evidence.blocked
        if path not in known
    ]


def _finding(severity: str, place: str, cause: str, remedy: str) -> Finding:
    return Finding("unused_parameter", severity, place, 0.0, 0.0, cause, remedy)


def _is_cut(evidence: Evidence, weight: Weight) -> bool:
    """Whether the data's only path leads through it and is cut behind it.

    Elsewhere the gradient is stopped on purpose: at the parameter itself, as of a base under
    adapters, or at the end of a path beside the one that trains, as of a target network.
    """
    if evidence.model.notes.frozen >> weight.bit & 1:
        return False
    return any((s.names | s.biases) >> weight.bit & 1 for s in evidence.path if s.kind == "product")


def _blocked(evidence: Evidence, weight: Weight) -> Finding:
    """Why the gradient of a parameter that the outputs depend on is exactly zero."""
    first = next((s for s in evidence.signals if s.upstream >> weight.bit & 1), None)
    if first is not None and not first.is_computed:
        cause = "it is used in a branch that was not taken"
        return _finding("info", weight.path, cause, "nothing, if other batches take that branch")
    found = evidence.blocked[weight.path]
    named = listed(found.by)
    if found.steps:
        after = "one step" if found.steps == 1 else f"{found.steps} steps"
        cause = f"its gradient is zero at first: it gets one after {after} of training"
        if found.by and _is_zero(evidence, found.by[0]):
            cause = (
                f"its gradient is zero because {named} is: it gets one once that has taken a step"
            )
        elif found.by:
            cause = f"its gradient is zero until {named} has taken a step"
        return _finding("info", weight.path, cause, f"nothing: {after} of training ends it")
    if found.by:
        return _never(evidence, weight, found.by)
    is_weight = evidence.model.notes.contracted >> weight.bit & 1
    return _finding(
        "fail" if is_weight else "warn",
        weight.path,
        "its gradient is exactly zero: it is multiplied by zeros, or its sum cancels or underflows",
        "look at the signal and the gradient around it, and at their dtype",
    )


def _is_zero(evidence: Evidence, path: str) -> bool:
    """Whether a parameter, or a slice of it, is zero; with or without a slice's number."""
    named = (w for w in evidence.weights if path in (w.path, evidence.model.paths[w.bit]))
    return any(weight.rms == 0 for weight in named)


def _never(evidence: Evidence, weight: Weight, by: Sequence[str]) -> Finding:
    """Zeros that never get a gradient keep it from ever getting one."""
    waits = [path for path in by if weight.path in evidence.blocked[path].by]
    zeros = sorted({*by, weight.path} if waits else by)
    if len(zeros) == 1:
        cause = f"it never gets a gradient: {zeros[0]} is zero, and stays so"
        if zeros[0] == weight.path:
            kept = [path for path, each in evidence.blocked.items() if each.by == by]
            others = [path for path in kept if path != weight.path]
            cause = (
                "it is zero, where what follows it has slope zero, and never gets a gradient"
                + (
                    f", and neither {'does' if len(others) == 1 else 'do'} {listed(others)}"
                    if others
                    else ""
                )
            )
        return _finding("fail", weight.path, cause, f"draw {zeros[0]} at random")
    cause = (
        f"it never gets a gradient: {listed(zeros)} are zero and multiply each other, so that none "
        "of them is ever updated"
    )
    return _finding("fail", weight.path, cause, _opened(evidence, zeros))


def _opened(evidence: Evidence, zeros: Sequence[str]) -> str:
    """Which of several zeros to start elsewhere: the last may stay where its slope is not zero."""
    bits = {path: _bit(evidence, path) for path in zeros}
    first = {
        path: min((s.row for s in evidence.signals if s.names >> bit & 1), default=math.inf)
        for path, bit in bits.items()
    }
    last = max(zeros, key=first.__getitem__)
    # As of a relu of zeros.
    is_flat = any(s.dead == 1 and s.names >> bits[last] & 1 for s in evidence.signals)
    if is_flat:
        return f"start {listed(zeros)} away from zero, a weight at random"
    others = listed([path for path in zeros if path != last])
    return f"start {others} away from zero, a weight at random: {last} alone may stay at zero"


def _bit(evidence: Evidence, path: str) -> int:
    return evidence.model.paths.index(re.sub(r"\[\d+\]$", "", path))


def _is_told(evidence: Evidence, path: str, found: Blocked) -> bool:
    """Whether what keeps it from a gradient is one other zero, whose own finding names it."""
    if found.steps or len(found.by) != 1 or path in found.by:
        return False
    return evidence.blocked[found.by[0]].by == found.by


def _subtrees(paths: Sequence[str], chosen: set[int]) -> list[str]:
    """Few names for a set of parameters: whole subtrees, and "*" for the number of a layer."""
    left_out = [path for bit, path in enumerate(paths) if bit not in chosen]

    def covers(prefix: str) -> bool:
        return not any(path == prefix or path.startswith(f"{prefix}/") for path in left_out)

    names: dict[str, None] = {}
    for bit in sorted(chosen):
        parts = paths[bit].split("/")
        prefixes = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
        names[next(filter(covers, prefixes))] = None
    merged: dict[str, list[str]] = {}
    for name in names:
        merged.setdefault(re.sub(r"\d+", "*", name), []).append(name)
    found = []
    for pattern, each in merged.items():
        shape = re.compile(re.escape(pattern).replace(r"\*", r"\d+") + "(/.*)?")
        is_whole = len(each) > 1 and not any(shape.fullmatch(path) for path in left_out)
        found += [pattern] if is_whole else each
    return found
