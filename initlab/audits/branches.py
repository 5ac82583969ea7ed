"""What is wrong with residual branches beside their stream."""

import math
from collections.abc import Iterator

from initlab.audits.evidence import Evidence
from initlab.audits.finding import Finding
from initlab.audits.thresholds import Thresholds

__all__ = ["branch_dominates"]


def branch_dominates(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """A branch so much larger than the stream it is added to that the stream is drowned.

    A branch much smaller than its stream is no fault: a gate, a zero or a LayerScale of 1e-5 lets
    it begin so.
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
