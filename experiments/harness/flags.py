"""Flags that experiments share: names of a registry, counts, scales and lists, each validated."""

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

__all__ = [
    "define_count",
    "define_name",
    "define_names",
    "define_numbers",
    "define_scale",
    "define_share",
    "define_trained_fraction",
]

# --help and run.json list a flag under the module that asks for it, not under this file.
flags.disclaim_key_flags()


def define_name(name: str, default: str, table: Mapping[str, Any], help: str) -> flags.FlagHolder:
    """A flag that takes one name of a table; a misspelt one is answered with the nearest."""
    holder = flags.DEFINE_string(name, default, f"{help}: one of {', '.join(table)}.")
    flags.register_validator(name, lambda given: _check_name(given, table))
    return holder


def define_names(
    name: str, default: Sequence[str], table: Mapping[str, Any], help: str
) -> flags.FlagHolder:
    """A flag that takes several names of a table, separated by commas."""
    holder = flags.DEFINE_list(name, list(default), f"{help}: of {', '.join(table)}.")
    flags.register_validator(
        name, lambda given: bool(given) and all(_check_name(each, table) for each in given)
    )
    return holder


def define_count(name: str, default: int, help: str, *, least: int = 1) -> flags.FlagHolder:
    """A flag that takes an integer of at least `least`."""
    return flags.DEFINE_integer(name, default, help, lower_bound=least)


def define_scale(name: str, default: float | None, help: str) -> flags.FlagHolder:
    """A flag that takes a finite number of at least 0; none if that is its default."""
    holder = flags.DEFINE_float(name, default, help)
    flags.register_validator(
        name,
        lambda given: given is None or (math.isfinite(given) and given >= 0),
        message=f"--{name} must be a finite number of at least 0",
    )
    return holder


def define_share(name: str, default: float, help: str) -> flags.FlagHolder:
    """A flag that takes a number of at least 0 and under 1."""
    holder = flags.DEFINE_float(name, default, help)
    flags.register_validator(
        name,
        lambda given: 0 <= given < 1,
        message=f"--{name} must be a number of at least 0 and under 1",
    )
    return holder


def define_trained_fraction() -> flags.FlagHolder:
    """The flag that says which runs count as trained."""
    return define_scale(
        "trained_fraction", 0.5, "A run trained if its loss ends under this share of a constant's."
    )


def define_numbers(
    name: str, default: Sequence[float], help: str, *, whole: bool = False
) -> flags.FlagHolder:
    """A flag that takes numbers of at least 0 (whole: integers of at least 1), by commas."""
    holder = flags.DEFINE_list(name, [str(each) for each in default], help)
    flags.register_validator(name, lambda given: _check_numbers(name, given, whole))
    return holder


def _check_name(given: str, table: Mapping[str, Any]) -> bool:
    if given in table:
        return True
    near = difflib.get_close_matches(given, table, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise flags.ValidationError(f"{given!r} is none of {', '.join(table)}{hint}")


def _check_numbers(name: str, given: Sequence[str], whole: bool) -> bool:
    required = "integers of at least 1" if whole else "finite numbers of at least 0"
    if not given:
        raise flags.ValidationError(f"--{name} requires {required}, got none")
    for text in given:
        try:
            number = int(text) if whole else float(text)
        except ValueError as error:
            raise flags.ValidationError(f"--{name} requires {required}, got {text!r}") from error
        if not math.isfinite(number) or number < (1 if whole else 0):
            raise flags.ValidationError(f"--{name} requires {required}, got {text!r}")
    if len({float(text) for text in given}) != len(given):
        raise flags.ValidationError(f"--{name} holds a number twice: {', '.join(given)}")
    return True
