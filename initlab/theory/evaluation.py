"""Input validation, broadcasting and float64 for every function of the theory.

Concrete numbers are computed in float64, whatever `jax_enable_x64` says, and returned as NumPy
float64, because a float64 `jax.Array` outside of x64 mode is cut down, with a warning, by the next
operation. Traced numbers stay in their own dtype, since the program around them does: float64 under
`jax.enable_x64(True)`, else float32, to about six digits.
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
"""Points computed at a time; more follow one batch after another: memory stays bounded."""

CORRELATIONS = frozenset({"c", "c0", "correlation"})
"""Names of numbers in [-1, 1]; all others are at least 0."""


def evaluate(
    function: Callable[..., Any], static: tuple[Any, ...], numbers: Mapping[str, Any]
) -> Any:
    """`function(*static, *numbers)` of single numbers, over all entries of arrays of them.

    Args:
      function: from static arguments and scalars to a pytree of arrays.
      static: hashable arguments.
      numbers: by name, scalars or arrays that broadcast against each other as NumPy's do.

    Returns:
      The pytree; each leaf has the broadcast shape in front of its own.

    Raises:
      TypeError: if a number is not real, or a static argument cannot be hashed.
      ValueError: if a number is negative or not finite, a correlation outside [-1, 1], or an array
        empty.

    >>> evaluate(jnp.maximum, (), {"q": [1.0, 4.0], "sigma_w2": 2.0}).tolist()
    [2.0, 4.0]
    """
    return compute(_each, (function, *static), numbers)


def compute(
    function: Callable[..., Any], static: tuple[Any, ...], numbers: Mapping[str, Any]
) -> Any:
    """`function(*static, *numbers)` of whole arrays: `evaluate` without its broadcasting.

    Args:
      function: from static arguments and arrays to a pytree of arrays.
      static: hashable arguments.
      numbers: by name, scalars or arrays of the shapes that function takes.

    Returns:
      The pytree, NumPy float64; traced in the widest dtype of the traced numbers, if there are any.

    Raises:
      TypeError: if a number is not real, or a static argument cannot be hashed.
      ValueError: if a number is negative or not finite, or a correlation outside [-1, 1].

    >>> compute(jnp.cumsum, (), {"variances": [1.0, 2.0]}).tolist()
    [1.0, 3.0]
    """
    for name, value in numbers.items():
        _check(name, value)
    if all(map(checks.is_concrete, numbers.values())):
        values = tuple(np.asarray(value, np.float64) for value in numbers.values())
        # By one jitted program a function and its static arguments, as below: other numbers of the
        # same shapes compile nothing.
        return in_float64(_program, function, static, values)
    dtype = _traced_dtype(numbers)
    return _program(function, static, tuple(jnp.asarray(each, dtype) for each in numbers.values()))


def in_batches(function: Callable[..., Any], arrays: Sequence[jax.Array], batch: int) -> Any:
    """`jax.vmap(function)(*arrays)`, `batch` entries at a time, so that memory stays bounded.

    Args:
      function: from scalars to a pytree of arrays.
      arrays: [N] each, N at least 1.
      batch: how many entries are computed together.

    Returns:
      The pytree, with N in front of each leaf's own shape.

    >>> in_batches(jnp.square, [jnp.arange(5.0)], 2).tolist()
    [0.0, 1.0, 4.0, 9.0, 16.0]
    """

    def of_block(block: Sequence[jax.Array]) -> Any:
        return jax.vmap(function)(*block)

    def without_padding(leaf: jax.Array) -> jax.Array:
        return leaf.reshape(-1, *leaf.shape[2:])[:size]

    size = arrays[0].shape[0]
    batch = min(batch, size)
    # Padded by copies of the last entry: zeros may be a harder problem than any that was given, and
    # a loop under vmap takes as many steps as its slowest entry.
    blocks = [jnp.pad(each, (0, -size % batch), mode="edge").reshape(-1, batch) for each in arrays]
    return jax.tree.map(without_padding, jax.lax.map(of_block, blocks))


def in_float64(function: Callable[..., Any], *args: Any) -> Any:
    """`function(*args)` in x64 mode, evaluated immediately also inside a trace.

    Args:
      function: from concrete arguments to a pytree of arrays.
      *args: its arguments.

    Returns:
      The pytree, its arrays as NumPy's, those of no axes as NumPy scalars.

    >>> float(in_float64(jnp.sqrt, 2.0)) == 2**0.5
    True
    """

    def as_numpy(leaf: jax.Array) -> Any:
        return np.asarray(leaf)[()]

    # Where the caller is being traced, jit's call would be staged into its program and there would
    # be no numbers to return: ensure_compile_time_eval computes them while tracing. Only there,
    # since it computes a program's constants one operation at a time, which takes seconds.
    traced = not checks.is_concrete(jnp.zeros(()))
    evaluation = jax.ensure_compile_time_eval() if traced else contextlib.nullcontext()
    with evaluation, jax.enable_x64(True):
        return jax.tree.map(as_numpy, function(*args))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _program(
    function: Callable[..., Any], static: tuple[Any, ...], numbers: tuple[jax.Array, ...]
) -> Any:
    return function(*static, *numbers)


def _each(function: Callable[..., Any], *args: Any) -> Any:
    # Static arguments and numbers come in one row, as `_program` calls; only numbers are arrays.
    numbers = [each for each in args if isinstance(each, jax.Array)]
    static = args[: len(args) - len(numbers)]
    shape = np.broadcast_shapes(*(number.shape for number in numbers))
    if not shape:
        return function(*args)
    if 0 in shape:
        raise ValueError(f"numbers must not be empty, got shape {shape}")
    flat = [jnp.ravel(_broadcast(number, shape)) for number in numbers]

    def unflatten(leaf: jax.Array) -> jax.Array:
        return leaf.reshape(*shape, *leaf.shape[1:])

    return jax.tree.map(unflatten, in_batches(functools.partial(function, *static), flat, BATCH))


def _broadcast(number: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    # The axes are added here: jax_numpy_rank_promotion may forbid JAX to add them itself.
    return jnp.broadcast_to(number.reshape((1,) * (len(shape) - number.ndim) + number.shape), shape)


def _traced_dtype(numbers: Mapping[str, Any]) -> Any:

    def bits(dtype: Any) -> int:
        return jnp.finfo(dtype).bits

    dtypes = [
        value.dtype
        for value in numbers.values()
        if not checks.is_concrete(value) and jnp.issubdtype(value.dtype, jnp.floating)
    ]
    # Below float32 the densities of the quadrature underflow.
    return max([*dtypes, np.dtype(np.float32)], key=bits)


def _check(name: str, value: Any) -> None:
    required = "a correlation in [-1, 1]" if name in CORRELATIONS else "at least 0"
    checks.check_reals(name, value)
    if 0 in np.shape(value):
        raise ValueError(f"{name} must not be empty, got shape {np.shape(value)}")
    # A traced number has a dtype to check, but no value yet.
    if not checks.is_concrete(value):
        return
    numbers = np.asarray(value, np.float64)
    inside = (np.abs(numbers) <= 1) if name in CORRELATIONS else (numbers >= 0) & (numbers < np.inf)
    if name == "width":
        required, inside = "at least 1", inside & (numbers >= 1)
    if not inside.all():
        raise ValueError(f"{name} must be {required}, got {numbers[~inside].ravel()[0]}")
