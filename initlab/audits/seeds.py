"""Findings of several seeds as findings of the initialization."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from initlab.audits.diagnostics import DIAGNOSTICS, NETWORK_WIDE
from initlab.audits.finding import SEVERITIES, Finding

__all__ = ["merge_seeds"]


def merge_seeds(found: Sequence[Sequence[Finding]]) -> list[Finding]:
    """Findings over seeds: as severe as in at least half of them, else one step less.

    Args:
      found: the findings of each seed.

    Returns:
      One for each code and place, or for each network-wide code, with the median of its values,
      their interval, and the share of the seeds that have it.
    """
    codes = list(DIAGNOSTICS)
    sets: dict[tuple[str, str], list[Finding]] = {}
    for findings in found:
        # A seed counts once: NaN in a parameter is NaN in a signal too.
        worst: dict[tuple[str, str], Finding] = {}
        for each in sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)):
            place = "" if each.code in NETWORK_WIDE else each.place
            worst.setdefault((each.code, place), each)
        for where, each in worst.items():
            sets.setdefault(where, []).append(each)
    merged = []
    for (code, _), each in sorted(sets.items(), key=lambda item: codes.index(item[0][0])):
        ranks = sorted(SEVERITIES.index(one.severity) for one in each)
        half = (len(found) + 1) // 2
        rank = ranks[half - 1] if len(ranks) >= half else min(len(SEVERITIES) - 1, ranks[0] + 1)
        values = np.asarray([one.value for one in each], float)
        place = Counter(one.place for one in each).most_common(1)[0][0]
        like = next((one for one in each if one.severity == SEVERITIES[rank]), each[0])
        ends = np.quantile(values, [0.05, 0.5, 0.95], method="inverted_cdf")
        merged.append(
            like._replace(
                code=code,
                place=place,
                severity=SEVERITIES[rank],
                value=float(ends[1]),
                interval=(float(ends[0]), float(ends[2])),
                seeds=len(each) / len(found),
            )
        )
    return merged
