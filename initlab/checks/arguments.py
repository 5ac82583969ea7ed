"""The check of a function's arguments by its annotations: the annotation is the check."""

import collections.abc
import functools
import inspect
import os
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import optax

from initlab.checks.functions import check_callable, check_function
from initlab.checks.nouns import (
    check_arrays,
    check_key,
    check_kind,
    check_optimizer,
    check_reals,
    check_text,
)
from initlab.checks.values import (
    TracedError,
    check_integer,
    check_real,
    check_width,
    is_concrete,
)

__all__ = ["checked"]

Check = Callable[[str, Any], None]
P = typing.ParamSpec("P")
R = typing.TypeVar("R")

UNKNOWN = (
    jax.errors.ConcretizationTypeError,
    jax.errors.NonConcreteBooleanIndexError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
"""What JAX raises where the value of a traced array is asked for."""


REALS: tuple[set[Any], ...] = (
    {float, jax.Array, np.ndarray},
    {int, jax.Array, np.ndarray},
    {float, jax.Array},
)
ARRAYS: set[Any] = {jax.Array, np.ndarray}


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, which raises TypeError for an argument that is not what its annotation says.

    Each noun is checked in one place, with one wording: classes of the lab, keys, functions by how
    many arguments they take, numbers, arrays, text, truth values, and sequences of these. Values
    (ranges, shapes, what is finite) stay with the function, which knows them. Where it asks for the
    value of an argument that is traced, the error names the argument.

    Args:
      function: public, with annotations. Any is not checked; `key` is one JAX key.

    Returns:
      The function, with the same name and signature.

    >>> from initlab.types import Network
    >>> @checked
    ... def depth(network: Network, *, scale: float = 1.0) -> int: return len(network.activations)
    >>> depth("mlp")
    Traceback (most recent call last):
    TypeError: network must be an initlab Network, got 'mlp': initlab.networks makes one, and
    networks.adopt one of any model
    """
    signature = inspect.signature(function)
    wanted = {
        name: check
        for name, parameter in signature.parameters.items()
        if (check := _check_of(parameter)) is not None
    }

    @functools.wraps(function)
    def checking(*args: P.args, **kwargs: P.kwargs) -> R:
        # The line that a failing test should show is the caller's.
        __tracebackhide__ = True
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:
            # Python's own message, which names the function, is for the call.
            return function(*args, **kwargs)
        try:
            for name, check in wanted.items():
                if name in given:
                    check(name, given[name])
            return function(*args, **kwargs)
        except OverflowError:
            for name, value in given.items():
                for leaf in _leaves(value):
                    check_width(name, leaf)
            raise
        except (*UNKNOWN, TracedError) as error:
            traced = [name for name, value in given.items() if _is_traced(value)]
            if not traced:
                raise
            # The outermost call's words: they name what its caller has written.
            cause = error.__cause__ if isinstance(error, TracedError) else error
            raise TracedError(
                f"{' and '.join(traced)} must be known when {function.__name__} is called, got "
                "traced arrays: call it outside of jit, vmap and grad"
            ) from cause

    return checking


def _is_traced(value: Any) -> bool:
    return not all(map(is_concrete, _leaves(value)))


def _leaves(value: Any) -> list[Any]:
    try:
        return jax.tree.leaves(value)
    # Keys of two types, which JAX cannot sort: no tree.
    except ValueError:
        return []


def _check_of(parameter: inspect.Parameter) -> Check | None:
    annotation = parameter.annotation
    if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        return None
    if parameter.name == "key" and annotation in (jax.Array, jax.Array | None):
        return check_key if annotation == jax.Array else _or_none(check_key)
    return None if parameter.name == "keys" else _of(annotation)


def _of(annotation: Any) -> Check | None:
    """The check of one annotation; None for one that says nothing."""
    if isinstance(annotation, str):
        # A class that is imported for type checkers alone.
        return functools.partial(_check_named, kind=annotation.rpartition(".")[2])
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        # `Number`, which is one number, where `Numbers` may be an array.
        (said,) = annotation.__metadata__
        if str in typing.get_args(inner[0]):
            return functools.partial(_check_path, noun=said)
        return check_real if said == "one" else _of(inner[0])
    if origin in (typing.Union, types.UnionType):
        return _of_union(set(inner))
    if origin is collections.abc.Callable:
        takes = inner[0]
        return check_callable if takes is ... else functools.partial(check_function, takes=takes)
    if origin is frozenset:
        return functools.partial(_check_set, each=_of(inner[0]))
    if origin in (collections.abc.Sequence, tuple):
        each = _of(inner[0]) if origin is collections.abc.Sequence else None
        return functools.partial(_check_sequence, each=each)
    if origin is collections.abc.Mapping:
        return functools.partial(_check_mapping, each=_of(inner[1]))
    return _of_class(annotation)


def _of_union(members: set[Any]) -> Check | None:
    optional = types.NoneType in members
    members = members - {types.NoneType}
    if members in REALS:
        check: Check | None = check_reals
    elif members == ARRAYS:
        check = check_arrays
    elif len(members) == 1:
        check = _of(members.pop())
    else:
        check = _of_several(members)
    return _or_none(check) if optional and check is not None else check


def _of_several(members: set[Any]) -> Check | None:
    """Of `str | PathLike`, and of a sequence that may be an array."""
    if str in members and all(each is str or _is_path(each) for each in members):
        return _check_path
    sequences = [each for each in members if typing.get_origin(each) is collections.abc.Sequence]
    if len(sequences) != 1 or not members - set(sequences) <= ARRAYS:
        return None
    (inner,) = typing.get_args(sequences[0])
    # Which integers an array may hold, the function knows: those of a permutation, of axes.
    known = {float: _check_row, int: functools.partial(_check_sequence, each=None)}
    return known.get(inner, _of(sequences[0]))


def _is_path(annotation: Any) -> bool:
    return (typing.get_origin(annotation) or annotation) is os.PathLike


def _check_path(name: str, value: Any, noun: str = "a path") -> None:
    if isinstance(value, type) or not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} must be {noun}, got {value!r:.80}")


def _check_row(name: str, value: Any) -> None:
    """Real numbers along one axis or more."""
    _check_sequence(name, value, None)
    check_reals(name, value)


def _of_class(annotation: Any) -> Check | None:
    known: dict[Any, Check] = {
        int: check_integer,
        float: check_real,
        bool: _check_truth,
        str: check_text,
        jax.Array: check_arrays,
        np.ndarray: check_arrays,
        optax.GradientTransformation: check_optimizer,
    }
    if annotation in known:
        return known[annotation]
    if isinstance(annotation, type) and annotation not in (inspect.Parameter.empty, object, Any):
        return functools.partial(check_kind, kind=annotation)
    return None


def _or_none(check: Check) -> Check:
    def checking(name: str, value: Any) -> None:
        if value is not None:
            check(name, value)

    return checking


def _check_named(name: str, value: Any, kind: str) -> None:
    if all(base.__name__ != kind for base in type(value).__mro__):
        raise TypeError(f"{name} must be an xarray {kind}, got {type(value).__name__}")


def _check_truth(name: str, value: Any) -> None:
    # "no" and np.zeros(1) would be true or false without a word.
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r:.80}")


def _check_sequence(name: str, value: Any, each: Check | None) -> None:
    is_scalar = getattr(value, "shape", None) == () or not hasattr(value, "__iter__")
    if isinstance(value, str | bytes | Mapping) or is_scalar:
        raise TypeError(f"{name} must be a sequence, got {value!r:.80}")
    if each is None:
        return
    nouns = check_kind, check_callable, check_function, _check_mapping, _check_sequence
    if hasattr(value, "dtype") and getattr(each, "func", each) in nouns:
        raise TypeError(f"{name} must be a sequence, got a {value.dtype} array")
    # Entries of an array, or numbers of a range, are all of one kind.
    listed = value if isinstance(value, list | tuple) else value[:1]
    for position, one in enumerate(listed):
        each(f"{name}[{position}]", one)


def _check_set(name: str, value: Any, each: Check | None) -> None:
    if not isinstance(value, collections.abc.Set):
        raise TypeError(f"{name} must be a set, got {value!r:.80}")
    if each is not None:
        for one in value:
            each(f"an entry of {name}", one)


def _check_mapping(name: str, value: Any, each: Check | None) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a dict, got {value!r:.80}")
    if each is not None:
        for label, one in value.items():
            each(f"{name}[{label!r}]", one)
