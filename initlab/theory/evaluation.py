"""The door of the theory: numbers are checked, broadcast, and computed in float64 where possible.

Numbers that can be looked at are computed in float64, whatever `jax_enable_x64` says, and are returned
as NumPy float64, because a float64 `jax.Array` outside of x64 mode is cut down, with a warning, by
the next operation. Traced numbers stay in their own dtype, since the program around them does:
float64 under `jax.enable_x64(True)`, else float32, to about six digits.
"""

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks

__all__ = ["compute", "evaluate", "in_batches", "in_float64"]

BATCH = 64
"""Points computed together; more take turns, so that memory stays bounded."""

CORRELATIONS = frozenset({"c", "c0", "correlation"})
"""Names of numbers in [-1, 1]; all others are at least 0."""


def evaluate(function: Callable[..., Any], static: tuple, numbers: Mapping[str, Any]) -> Any:
    """`function(*static, *numbers)` of single numbers, over all entries of arrays of them.

    Args:
      function: from static arguments and scalars to a pytree of arrays.
      static: hashable arguments.
      numbers: by name, scalars or arrays that broadcast against each other as NumPy's do.

    Returns:
      The pytree; each leaf has the broadcast shape in front of its own.

    Raises:
      TypeError: if a number is not real, or a static argument cannot be hashed.
      ValueError: if a number is negative or not finite, or a correlation outside [-1, 1].
    """
    return compute(_each, (function, *static), numbers)


def compute(function: Callable[..., Any], static: tuple, numbers: Mapping[str, Any]) -> Any:
    """`function(*static, *numbers)` of arrays as they are; else like `evaluate`."""
    for name, value in numbers.items():
        _check(name, value)
    if all(map(checks.is_concrete, numbers.values())):
        values = tuple(np.asarray(value, np.float64) for value in numbers.values())
        return in_float64(_program, function, static, values)
    dtype = _traced_dtype(numbers)
    return _program(function, static, tuple(jnp.asarray(each, dtype) for each in numbers.values()))


def in_batches(function: Callable[..., Any], arrays: Sequence[jax.Array], batch: int) -> Any:
    """`jax.vmap(function)(*arrays)`, so many entries at a time, so that memory stays bounded."""
    size = arrays[0].shape[0]
    batch = min(batch, size)
    blocks = [jnp.pad(each, (0, -size % batch), mode="edge").reshape(-1, batch) for each in arrays]
    out = jax.lax.map(lambda each: jax.vmap(function)(*each), blocks)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:size], out)


def in_float64(function: Callable[..., Any], *args: Any) -> Any:
    """`function(*args)` in x64 mode, at once also inside a trace; its arrays as NumPy's."""
    # Only where a trace would catch the call: under it a program's constants are computed one
    # operation at a time while it is traced, which takes seconds.
    traced = not checks.is_concrete(jnp.zeros(()))
    at_once = jax.ensure_compile_time_eval() if traced else contextlib.nullcontext()
    with at_once, jax.enable_x64(True):
        return jax.tree.map(lambda leaf: np.asarray(leaf)[()], function(*args))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _program(function: Callable[..., Any], static: tuple, numbers: tuple[jax.Array, ...]) -> Any:
    return function(*static, *numbers)


def _each(function: Callable[..., Any], *args: Any) -> Any:
    numbers = [each for each in args if isinstance(each, jax.Array)]
    static = args[: len(args) - len(numbers)]
    shape = np.broadcast_shapes(*(number.shape for number in numbers))
    if not shape:
        return function(*args)
    if 0 in shape:
        raise ValueError(f"numbers must not be empty, got shape {shape}")
    flat = [jnp.ravel(_broadcast(number, shape)) for number in numbers]
    out = in_batches(functools.partial(function, *static), flat, BATCH)
    return jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), out)


def _broadcast(number: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return jnp.broadcast_to(number.reshape((1,) * (len(shape) - number.ndim) + number.shape), shape)


def _traced_dtype(numbers: Mapping[str, Any]) -> Any:
    dtypes = [
        value.dtype
        for value in numbers.values()
        if not checks.is_concrete(value) and jnp.issubdtype(value.dtype, jnp.floating)
    ]
    # Below float32 the densities of the quadrature underflow.
    return max([*dtypes, np.dtype(np.float32)], key=lambda dtype: jnp.finfo(dtype).bits)


def _check(name: str, value: Any) -> None:
    wanted = "a correlation in [-1, 1]" if name in CORRELATIONS else "at least 0"
    dtype = value.dtype if hasattr(value, "dtype") else np.asarray(value).dtype
    if not (jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)):
        raise TypeError(f"{name} must be real numbers, got {value!r}")
    if not checks.is_concrete(value):
        return
    numbers = np.asarray(value, np.float64)
    inside = (np.abs(numbers) <= 1) if name in CORRELATIONS else (numbers >= 0) & (numbers < np.inf)
    if not inside.all():
        raise ValueError(f"{name} must be {wanted}, got {numbers[~inside].ravel()[0]}")
