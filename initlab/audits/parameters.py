"""What is wrong with the parameters themselves: duplicates, constants, those that do not train."""

import functools
import math
import operator
from collections.abc import Iterator

from initlab.audits.evidence import Evidence
from initlab.audits.finding import Finding
from initlab.audits.thresholds import Thresholds

__all__ = [
    "constant_tensor",
    "duplicate_tensors",
    "repeated_slices",
    "symmetric_units",
]


def symmetric_units(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """Units that are identical: their exchange leaves the parameters as they are."""
    del thresholds
    for name, (distinct, size, _) in evidence.widths.items():
        if distinct < size:
            where = f" in {evidence.blocks[name]}" if name in evidence.blocks else ""
            yield Finding(
                "symmetric_units",
                "fail",
                name,
                distinct,
                size,
                f"only {distinct} of {size} units{where} differ: identical units get identical "
                "gradients and stay identical indefinitely",
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


def repeated_slices(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """Layers, heads, experts or members that start as copies; only what they meet parts them."""
    del thresholds
    notes = evidence.model.notes
    bits = {path: bit for bit, path in enumerate(evidence.model.paths)}
    identical = _identical(evidence)
    for each in evidence.repeated:
        # Of what a loop scans over, and of copies that never part, other findings tell.
        is_scanned = not each.axis and notes.stacked >> bits[each.path] & 1
        if is_scanned or each.path in identical:
            continue
        named = ", ".join(map(str, each.alike[:4])) + (", ..." if len(each.alike) > 4 else "")
        yield Finding(
            "repeated_slices",
            "warn",
            f"{each.path} {each.axis}",
            each.distinct,
            each.size,
            f"indices {named} of axis {each.axis} of {each.path} hold the same random numbers: "
            f"{each.distinct} of {each.size} differ, and the copies part only by what each meets",
            "draw each index with a key of its own",
        )


def _identical(evidence: Evidence) -> set[str]:
    """The parameters with units that are identical."""
    return {
        path
        for distinct, size, paths in evidence.widths.values()
        if distinct < size
        for path in paths
    }


def _with_units(evidence: Evidence) -> int:
    """Bit set of the parameters whose products have units; a number that is looked up has none."""
    sites = [p.site for p in evidence.model.plan.sites() if p.site.kind == "product"]
    found = [
        site.names
        for site in sites
        if any(flag and n > 1 for flag, n in zip(site.features, site.shape, strict=True))
    ]
    return functools.reduce(operator.or_, found, 0)


def constant_tensor(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """Weights all of whose entries are one number; zeros may be intended."""
    del thresholds
    notes = evidence.model.notes
    identical = _identical(evidence)
    with_units = notes.contracted | (notes.looked_up & _with_units(evidence))
    for weight in evidence.weights:
        is_weight = with_units >> weight.bit & 1
        is_stacked = notes.stacked >> weight.bit & 1
        size = math.prod(evidence.model.shapes[weight.bit][is_stacked:])
        if not is_weight or weight.smallest != weight.largest or size == 1:
            continue
        is_identical = evidence.model.paths[weight.bit] in identical
        blocked = evidence.blocked.get(weight.path)
        if weight.rms == 0 and not is_identical and blocked is not None and not blocked.steps:
            continue  # It never learns, which `unused_parameter` reports.
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
