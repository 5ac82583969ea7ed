"""What SARIF 2.1.0 requires of the objects that a log of ours holds; nothing else may be there.

Written down from the standard's text (OASIS, section in brackets): for each object its properties,
those that are required marked, and what each must be.
"""

import re
from collections.abc import Callable

PROPERTIES = dict
"""A property bag [3.8]."""


def _text(value):
    return isinstance(value, str) and value != ""


def _index(value):
    return type(value) is int and value >= 0


def _one_of(*names):
    return lambda value: value in names


def _uri(value):
    return _text(value) and re.fullmatch(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+", value)


MESSAGE = {"text!": _text}  # [3.11]
REGION = {"startLine": lambda value: type(value) is int and value >= 1}  # [3.30]
ARTIFACT = {"uri": _uri, "uriBaseId": _text}  # [3.4]
LOCATION = {  # [3.28]
    "physicalLocation": {"artifactLocation": ARTIFACT, "region": REGION},  # [3.29]
    "logicalLocations": [{"fullyQualifiedName": _text, "name": _text, "kind": _text}],  # [3.33]
}
RULE = {  # [3.49]
    "id!": _text,
    "shortDescription": MESSAGE,
    "fullDescription": MESSAGE,
    "help": MESSAGE,
}
RESULT = {  # [3.27]
    "ruleId": _text,
    "ruleIndex": _index,
    "level": _one_of("none", "note", "warning", "error"),
    "message!": MESSAGE,
    "locations": [LOCATION],
    "partialFingerprints": lambda value: all(map(_text, [*value, *value.values()])),
    "suppressions": [{"kind!": _one_of("inSource", "external"), "justification": _text}],  # [3.35]
    "properties": PROPERTIES,
}
RUN = {  # [3.14]
    "tool!": {"driver!": {"name!": _text, "version": _text, "rules": [RULE]}},  # [3.18, 3.19]
    "results": [RESULT],
    "columnKind": _one_of("utf16CodeUnits", "unicodeCodePoints"),
    "properties": PROPERTIES,
}
LOG = {"$schema": _uri, "version!": _one_of("2.1.0"), "runs!": [RUN]}  # [3.13]


def check_log(log):
    """Raises AssertionError, with the place, where a log is not of that structure."""
    _check(log, LOG, "log")


def _check(value, structure, place):
    if isinstance(structure, dict):
        assert isinstance(value, dict), place
        known = {name.rstrip("!"): each for name, each in structure.items()}
        required = {name.rstrip("!") for name in structure if name.endswith("!")}
        assert required <= set(value) <= set(known), (place, set(value))
        for name, each in value.items():
            _check(each, known[name], f"{place}.{name}")
    elif isinstance(structure, list):
        assert isinstance(value, list), place
        for number, each in enumerate(value):
            _check(each, structure[0], f"{place}[{number}]")
    elif structure is PROPERTIES:
        assert isinstance(value, dict), place
    else:
        assert isinstance(structure, Callable)
        assert structure(value), (place, value)
