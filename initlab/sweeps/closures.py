"""A digest of Python functions by all that they compute with: code, and what it closes over."""

import hashlib
import importlib.metadata
import sys
import types
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import jax
import numpy as np

from initlab.programs.equations import all_equations
from initlab.programs.primitives import COMPUTING_CALLBACKS

__all__ = ["callbacks", "digest"]


def callbacks(program: Any) -> dict[str, str]:
    """Digests of the Python functions that a program calls.

    Args:
      program: a closed jaxpr.

    Returns:
      `{name of the function: digest}`, a number after the names of those that have one name.

    Raises:
      ValueError: if one computes with an object that has no lasting description.
    """
    digests: dict[str, str] = {}
    for equation in all_equations(program):
        if equation.primitive.name not in COMPUTING_CALLBACKS:
            continue
        function = equation.params["callback"]
        # JAX's own wrapper, which holds the tree of the arguments besides.
        function = getattr(function, "callback_func", function)
        name = getattr(function, "__qualname__", type(function).__qualname__)
        try:
            found = digest(function)
        except ValueError as error:
            raise ValueError(f"the callback {name} cannot be recorded: {error}") from error
        if found not in digests.values():
            digests[name if name not in digests else f"{name} ({len(digests) + 1})"] = found
    return digests


def digest(value: Any) -> str:
    """SHA-256 of a value, the same in every process that makes it from the same code and numbers.

    A function is described by its bytecode, defaults, and the values of the names that it closes
    over, globals and other functions included; what is installed by its name and version; any other
    object by what it would be pickled from.

    Args:
      value: a function, or anything that one closes over.

    Returns:
      The digest in hexadecimal.

    Raises:
      ValueError: if it holds an object that cannot be pickled.

    >>> def scaled(by):
    ...     return lambda x: by * x
    >>> digest(scaled(2.0)) == digest(scaled(2.0)), digest(scaled(2.0)) == digest(scaled(3.0))
    (True, False)
    """
    return _Describer().of(value).hex()


class _Describer:
    """Digests by identity, so that what many functions use is read once, and circles end."""

    def __init__(self):
        self._known: dict[int, bytes] = {}
        # What is made on the way must not be freed, or another object takes its id.
        self._kept: list[Any] = []

    def of(self, value: Any) -> bytes:
        if value is None or isinstance(value, bool | int | float | complex | str | bytes):
            return _hashed(type(value).__name__.encode(), repr(value).encode())
        if id(value) not in self._known:
            self._known[id(value)] = b"what is being described"
            self._kept.append(value)
            name = type(value).__qualname__.encode()
            self._known[id(value)] = _hashed(name, *self._pieces(value))
        return self._known[id(value)]

    def _pieces(self, value: Any) -> Iterator[bytes]:
        if isinstance(value, np.ndarray | np.generic | jax.Array) and value.dtype != object:
            array = np.asarray(value)
            yield f"{array.dtype} {array.shape}".encode()
            yield array.tobytes()
        elif isinstance(value, tuple | list):
            yield from map(self.of, value)
        elif isinstance(value, dict):
            yield from (self.of(part) for pair in value.items() for part in pair)
        elif isinstance(value, set | frozenset):
            # Their order changes from process to process.
            yield from sorted(map(self.of, value))
        elif isinstance(value, types.CodeType):
            yield value.co_code
            counts = value.co_argcount, value.co_kwonlyargcount, value.co_flags
            yield repr((counts, value.co_names, value.co_freevars)).encode()
            yield from map(self.of, value.co_consts)
        elif name := _installed(value):
            yield name.encode()
        elif isinstance(value, types.FunctionType):
            yield from self._function(value)
        elif isinstance(value, types.MethodType):
            yield from map(self.of, (value.__func__, value.__self__))
        elif isinstance(value, types.CellType):
            # A name that is bound later than the function that uses it.
            yield from map(self.of, () if value == types.CellType() else (value.cell_contents,))
        elif isinstance(value, types.ModuleType):
            yield value.__name__.encode()
        elif isinstance(value, type):
            yield from self._class(value)
        elif isinstance(value, property):
            yield from map(self.of, (value.fget, value.fset, value.fdel))
        elif callable(inner := getattr(value, "__wrapped__", getattr(value, "func", None))):
            yield self.of(inner)
            yield from map(self.of, (getattr(value, "args", ()), getattr(value, "keywords", {})))
        else:
            yield from self._reduced(value)

    def _function(self, function: types.FunctionType) -> Iterator[bytes]:
        code = function.__code__
        yield from map(self.of, (code, function.__defaults__, function.__kwdefaults__))
        yield from map(self.of, function.__closure__ or ())
        names = sorted(set(_names(code)))
        for name in names:
            if name not in function.__globals__:
                continue
            value = function.__globals__[name]
            yield name.encode()
            yield self.of(value)
            if isinstance(value, types.ModuleType) and not _installed(value):
                # One of the user's: what is taken from it is what counts.
                yield self.of([getattr(value, each) for each in names if hasattr(value, each)])

    def _class(self, value: type) -> Iterator[bytes]:
        yield value.__qualname__.encode()
        yield from map(self.of, value.__bases__)
        for name, own in vars(value).items():
            is_own = not isinstance(own, types.MemberDescriptorType | types.GetSetDescriptorType)
            if is_own and not name.startswith("_abc_") and (callable(own) or name[:2] != "__"):
                yield name.encode()
                yield self.of(own)

    def _reduced(self, value: Any) -> Iterator[bytes]:
        try:
            reduced = value.__reduce_ex__(4)
        # Whatever a class of the user's raises where it cannot be pickled.
        except Exception as error:
            raise ValueError(
                f"it computes with {value!r}, which cannot be pickled ({error}); let it compute "
                "with numbers and arrays, or take this as an argument"
            ) from error
        if isinstance(reduced, str):
            yield reduced.encode()
            return
        yield from map(self.of, reduced[:3])
        # What is put into a subclass of list or dict comes as iterators.
        yield from (self.of(list(rest)) for rest in reduced[3:5] if rest is not None)


def _hashed(*pieces: bytes) -> bytes:
    hashed = hashlib.sha256()
    for piece in pieces:
        # Each with its length, so that no two run together.
        hashed.update(b"%d:" % len(piece) + piece)
    return hashed.digest()


def _names(code: types.CodeType) -> Iterator[str]:
    """Names of globals and attributes in a function, and in those that are defined in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _installed(value: Any) -> str:
    """Name and version of what comes with Python or an installed package, "" for all else."""
    if isinstance(value, types.ModuleType):
        module, name = value.__name__, ""
    elif callable(value) and isinstance(getattr(value, "__qualname__", None), str):
        module, name = getattr(value, "__module__", None) or "", value.__qualname__
        if "<locals>" in name:
            return ""
    else:
        return ""
    top = module.partition(".")[0]
    if top == "builtins" or (top in sys.stdlib_module_names and top != "__main__"):
        return f"{module}.{name}"
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    if "site-packages" not in PurePath(file).parts and "dist-packages" not in PurePath(file).parts:
        return ""
    try:
        version = importlib.metadata.version(top)
    except importlib.metadata.PackageNotFoundError:
        version = ""
    return f"{module}.{name} {version}"
