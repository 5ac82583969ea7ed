"""Whether attention can tell its entries apart and still learn which to attend to."""

from collections.abc import Iterator

import numpy as np

from initlab.audits.evidence import Evidence
from initlab.audits.finding import Finding
from initlab.audits.thresholds import Thresholds

__all__ = ["sharp_attention"]


def sharp_attention(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """A head whose entropy is small, over log of its unmasked entries and in effective entries."""
    for softmax in evidence.softmaxes:
        if softmax.kind != "attention":
            continue
        # NaN in a branch that was not taken, and where no row has two entries to choose from.
        share = np.where(softmax.limit > 0, softmax.entropy / np.maximum(softmax.limit, 1e-9), 1.0)
        judged = np.isfinite(share) & (np.exp(softmax.entropy) < thresholds.attention_entries)
        warning, failure = thresholds.attention_entropy, thresholds.attention_collapse
        sharp = judged & (share < warning)
        if not sharp.any():
            continue
        head = int(np.argmin(np.where(sharp, share, np.inf)))
        failed = share[head] < failure
        number = len(share)
        heads = f"{sharp.sum()} of {number} heads, worst head {head}," if number > 1 else "it"
        yield Finding(
            "sharp_attention",
            "fail" if failed else "warn",
            softmax.place,
            float(share[head]),
            failure if failed else warning,
            f"{heads} attends to {np.exp(softmax.entropy[head]):.1f} of "
            f"{np.exp(softmax.limit[head]):.0f} entries: its logits have std "
            f"{softmax.std[head]:.2g}, and a softmax that is nearly one-hot passes no gradient",
            "divide the dot products by sqrt(head size), draw query and key with variance "
            "1/fan_in, or normalize both (QK norm) with a temperature near 1",
        )
