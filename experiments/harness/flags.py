"""Flags that experiments share: names of a registry, counts, scales and lists, each validated."""

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags

__all__ = [
    "MOST",
    "MOST_LAYERS",
    "MOST_STEPS",
    "define_between",
    "define_count",
    "define_name",
    "define_names",
    "define_numbers",
    "define_pair",
    "define_scale",
    "define_share",
    "define_switch",
    "define_text",
    "define_trained_fraction",
]

# --help and run.json list a flag under the module that asks for it, not under this file.
flags.disclaim_key_flags()

MOST = 10**7
"""Units, seeds, draws: a table of more does not fit into a machine, and a slip of the hand does."""

MOST_LAYERS = 10**4
"""Layers: each is a part of the program, and all of them are compiled."""

MOST_STEPS = 2**31 - 1
"""Steps, which int32 counts."""

LARGEST = float(np.finfo(np.float32).max)
"""What float32 holds: more is infinite in a run."""

SMALLEST = float(np.finfo(np.float32).tiny)
"""What float32 holds in full precision: much less is 0 in a run."""


def define_name(name: str, default: str, table: Mapping[str, Any], help: str) -> flags.FlagHolder:
    """A flag that takes one name of a table; a misspelt one is answered with the nearest."""
    holder = flags.DEFINE_string(name, default, f"{help}: one of {', '.join(table)}.")
    flags.register_validator(name, lambda given: _check_name(given, table))
    return holder


def define_names(
    name: str, default: Sequence[str], table: Mapping[str, Any], help: str
) -> flags.FlagHolder:
    """A flag that takes several names of a table, separated by commas, each once."""
    holder = flags.DEFINE_list(name, list(default), f"{help}: of {', '.join(table)}.")

    def check(given: Sequence[str]) -> bool:
        if not given:
            raise flags.ValidationError(f"--{name} requires some of {', '.join(table)}, got none")
        for each in given:
            _check_name(each, table)
        if len(set(given)) < len(given):
            raise flags.ValidationError(f"--{name} holds a name twice: {', '.join(given)}")
        return True

    flags.register_validator(name, check)
    return holder


def define_count(
    name: str, default: int, help: str, *, least: int = 1, most: int = MOST
) -> flags.FlagHolder:
    """A flag that takes an integer from `least` to `most`."""
    return flags.DEFINE_integer(name, default, help, lower_bound=least, upper_bound=most)


def define_scale(name: str, default: float | None, help: str) -> flags.FlagHolder:
    """A flag that takes a finite number of at least 0; none if that is its default."""
    holder = flags.DEFINE_float(name, default, help)
    flags.register_validator(name, lambda given: given is None or _check_scale(name, given))
    return holder


def define_between(
    name: str, default: float, help: str, *, least: float, most: float
) -> flags.FlagHolder:
    """A flag that takes a number from `least` to `most`."""
    holder = flags.DEFINE_float(name, default, help)
    flags.register_validator(
        name,
        # NaN is within no bounds.
        lambda given: least <= given <= most,
        message=f"--{name} must be a number from {least} to {most}",
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


def define_pair(
    name: str,
    default: Sequence[float] | None,
    help: str,
    *,
    least: float = -LARGEST,
    most: float = LARGEST,
    whole: bool = False,
) -> flags.FlagHolder:
    """A flag that takes numbers x,y from `least` to `most` (whole: integers), or one for both."""
    given = None if default is None else [str(each) for each in default]
    holder = flags.DEFINE_list(name, given, help)
    flags.register_validator(name, lambda given: _check_pair(name, given, least, most, whole))
    return holder


def define_switch(name: str, help: str) -> flags.FlagHolder:
    """A flag that is off unless it is given."""
    return flags.DEFINE_bool(name, False, help)


def define_text(name: str, default: str, help: str) -> flags.FlagHolder:
    """A flag that takes any text."""
    return flags.DEFINE_string(name, default, help)


def define_trained_fraction() -> flags.FlagHolder:
    """The flag that says which runs count as trained."""
    return define_scale(
        "trained_fraction", 0.5, "A run trained if its loss ends under this share of a constant's."
    )


def define_numbers(
    name: str, default: Sequence[float], help: str, *, whole: bool = False, most: int = MOST
) -> flags.FlagHolder:
    """A flag that takes numbers of at least 0 (whole: integers from 1 to `most`), by commas."""
    holder = flags.DEFINE_list(name, [str(each) for each in default], help)
    flags.register_validator(name, lambda given: _check_numbers(name, given, most if whole else 0))
    return holder


def _check_name(given: str, table: Mapping[str, Any]) -> bool:
    if given in table:
        return True
    near = difflib.get_close_matches(given, table, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise flags.ValidationError(f"{given!r} is none of {', '.join(table)}{hint}")


def _check_scale(name: str, given: float) -> bool:
    if not (math.isfinite(given) and given >= 0):
        raise flags.ValidationError(f"--{name} must be a finite number of at least 0, got {given}")
    if given > LARGEST or 0 < given < SMALLEST:
        raise flags.ValidationError(
            f"--{name} must be 0 or between {SMALLEST:.2g} and {LARGEST:.2g}, which float32 can "
            f"hold, got {given}"
        )
    return True


def _check_pair(
    name: str, given: Sequence[str] | None, least: float, most: float, whole: bool
) -> bool:
    """Whether the texts are one number or two."""
    from_least = f" of {least:.3g} to {most:.3g}" if least > -LARGEST else ""
    kind = "integers" if whole else "finite numbers"
    required = f"--{name} requires two {kind}{from_least}, x,y, or one for both, got "
    if given is None:
        return True
    try:
        numbers = [int(text) if whole else float(text) for text in given]
    except ValueError as error:
        raise flags.ValidationError(f"{required}{','.join(given)!r}") from error
    # NaN is at least nothing.
    if len(numbers) not in (1, 2) or not all(least <= each <= most for each in numbers):
        raise flags.ValidationError(f"{required}{','.join(given)!r}")
    return True


def _check_numbers(name: str, given: Sequence[str], most: int) -> bool:
    """Whether the texts are numbers; with `most` integers."""
    required = f"integers from 1 to {most}" if most else "finite numbers of at least 0"
    if not given:
        raise flags.ValidationError(f"--{name} requires {required}, got none")
    for text in given:
        try:
            number = int(text) if most else float(text)
        except ValueError as error:
            raise flags.ValidationError(f"--{name} requires {required}, got {text!r}") from error
        if most and not 1 <= number <= most:
            raise flags.ValidationError(f"--{name} requires {required}, got {text!r}")
        if not (math.isfinite(number) and number >= 0):
            raise flags.ValidationError(f"--{name} requires {required}, got {text!r}")
        _check_scale(name, number)
    # Runs compute in float32, where numbers that differ in their text may be one.
    if len({int(text) if most else np.float32(text) for text in given}) != len(given):
        raise flags.ValidationError(f"--{name} holds a number twice: {', '.join(given)}")
    return True
