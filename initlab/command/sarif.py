"""A report in SARIF 2.1.0, the format in which analysers tell code hosts what they found.

Source: OASIS, Static Analysis Results Interchange Format Version 2.1.0 (2020), its sections in
brackets.
"""

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from initlab._version import __version__
from initlab.audits import Finding, Report, Thresholds
from initlab.audits.diagnostics import DIAGNOSTICS
from initlab.audits.explanations import EXPLANATIONS
from initlab.files import plain

__all__ = ["to_sarif"]

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
LEVELS: Mapping[str, str] = {"fail": "error", "warn": "warning", "info": "note"}
"""Severities as SARIF's levels [3.27.10]."""


def to_sarif(report: Report, name: str, make: Callable[[], Any]) -> str:
    """A log of one run: a rule for each code, a result for each finding, suppressed if ignored.

    Args:
      report: of an audit.
      name: the factory's, "package.module:factory".
      make: the factory, whose first line is where results are: parameters have no line.

    Returns:
      JSON.
    """
    where = _physical_location(make)
    found = [(finding, None) for finding in report.findings]
    found += [(finding, each.reason) for each in report.ignored for finding in each.findings]
    run = {
        "tool": {
            "driver": {
                "name": "initlab",
                "version": __version__,
                "rules": [_rule(code) for code in DIAGNOSTICS],
            }
        },
        "results": [_result(finding, reason, name, where) for finding, reason in found],
        "columnKind": "unicodeCodePoints",
        "properties": {"verdict": report.verdict, "model": name, "seeds": report.seeds},
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(plain(log), indent=2, allow_nan=False)


def _rule(code: str) -> dict[str, Any]:
    """[3.49]."""
    explanation = EXPLANATIONS[code]
    threshold = explanation.threshold.format_map(vars(Thresholds()))
    return {
        "id": code,
        "shortDescription": {"text": explanation.cause.partition(". ")[0].rstrip(".") + "."},
        "fullDescription": {"text": explanation.cause},
        "help": {
            "text": f"Remedy: {explanation.remedy}\nThreshold: {threshold}\n"
            f"Reason: {explanation.reason}"
        },
    }


def _result(
    finding: Finding, reason: str | None, name: str, where: Mapping[str, Any] | None
) -> dict[str, Any]:
    """[3.27]; a reason says that it is suppressed [3.35]."""
    # A value and a threshold change from run to run; a code at a place is one finding [3.27.17].
    identity = "\n".join((name, finding.code, finding.place))
    location: dict[str, Any] = {
        "logicalLocations": [{"fullyQualifiedName": finding.place, "kind": "parameter"}]
    }
    if where is not None:
        location["physicalLocation"] = where
    result = {
        "ruleId": finding.code,
        "ruleIndex": list(DIAGNOSTICS).index(finding.code),
        "level": LEVELS[finding.severity],
        "message": {"text": f"{finding.place}: {finding.cause}. Remedy: {finding.remedy}."},
        "locations": [location],
        "partialFingerprints": {
            "codeAndPlace/v1": hashlib.sha256(identity.encode()).hexdigest()[:32]
        },
        "properties": {
            "value": finding.value,
            "threshold": finding.threshold,
            "seeds": finding.seeds,
        },
    }
    if reason is not None:
        result["suppressions"] = [
            {"kind": "external"} | ({"justification": reason} if reason else {})
        ]
    return result


def _physical_location(make: Callable[[], Any]) -> dict[str, Any] | None:
    """[3.29]: the factory's first line, in a file relative to the folder of the command."""
    try:
        path = Path(inspect.getsourcefile(inspect.unwrap(make)) or "").resolve()
        line = max(1, inspect.getsourcelines(make)[1])
    except (TypeError, OSError):
        # A callable object, or one without a file.
        return None
    here = Path.cwd()
    if path.is_relative_to(here):
        artifact = {"uri": path.relative_to(here).as_posix(), "uriBaseId": "%SRCROOT%"}
    else:
        artifact = {"uri": path.as_uri()}
    return {"artifactLocation": artifact, "region": {"startLine": line}}
