"""Every code that a finding may have, and the function that finds it."""

import math
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from initlab.audits import parameters, signals
from initlab.audits.attention import sharp_attention
from initlab.audits.balance import unbalanced_updates
from initlab.audits.branches import branch_dominates, vanishing_branch
from initlab.audits.coarse import coarse_draw
from initlab.audits.confidence import confident_start, unmet_prior
from initlab.audits.dead import dead_units
from initlab.audits.evidence import Evidence
from initlab.audits.fan_mismatch import fan_mismatch
from initlab.audits.finding import Finding
from initlab.audits.keys import ignores_key
from initlab.audits.leaks import leak
from initlab.audits.members import behind_siblings, by_member
from initlab.audits.optimizers import first_update
from initlab.audits.router import unbalanced_router
from initlab.audits.steps import is_hidden
from initlab.audits.thresholds import Thresholds
from initlab.audits.time import time_decay
from initlab.audits.unused import unused_parameter
from initlab.taps.scope import bits

__all__ = ["DIAGNOSTICS", "NETWORK_WIDE", "diagnose"]

Diagnostic = Callable[[Evidence, Thresholds], Iterator[Finding]]


def untracked(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """What the audit does not support, and so did not check."""
    del thresholds
    seen = dict(evidence.model.notes.untracked)
    paths = evidence.model.paths
    for names in sorted(evidence.model.notes.not_followed):
        state = " + ".join(paths[bit] for bit in bits(names)) or "the state of a loop"
        seen[state] = "the derivative of a step in time cannot be taken: time_decay was not checked"
    if isinstance(evidence.coverage, str):
        seen["symmetry"] = evidence.coverage
    else:
        for name in evidence.coverage.primitives:
            seen.setdefault(name, "an operation that the symmetry analysis does not support")
        for axis in evidence.coverage.strided:
            seen[axis] = "a layout of units that the symmetry analysis does not support"
    nonzero = [s for s in evidence.path if s.rms > 0]
    if nonzero and all(math.isnan(s.cosine_distance) for s in nonzero):
        seen["examples"] = "no two examples could be compared: rank_collapse was not checked"
    for number in (number for chain in evidence.chains for number in chain.rows):
        signal = evidence.by_row[number]
        if signal.upstream and signal.rms > 0 and is_hidden(evidence, signal):
            seen[signal.place] = "parameters of zeros hide its gradient, which was not checked"
    if not evidence.chains:
        seen["path"] = "no product with a parameter lies on every path from input to output"
    for place, why in seen.items():
        yield Finding(
            "untracked", "info", place, math.nan, math.nan, why, "none: this was not checked"
        )


DIAGNOSTICS: Mapping[str, Diagnostic] = MappingProxyType(
    {
        "non_finite": signals.non_finite,
        "symmetric_units": parameters.symmetric_units,
        "ignores_key": ignores_key,
        "coarse_draw": coarse_draw,
        "fan_mismatch": fan_mismatch,
        "vanishing_signal": by_member(signals.vanishing_signal, behind_siblings),
        "exploding_signal": by_member(signals.exploding_signal),
        "rank_collapse": signals.rank_collapse,
        "vanishing_gradient": signals.vanishing_gradient,
        "exploding_gradient": signals.exploding_gradient,
        "dead_units": dead_units,
        "saturated": by_member(signals.saturated),
        "branch_dominates": branch_dominates,
        "vanishing_branch": vanishing_branch,
        "time_decay": time_decay,
        "sharp_attention": sharp_attention,
        "unbalanced_router": unbalanced_router,
        "unused_parameter": unused_parameter,
        "constant_tensor": parameters.constant_tensor,
        "duplicate_tensors": parameters.duplicate_tensors,
        "repeated_slices": parameters.repeated_slices,
        "confident_start": confident_start,
        "unmet_prior": unmet_prior,
        "leak": leak,
        "unbalanced_updates": unbalanced_updates,
        "first_update": first_update,
        "untracked": untracked,
    }
)
"""Code to diagnostic, in the order in which findings are reported."""

NETWORK_WIDE = frozenset(
    {
        "confident_start",
        "exploding_gradient",
        "exploding_signal",
        "non_finite",
        "rank_collapse",
        "unmet_prior",
        "unbalanced_updates",
        "vanishing_gradient",
        "vanishing_signal",
    }
)
"""Codes of the whole network: over several seeds the place may differ, the finding is one."""


def diagnose(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """Every finding about one start."""
    return [each for find in DIAGNOSTICS.values() for each in find(evidence, thresholds)]
