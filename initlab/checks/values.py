"""Checks of values: numbers, counts, dtypes and arrays."""

import math
import numbers
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

__all__ = [
    "TracedError",
    "check_count",
    "check_dtype",
    "check_examples",
    "check_integer",
    "check_known",
    "check_matrix",
    "check_number",
    "check_real",
    "check_scale",
    "check_width",
    "is_concrete",
    "is_hashable",
]


class TracedError(TypeError):
    """An argument is traced where its value decides; `checked` names those of the call."""


def is_concrete(value: Any) -> bool:
    """Whether a value is known now; a tracer's is known only when the compiled program runs.

    >>> is_concrete(1.0), jax.eval_shape(lambda x: x if is_concrete(x) else x[None], 1.0).shape
    (True, (1,))
    """
    return not isinstance(value, Tracer)


def is_hashable(*values: Any) -> bool:
    """Whether values can be keys of a cache; a module or a partial that holds arrays cannot.

    >>> is_hashable(jnp.tanh, 3), is_hashable([jnp.tanh])
    (True, False)
    """
    try:
        hash(values)
    except TypeError:
        return False
    return True


def check_dtype(dtype: Any) -> np.dtype:
    """The floating dtype of a network's params; raises for another, or one that is turned off."""
    if isinstance(dtype, jax.Array | np.ndarray):
        raise TypeError("dtype must be floating, as jnp.float32, got an array: give its .dtype")
    try:
        is_floating = dtype is not None and jnp.issubdtype(dtype, jnp.floating)
    except TypeError as error:
        raise TypeError(f"dtype must be floating, got {dtype!r:.80}") from error
    if not is_floating:
        raise TypeError(f"dtype must be floating, got {dtype}")
    # JAX would make float32 of it, with a warning at most.
    if jax.dtypes.canonicalize_dtype(dtype) != dtype:
        raise ValueError(f"dtype {np.dtype(dtype)} requires jax_enable_x64, which is off")
    return np.dtype(dtype)


def check_width(name: str, value: Any) -> None:
    """Raises ValueError for an int of Python's that JAX's default integers do not hold.

    >>> check_width("target", 2**70)
    Traceback (most recent call last):
    ValueError: target must hold numbers of 32 bits, got 1180591620717411303424
    """
    if isinstance(value, int) and not -(2**31) <= value < 2**31:
        raise ValueError(f"{name} must hold numbers of 32 bits, got {str(value)[:40]}")


def check_integer(name: str, value: Any) -> None:
    """Raises TypeError unless value is an integer, and known."""
    if not is_concrete(value):
        raise TracedError(f"{name} must be a known integer, got a traced {value.dtype}")
    # A bool is an Integral for Python, and `depth=True` a mistake.
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}")


def check_known(name: str, tree: Any, function: str) -> None:
    """Raises TypeError if a leaf of the tree is traced, where the function needs its value.

    >>> check_known("share", 0.5, "format_share")
    """
    if not all(map(is_concrete, jax.tree.leaves(tree))):
        raise TracedError(
            f"{name} must be known when {function} is called, got traced arrays: call it outside "
            "of jit, vmap and grad"
        )


def check_count(name: str, value: Any, least: int) -> None:
    """Raises unless value is an integer of at least `least`."""
    check_integer(name, value)
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    # No array has more entries along an axis, and no seed of NumPy's is larger.
    if value >= 2**32:
        raise ValueError(f"{name} must be under 2^32, got {str(value)[:40]}")


def check_number(name: str, value: Any) -> None:
    """Raises unless value is one finite real number; a traced value is not checked."""
    check_real(name, value)
    if not is_concrete(value):
        return
    try:
        is_finite = math.isfinite(float(value))
    except OverflowError:
        # An int of Python's that no float holds.
        is_finite = False
    if not is_finite:
        raise ValueError(f"{name} must be finite, got {str(value)[:40]}")


def check_real(name: str, value: Any) -> None:
    """Raises TypeError unless value is one real number, which may be traced, infinite or NaN."""
    if not is_concrete(value):
        if value.shape != ():
            raise TypeError(f"{name} must be a number, got an array of shape {value.shape}")
        return
    is_scalar = isinstance(value, numbers.Real) or (
        isinstance(value, jax.Array | np.ndarray | np.generic)
        and value.shape == ()
        and (jnp.issubdtype(value.dtype, jnp.integer) or jnp.issubdtype(value.dtype, jnp.floating))
    )
    if isinstance(value, bool) or not is_scalar:
        raise TypeError(f"{name} must be a number, got {value!r}")


def check_scale(name: str, value: Any) -> None:
    """Raises unless value is one finite number of at least 0; a traced value is not checked."""
    check_number(name, value)
    if is_concrete(value) and float(value) < 0:
        raise ValueError(f"{name} must be at least 0, got {value}")


def check_matrix(name: str, value: Any, columns: int) -> Any:
    """Value as an array; raises unless it is [B, columns] of real numbers, B at least 1."""
    value = _real(name, value)
    shape = np.shape(value)
    if len(shape) != 2 or shape[0] == 0:
        raise ValueError(f"{name} must have shape [B, {columns}], got {shape}")
    if shape[1] != columns:
        raise ValueError(f"{name} must have {columns} columns, got shape {shape}")
    return value


def check_examples(
    name: str, value: Any, *layouts: str, fits: Callable[[tuple[int, ...]], bool]
) -> Any:
    """Value as an array; raises unless it holds real numbers and its shape is one that fits."""
    value = _real(name, value)
    shape = np.shape(value)
    if not shape or shape[0] == 0 or not fits(shape):
        raise ValueError(f"{name} must have shape {' or '.join(layouts)}, got {shape}")
    return value


def _real(name: str, value: Any) -> Any:
    if not hasattr(value, "dtype"):
        value = np.asarray(value)
    is_real = jnp.issubdtype(value.dtype, jnp.floating) or jnp.issubdtype(value.dtype, jnp.integer)
    if not is_real and value.dtype != bool:
        raise TypeError(f"{name} must hold real numbers, got {value.dtype}")
    return value
