"""Weights whose variance fits their siblings' scheme with the fans of other axes than its use's."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from initlab.audits.evidence import Evidence, Weight
from initlab.audits.fans import Fans
from initlab.audits.finding import Finding
from initlab.audits.thresholds import Thresholds
from initlab.types import Role

__all__ = ["fan_mismatch"]

LAWS: Mapping[str, Callable[[float, float], float]] = {
    "fan_in": lambda fan_in, fan_out: fan_in,
    "fan_avg": lambda fan_in, fan_out: (fan_in + fan_out) / 2,
    "fan_out": lambda fan_in, fan_out: fan_out,
    "none": lambda fan_in, fan_out: 1.0,
}
"""What a scheme divides its variance by, simplest first; "none" is one std for all weights."""

MISTAKES = 5
"""How many ways to a wrong fan `_mistakes` knows."""


class _Drawn(NamedTuple):
    """A weight of one start: its variance and its fans."""

    path: str
    variance: float
    entries: int
    fans: Fans


class _Case(NamedTuple):
    """A weight under one law and one mistake: logarithms of its gain^2, variance times fan.

    Attributes:
      weight: which.
      how: the mistake in words.
      fan: that of its use, by the law.
      wrong_fan: that of the mistake.
      used: the gain^2 that the fan of its use gives.
      drawn: the gain^2 that the mistake's fan gives; the same where it would be none.
    """

    weight: _Drawn
    how: str
    fan: float
    wrong_fan: float
    used: float
    drawn: float


def fan_mismatch(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """A weight whose variance fits its siblings' scheme with the fans of other axes only.

    A scheme is one gain and one law: variance = gain^2 / fan. The siblings are the weights whose
    fans the mistake in question leaves right; they decide the law, and the gain.
    """
    weights = _drawn_weights(evidence)
    found: dict[str, Finding] = {}
    for number in range(MISTAKES):
        for law, case, sibling in _mismatches(weights, number, thresholds.fan_ratio):
            path = case.weight.path
            found.setdefault(path, _finding(law, case, sibling, thresholds.fan_ratio))
    yield from (found[weight.path] for weight in weights if weight.path in found)


def _drawn_weights(evidence: Evidence) -> list[_Drawn]:
    """Weights that are no constants, and whose slices, where stacked, have one variance."""
    slices: dict[int, list[Weight]] = {}
    for weight in evidence.weights:
        slices.setdefault(weight.bit, []).append(weight)
    weights = []
    for number, fans in evidence.fans.items():
        each = slices.get(number, [])
        if not each or not all(w.smallest < w.largest and 0 < w.rms < math.inf for w in each):
            continue
        entries = math.prod(fans.shape)
        sizes = [2 * math.log(w.rms) for w in each]
        # Twice the tolerance of two slices: scaled layer by layer, they have no variance in common.
        if max(sizes) - min(sizes) > 0.02 + 12 * math.sqrt(len(each) / entries):
            continue
        variance = sum(w.rms**2 for w in each) / len(each)
        weights.append(_Drawn(evidence.model.paths[number], variance, entries, fans))
    return weights


def _mistakes(fans: Fans) -> list[tuple[str, int, int]]:
    """Fans that a draw may have used by mistake: (how it came to them, fan_in, fan_out)."""
    shape = fans.shape
    if len(shape) < 2:
        return []
    window, behind = math.prod(shape[:-2]), math.prod(shape[2:])
    fan_in, fan_out = window * shape[-2], window * shape[-1]
    layout = "takes its last two axes for inputs and units, and those before for a window"
    copies = f"counts the {fans.copies} layers, heads or members in it as inputs"
    mistakes = [
        (copies, fans.fan_in * fans.copies, fans.fan_out * fans.copies),
        (layout if window > 1 else "takes its axes for inputs and units", fan_in, fan_out),
        ("takes its first two axes for units and inputs", shape[1] * behind, shape[0] * behind),
    ]
    if len(shape) > 2:
        # An input of a grouped convolution reaches the units of its own group alone.
        groups = fan_out // fans.fan_out if fan_in == fans.fan_in else 1
        mistakes += [
            ("takes its first axis for inputs, its last for units", shape[0], shape[-1]),
            ("counts the channels of all groups", fans.fan_in * groups, fans.fan_out * groups),
        ]
    return mistakes


def _cases(weights: Sequence[_Drawn], number: int, law: str) -> list[_Case]:
    cases = []
    for weight in weights:
        fans, mistakes = weight.fans, _mistakes(weight.fans)
        right = ("", fans.fan_in, fans.fan_out)
        how, *wrong = mistakes[number] if number < len(mistakes) else right
        if fans.parts > 1 and wrong == [fans.fan_in, fans.fan_out * fans.parts]:
            how = f"takes the {fans.parts} parts that are packed in it for one"
        fan, wrong_fan = LAWS[law](fans.fan_in, fans.fan_out), LAWS[law](*wrong)
        sizes = [math.log(weight.variance * each) for each in (fan, wrong_fan)]
        cases.append(_Case(weight, how, fan, wrong_fan, *sizes))
    return cases


def _tolerance(one: _Drawn, other: _Drawn) -> float:
    """How far logarithms of two variances may lie apart: 3 standard errors, and 1 %."""
    return 0.01 + 3 * math.sqrt(2 / one.entries + 2 / other.entries)


def _mismatches(
    weights: Sequence[_Drawn], number: int, ratio: float
) -> Iterator[tuple[str, _Case, _Drawn]]:
    """(law, weight, a sibling) of each weight that one mistake explains, and nothing else does."""
    cases = {law: _cases(weights, number, law) for law in LAWS}
    in_doubt = {each.weight.path for each in cases["fan_in"] if each.fan != each.wrong_fan}
    siblings = {
        law: [c for c in of_law if c.fan == c.wrong_fan and c.weight.path not in in_doubt]
        for law, of_law in cases.items()
    }
    sizes = {law: _largest_scheme(of_law) for law, of_law in siblings.items()}
    best = [law for law, size in sizes.items() if size == max(sizes.values()) > 0]
    if not best:
        return
    law, depth = best[0], sum(w.fans.stack for w in weights if w.fans.role is Role.RESIDUAL)
    suspects = []
    for case, plain in zip(cases[law], cases["none"], strict=True):
        if abs(case.drawn - case.used) < 2 * math.log(ratio):
            continue
        # A sibling of its gain, or of its std where one std for all explains as much: it is meant.
        is_meant = any(_is_alike(c, c.used, case, case.used) for c in siblings[law]) or (
            "none" in best
            and any(_is_alike(c, c.used, plain, plain.used) for c in siblings["none"])
        )
        like = [c for c in siblings[law] if _is_alike(c, c.used, case, case.drawn)]
        # Only what is measured well enough to tell the two fans apart.
        excess = abs(case.drawn - case.used)
        like = [c for c in like if 3 * _tolerance(c.weight, case.weight) < excess]
        is_explained = is_meant or _is_explained(case, depth) or _is_query(case, cases[law])
        if like and not is_explained:
            suspects.append((case, like))
    for case, like in suspects:
        alike = [other for other, _ in suspects if _is_alike(other, other.drawn, case, case.drawn)]
        # One coincidence within a few per cent happens; a second one, hardly. Weights of the same
        # fans are one witness. Where parts are packed, the program says that the fan is another.
        same_inputs = any(c.weight.fans.fan_in == case.weight.fans.fan_in for c in like)
        witnesses = _different(like) + _different(alike)
        # What exchanged the fans of one matrix did so in all of them.
        is_matrix = len(case.weight.fans.shape) == 2
        enough = _different(alike) >= 2 if is_matrix else witnesses >= 3
        if (same_inputs and witnesses >= 2) if case.weight.fans.parts > 1 else enough:
            yield law, case, like[0].weight


def _is_alike(one: _Case, gain: float, other: _Case, other_gain: float) -> bool:
    return abs(gain - other_gain) <= _tolerance(one.weight, other.weight)


def _different(cases: Sequence[_Case]) -> int:
    """How many different pairs of fans there are: equal ones agree under every law."""
    return len({case.weight.fans[1:3] for case in cases})


def _largest_scheme(cases: Sequence[_Case]) -> int:
    """How many different pairs of fans have one gain."""
    if not cases:
        return 0
    gains = np.asarray([case.used for case in cases])
    errors = np.asarray([2 / case.weight.entries for case in cases])
    # Pairs of weights, at once: a deep transformer has hundreds.
    alike = abs(gains[:, None] - gains) <= 0.01 + 3 * np.sqrt(errors[:, None] + errors)
    pairs = np.asarray([case.weight.fans[1:3] for case in cases])
    _, kinds = np.unique(pairs, axis=0, return_inverse=True)
    has_kind = alike @ np.eye(kinds.max() + 1)[kinds.ravel()] > 0
    return int(has_kind.sum(axis=1).max())


def _is_explained(case: _Case, depth: int) -> bool:
    """Whether something else than a wrong fan gives the same ratio of variances."""
    fans, excess = case.weight.fans, case.used - case.drawn
    if fans.role is Role.READOUT and excess < 0:
        return True  # A small readout.
    # Branches scaled by their number: variances over L, 2 L or L^2.
    depths = {n for each in (depth, fans.stack) for n in (each, 2 * each, each**2) if n > 1}
    if fans.role is Role.RESIDUAL and any(abs(excess + math.log(n)) < 0.05 for n in depths):
        return True
    # A matrix of twice or half the variance: relu's gain, where the others have none, rather than
    # fan_in and fan_out exchanged.
    is_matrix = len(fans.shape) == 2 and fans.parts == 1
    return is_matrix and abs(abs(excess) - math.log(2)) < 0.1


def _is_query(case: _Case, cases: Sequence[_Case]) -> bool:
    """Whether 1 / sqrt(head) is folded into one of several equal shapes, as into T5's queries."""
    shape = case.weight.fans.shape
    is_scaled = abs(case.used - case.drawn + math.log(shape[-1])) < 0.05
    twins = (c for c in cases if c.weight.fans.shape == shape)
    return is_scaled and any(_is_alike(c, c.used, case, case.drawn) for c in twins)


def _finding(law: str, case: _Case, sibling: _Drawn, line: float) -> Finding:
    fans, ratio = case.weight.fans, math.exp((case.used - case.drawn) / 2)
    return Finding(
        "fan_mismatch",
        "warn",
        case.weight.path,
        ratio,
        1 / line if ratio < 1 else line,
        f"its std is {ratio:.2g} times what the scheme of {sibling.path} gives for its use, whose "
        f"{law} is {case.fan:g}: it fits the {law} of {case.wrong_fan:g} that {case.how} (shape "
        f"{list(fans.shape)})",
        "name the axes of its use to the scheme (in_axis, out_axis and batch_axis of "
        "jax.nn.initializers.variance_scaling), draw each layer, head group or part by itself, or "
        "use initialize with the specs of networks.adopt",
    )
