"""Checks of functions that a caller gives: what they take, and what they raise when called."""

import contextlib
import dis
import inspect
import traceback
import types
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from initlab.checks.values import TracedError
from initlab.frameworks import mutation_hint
from initlab.types import ParamSpec

__all__ = ["called", "calling", "check_callable", "check_function", "raising_frame"]

SPEC = (jax.Array, ParamSpec)
"""What an initializer takes."""

BRANCHES = (jax.errors.ConcretizationTypeError, jax.errors.NonConcreteBooleanIndexError)
"""What JAX raises for Python that asks for a traced value: an if, a while, a float()."""

RAISE = dis.opmap["RAISE_VARARGS"]


def called(function: Any) -> str:
    """What a function is called, for a message.

    >>> called(len), called(3)
    ('len', '3')
    """
    return getattr(function, "__name__", None) or repr(function)[:80]


def check_callable(name: str, value: Any) -> None:
    """Raises TypeError unless value can be called."""
    if not callable(value):
        raise TypeError(f"{name} must be a function, got {value!r:.200}")


def check_function(name: str, value: Any, takes: Sequence[Any]) -> None:
    """Raises TypeError unless value is a function that can be called with as many arguments.

    Args:
      name: the argument's.
      value: what is given.
      takes: the types of a call's arguments, as in `Callable[[...], ...]`.

    Raises:
      TypeError: with the fix where it is known: a maker of initializers in place of what it makes,
        an initializer of JAX's in place of one of initlab's, or in place of a function of a point.

    >>> from initlab.initializers import he_normal
    >>> check_function("weight", he_normal, (jax.Array, ParamSpec))
    Traceback (most recent call last):
    TypeError: weight must be a function of (key, spec), got he_normal, which takes ():
    he_normal(...) makes one
    """
    if not callable(value) and _is_optimizer(value):
        argument = _noun(takes[0]) if takes else ""
        argument = "rate" if argument in ("array", "number", "float", "value") else argument
        rate = argument if argument == "rate" else "0.1"
        raise TypeError(
            f"{name} must be a function of {argument or 'nothing'} that makes an optimizer, got an "
            f"optimizer: write {name}=lambda {argument}: optax.sgd({rate})"
        )
    check_callable(name, value)
    wanted = f"({', '.join(map(_noun, takes))})"
    if tuple(takes) in ((Any,), (jax.Array,)):
        wanted = "one array"
    elif tuple(takes) == (Any, Any):
        wanted = "(params, batch)"
    elif tuple(takes) == SPEC:
        wanted = "(key, spec)"
    # The signature of NumPy's takes as many again, in which the result is written.
    if isinstance(value, np.ufunc) and value.nin != len(takes):
        raise TypeError(
            f"{name} must be a function of {wanted}, got {called(value)}, which takes "
            f"{value.nin} array{'s' if value.nin > 1 else ''}"
        )
    try:
        signature = inspect.signature(value)
    # Some built-in functions have none that Python can tell; such a class makes no arrays.
    except (TypeError, ValueError):
        if isinstance(value, type):
            raise TypeError(
                f"{name} must be a function of {wanted}, got the class {called(value)}"
            ) from None
        return
    names = list(signature.parameters)
    if tuple(takes) == SPEC and names[:2] == ["key", "shape"]:
        raise TypeError(
            f"{name} must be a function of (key, spec), got JAX's {called(value)}(key, shape, "
            "dtype): initlab.initializers has the same schemes by fans, or wrap it as "
            "lambda key, spec: f(key, spec.shape, spec.dtype)"
        )
    try:
        signature.bind(*takes)
    except TypeError:
        raise TypeError(
            f"{name} must be a function of {wanted}, got {called(value)}, which takes "
            f"({', '.join(names)}){_fix(name, value, names, tuple(takes))}"
        ) from None


def _is_optimizer(value: Any) -> bool:
    """Whether it is an optax transformation, made already."""
    return callable(getattr(value, "init", None)) and callable(getattr(value, "update", None))


def _fix(name: str, value: Any, names: list[str], takes: tuple[Any, ...]) -> str:
    if takes == SPEC and str(getattr(value, "__module__", "")).startswith("initlab.initializers"):
        return f": {called(value)}(...) makes one"
    if len(takes) == 1 and names == ["key", "spec"]:
        return f": write {name}=lambda {_noun(takes[0])}: ... around the initializer"
    return ""


def _noun(kind: Any) -> str:
    if getattr(kind, "__name__", "") == "Mapping" or "Mapping" in str(kind):
        return "point"
    known = {jax.Array: "array", int: "number", Any: "value"}
    try:
        return known.get(kind) or getattr(kind, "__name__", "value").lower()
    except TypeError:
        return "value"


@contextlib.contextmanager
def calling(name: str, call: str, function: Any = None) -> Iterator[None]:
    """Where a caller's function raises, names it and the call; its own error is the cause.

    Args:
      name: the argument that the function was given as.
      call: what it was called with, in words.
      function: itself, where what the lab refuses within it is to name the call too: a model of the
        lab's own calls the batch x, which is no word of the caller's.

    Raises:
      ValueError: if it raised one.
      TypeError: for any other exception; where it asked for the value of a traced array, with the
        functions of JAX that choose by value.

    >>> with calling("apply", "(params, batch)"):
    ...     jax.eval_shape(lambda x: 1.0 if x > 0 else 0.0, 1.0)
    Traceback (most recent call last):
    TypeError: apply must be a function that JAX can trace, and called with (params, batch) it asks
    for the value of a traced array (TracerBoolConversionError): choose by value with jnp.where or
    jax.lax.cond, and compute with jnp instead of np
    """
    try:
        yield
    except MemoryError:
        # Of the sizes that were asked for, not of the function.
        raise
    except Exception as error:
        sort = ValueError if isinstance(error, ValueError) else TypeError
        if _is_refusal(error):
            if not _is_raised_within(function, error):
                raise
            raise sort(f"{name} refused {call}: {error}") from error
        kind = type(error).__name__
        if isinstance(error, (*BRANCHES, jax.errors.TracerArrayConversionError)):
            raise TypeError(
                f"{name} must be a function that JAX can trace, and called with {call} it asks for "
                f"the value of a traced array ({kind}): choose by value with jnp.where or "
                "jax.lax.cond, and compute with jnp instead of np"
            ) from error
        said = next(iter(str(error).splitlines()), "")
        said += mutation_hint(error)
        raise sort(f"{name} raised {kind} when called with {call}: {said}") from error


def _is_raised_within(function: Any, error: Exception) -> bool:
    code = None if function is None else getattr(inspect.unwrap(function), "__code__", None)
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(frame.f_code is code for frame in frames) and not isinstance(error, TracedError)


def raising_frame(error: BaseException) -> types.FrameType | None:
    """The frame whose `raise` raised an error; None where an operation failed, or JAX raised it.

    A check of the lab raises by `raise`; a fault of the lab's own, as None + 1, fails at another
    instruction. Where JAX raised within code of the lab, JAX has cut its own frames off: the last
    one is the lab's too, but at a call.

    >>> def refuse(): raise ValueError("n must be over 0")
    >>> for function in (refuse, lambda: None + 1):
    ...     try: function()
    ...     except Exception as error: print(raising_frame(error) is not None)
    True
    False
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or trace.tb_frame.f_code.co_code[trace.tb_lasti] != RAISE:
        return None
    return trace.tb_frame


def _is_refusal(error: Exception) -> bool:
    """Whether a `raise` of initlab's raised it: its message is clear as it is."""
    frame = raising_frame(error)
    return frame is not None and str(frame.f_globals.get("__name__", "")).startswith("initlab.")
