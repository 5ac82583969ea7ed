"""What is wrong with the memory of a recurrence: the state of a loop, or of an associative scan."""

import math
from collections.abc import Iterator

from initlab.audits.evidence import Evidence
from initlab.audits.finding import Finding
from initlab.audits.thresholds import Thresholds

__all__ = ["time_decay"]

ROUNDING = 1e-7
"""About epsilon of float32: a state that is only added to keeps all that is in it by design."""


def time_decay(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """A state that forgets within a step, or one that decays but never forgets.

    `memory` is the mean logarithm of |J v| / |v|, J the derivative of a step's state by the state
    before and v a change that is carried along: the Lyapunov exponent of the loop.
    """
    for signal in evidence.signals:
        if signal.kind != "state" or math.isnan(signal.memory):
            continue
        kept = math.exp(signal.memory)
        if signal.memory < -thresholds.forgetting:
            yield Finding(
                "time_decay",
                "warn",
                signal.place,
                kept,
                math.exp(-thresholds.forgetting),
                "a step keeps so small a part of the state that what came before the latest inputs "
                "is forgotten",
                "draw recurrent weights orthogonal or with variance 1/fan_in, and start forget "
                "gates open (a bias of 1) and time steps small (decays spread between 1/e and 1 - "
                "1/length)",
            )
        elif -thresholds.remembering < signal.fastest and signal.memory < -ROUNDING:
            yield Finding(
                "time_decay",
                "warn",
                signal.place,
                kept,
                math.exp(-thresholds.remembering),
                "the state decays, but so slowly in all of its entries that it sums all inputs",
                "start time steps larger, so that the decays are spread between 1/e and 1 - "
                "1/length",
            )
