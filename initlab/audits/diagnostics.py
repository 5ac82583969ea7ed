"""Every code that a finding may have, and the function that finds it."""

import math
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from initlab.audits import parameters, signals
from initlab.audits.evidence import Evidence
from initlab.audits.finding import Finding
from initlab.audits.thresholds import Thresholds

__all__ = ["ALONG_THE_PATH", "JUDGES", "judge"]

Judge = Callable[[Evidence, Thresholds], Iterator[Finding]]


def confident_start(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """A cross-entropy that starts far above that of outputs of zero, which is log K."""
    knowing_nothing = [math.log(max(2, evidence.classes)), math.log(2)]
    at_zero = evidence.loss_at_zero
    # Another loss at zero is no mean cross-entropy, and has no such line.
    if not any(math.isclose(at_zero, each, rel_tol=1e-3) for each in knowing_nothing):
        return
    excess = evidence.loss - at_zero
    for severity, line in (("fail", thresholds.confident[1]), ("warn", thresholds.confident[0])):
        if excess > line:
            yield Finding(
                "confident_start",
                severity,
                "output",
                excess,
                line,
                f"the loss starts at {evidence.loss:.3g} where knowing nothing costs "
                f"{at_zero:.3g}: the outputs are sure, and wrong",
                "start the readout smaller (initializers.small_readout), or at zero",
            )
            return


def untracked(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """What the audit could not see."""
    del thresholds
    seen = dict(evidence.model.notes.untracked)
    if isinstance(evidence.coverage, str):
        seen["symmetry"] = evidence.coverage
    else:
        for name in evidence.coverage.primitives:
            seen.setdefault(name, "the symmetry instrument does not follow this operation")
        for axis in evidence.coverage.strided:
            seen[axis] = "units lie here in a layout that the symmetry instrument cannot tell"
    told = [s for s in evidence.path if s.length > 0]
    if told and all(math.isnan(s.dissimilarity) for s in told):
        seen["examples"] = "no two examples could be compared: rank_collapse was not looked for"
    if not evidence.path:
        seen["path"] = "no product of a parameter lies on every way from the data to the outputs"
    for place, why in seen.items():
        yield Finding("untracked", "info", place, math.nan, math.nan, why, "nothing: be aware")


JUDGES: Mapping[str, Judge] = MappingProxyType(
    {
        "non_finite": signals.non_finite,
        "symmetric_units": parameters.symmetric_units,
        "vanishing_signal": signals.vanishing_signal,
        "exploding_signal": signals.exploding_signal,
        "rank_collapse": signals.rank_collapse,
        "vanishing_gradient": signals.vanishing_gradient,
        "exploding_gradient": signals.exploding_gradient,
        "dead_units": signals.dead_units,
        "saturated": signals.saturated,
        "unused_parameter": parameters.unused_parameter,
        "constant_tensor": parameters.constant_tensor,
        "duplicate_tensors": parameters.duplicate_tensors,
        "confident_start": confident_start,
        "unbalanced_updates": parameters.unbalanced_updates,
        "untracked": untracked,
    }
)
"""Code to judge, in the order in which findings are told."""

ALONG_THE_PATH = frozenset(
    {
        "confident_start",
        "exploding_gradient",
        "exploding_signal",
        "non_finite",
        "rank_collapse",
        "unbalanced_updates",
        "vanishing_gradient",
        "vanishing_signal",
    }
)
"""Codes of the whole network: over several seeds the place may differ, the finding is one."""


def judge(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """Every finding about one start."""
    return [each for find in JUDGES.values() for each in find(evidence, thresholds)]
