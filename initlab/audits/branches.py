"""What is wrong with residual branches beside their stream."""

import math
import re
from collections.abc import Iterator

from initlab.audits.evidence import Evidence, Signal
from initlab.audits.finding import Finding, listed
from initlab.audits.thresholds import Thresholds
from initlab.taps.scope import bits

__all__ = ["branch_dominates", "vanishing_branch"]


def branch_dominates(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """A branch so much larger than the stream it is added to that the stream is drowned.

    A branch much smaller than its stream is no fault by itself: a gate, a zero or a LayerScale of
    1e-5 lets it begin so; `vanishing_branch` tells what is none of these.
    """
    for signal in evidence.signals:
        # A stream that begins at zero, as a recurrent state, has no size to compare with.
        if not math.isfinite(signal.branch_ratio):
            continue
        for severity, line in (
            ("fail", thresholds.branch_ratio[1]),
            ("warn", thresholds.branch_ratio[0]),
        ):
            if signal.branch_ratio > line:
                yield Finding(
                    "branch_dominates",
                    severity,
                    signal.place,
                    signal.branch_ratio,
                    line,
                    f"the residual branch that ends here has {signal.branch_ratio:.2g} times the "
                    "rms of the stream, which is lost beside it",
                    "draw the weight that ends the branch smaller (by 1/sqrt(2 depth), or zero), "
                    "or start the stream, as an embedding, with an rms near 1",
                )
                break


def vanishing_branch(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """A branch of which two weights or more are far below 1/sqrt(fan_in), one of them zero perhaps.

    The gradient of each is proportional to the others, so that the start is near a saddle point,
    which descent leaves after a time of log(1/size). A deliberate small start is another thing:
    there the last product or a gate is small, or zero, and learns through the others, which are
    not. Between two weights a norm hides their size from each other. Times constants, as 1e4, a
    small weight has no small product: the size of the branch tells, or behind a zero the gradient
    that the zero gets.
    """
    line = math.exp(-thresholds.max_efolds)
    for signal in evidence.signals:
        if not 0 <= signal.branch_ratio < line**2:
            continue
        inside = _gains_inside(evidence, signal)
        sizes = {path: size for path, size in inside.items() if size < line}
        zeros = [path for path, size in sizes.items() if size == 0]
        if len(sizes) < 2 or len(zeros) > 1 or (not signal.branch_ratio and not zeros):
            continue
        if zeros and not _is_starved(evidence, signal, zeros[0], line):
            continue
        others = [path for path in sizes if path not in zeros]
        are = f"{listed(others)} {'is' if len(others) == 1 else 'are'}"
        are = f"{zeros[0]} is zero and {are}" if zeros else are
        yield Finding(
            "vanishing_branch",
            "warn",
            signal.place,
            max(sizes.values()),
            line,
            f"of the branch that ends here {are} under {line:.2g} of 1/sqrt(fan_in), so that each "
            "hides the gradient of the others: the branch learns late or not at all",
            "draw all weights of the branch but the last with variance gain^2/fan_in; the last "
            "or a gate after it may be small, or zero",
        )


def _is_starved(evidence: Evidence, signal: Signal, path: str, line: float) -> bool:
    """Whether a weight of zeros at a branch's end gets hardly any gradient: its inputs are tiny.

    Its gradient is the product of its inputs and of the gradient at the sum, so that by these norms
    it says how large its inputs are beside the stream: a bias or a function that is not zero at
    zero may keep them large.
    """
    (weight,) = (each for each in evidence.weights if each.path == path)
    entries = math.prod(evidence.model.shapes[weight.bit])
    if not signal.gradient_norm > 0:
        return False
    inputs = weight.gradient_rms * math.sqrt(entries) / signal.gradient_norm
    # The stream has the size of the sum: its branch is zero.
    return inputs < line * signal.rms * math.sqrt(evidence.fans[weight.bit].fan_in)


def _gains_inside(evidence: Evidence, signal: Signal) -> dict[str, float]:
    """Of the weights that multiply a branch alone, rms * sqrt(fan_in): each one's gain.

    Empty where there are none, one of them is not known, or a normalization lies between them.
    """
    before = [s for s in evidence.signals if s.row < signal.row and s.kind == "product"]
    within = [s for s in before if s.through & ~signal.through]
    # A sum is called by what ends its branch: the last product, or a gate behind it.
    last = max(within, key=lambda s: (s.names == signal.names, s.row), default=signal)
    inside = last.through & ~signal.through
    # Of layers in one array those of this iteration.
    turn = re.search(r"((?:\[\d+\])*)(?: \(\d+\))?$", signal.place)
    index = turn[1] if turn else ""
    # Of weights that are used again the latest products.
    products = {s.names: s for s in before if s.names & inside and s.place.endswith(index)}
    unknown = inside & evidence.model.notes.contracted & ~sum(1 << bit for bit in evidence.fans)
    if unknown or any(s.norms != last.norms for s in products.values()):
        return {}
    paths = {bit: evidence.model.paths[bit] for bit in bits(inside) if bit in evidence.fans}
    return {
        weight.path: weight.rms * math.sqrt(evidence.fans[weight.bit].fan_in)
        for weight in evidence.weights
        if weight.path in (paths.get(weight.bit), f"{paths.get(weight.bit)}{index}")
    }
