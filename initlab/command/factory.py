"""A model named on a command line: the factory that makes it, and its audit."""

import contextlib
import difflib
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax

from initlab import checks
from initlab.audits import Report, audit

__all__ = ["audit_factory", "find_factory", "make_arguments"]


def find_factory(name: str, flag: str = "the factory") -> Callable[[], Any]:
    """The function of that name.

    Args:
      name: "package.module:factory".
      flag: what an error calls the name.

    Returns:
      The function.

    Raises:
      ValueError: if there is none.
      TypeError: if it is no function.

    >>> find_factory("math:sqrt").__name__
    'sqrt'
    """
    module, _, factory = name.partition(":")
    if not module or not factory:
        raise ValueError(f"{flag} must be package.module:factory, got {name!r}")
    try:
        with _refusing_exits(f"{flag} {name!r}"):
            make = getattr(importlib.import_module(module), factory)
    # TypeError and ValueError: names that begin with a dot, or hold a null character.
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{flag} {name!r} cannot be found: {error}") from error
    checks.check_callable(f"{flag} {name!r}", make)
    return make


@contextlib.contextmanager
def _refusing_exits(what: str) -> Iterator[None]:
    """A model that ends the program must not decide its status: 0 would be a verdict."""
    try:
        yield
    except SystemExit as error:
        raise ValueError(f"{what} must not exit, and exits with {error.code!r}") from error


def make_arguments(make: Callable[[], Any]) -> dict[str, Any]:
    """The arguments of `audit` that a factory gives.

    Args:
      make: takes nothing and gives a dict of them by name: apply, batch, params or init, and
        whatever else `audit` takes.

    Returns:
      The arguments.

    Raises:
      ValueError: if it gives another thing, leaves out what an audit needs, or gives what it does
        not take; the nearest name is said.
    """
    with _refusing_exits("the factory"):
        given = make()
    wanted = "the factory must give a dict with apply, batch and params or init"
    if not isinstance(given, Mapping):
        raise ValueError(f"{wanted}, got {type(given).__name__}")
    names = list(inspect.signature(audit).parameters)
    got = f"got {', '.join(map(repr, given)) or 'none'}"
    # First: a required key may be missing because it is misspelled.
    for each in given:
        if each not in names:
            near = difflib.get_close_matches(str(each).lower(), names, n=1)
            hint = f": did you mean {near[0]!r}?" if near else f" ({', '.join(names)})"
            raise ValueError(f"{wanted}, {each!r} is no argument of initlab.audit{hint}; {got}")
    for key in ("apply", "batch"):
        if key not in given:
            raise ValueError(f"{wanted}, {key!r} is missing; {got}")
    if "params" not in given and "init" not in given:
        raise ValueError(f"{wanted}, 'params' and 'init' are both missing; {got}")
    return dict(given)


def audit_factory(given: Mapping[str, Any], seeds: int, seed: int, **more: Any) -> Report:
    """The audit of what a factory gives.

    Args:
      given: arguments of `audit` by name.
      seeds: how many starts its init draws; with 0 its params are audited as they are, or the one
        start that its init draws.
      seed: draws the starts and the cotangent.
      **more: arguments of `audit` that take the place of the factory's.

    Returns:
      The report.

    Raises:
      ValueError: if seeds are asked for without an init.
    """
    given = {"key": jax.random.key(seed), **given, **more}
    if seeds:
        if "init" not in given:
            raise ValueError(f"--seeds requires a factory that gives an init, got {sorted(given)}")
        given["keys"] = jax.random.split(given["key"], seeds)
        # A factory may give both: its params are for an audit without seeds.
        given["params"] = None
    elif "keys" not in given:
        init = given.pop("init", None)
        if given.get("params") is None and init is not None:
            given["params"] = jax.jit(lambda key: init(key))(given["key"])
    return audit(**given)
