"""Activations given as functions: the check that they are elementwise, and their slopes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.programs.elementwise import find_mixing
from initlab.types import Activation

__all__ = ["SATURATED_SLOPE", "check_activation", "identity", "max_slope", "slope"]

SATURATED_SLOPE = 0.01
"""A unit is saturated on an example where its slope is under this share of the largest slope."""


OTHERS = (0.0, 0.3, -5.0, 5.0, -1e3, 1e3, np.nan)
"""What the other entries are set to, to see whether an entry's value takes notice."""


def check_activation(
    name: str,
    value: Any,
    dtype: Any,
    *,
    shape: tuple[int, ...] = (2, 3),
    mixing: type[Exception] = TypeError,
) -> None:
    """Raises unless value is a function that takes each entry of an array to a real number.

    The traced program is read (`find_mixing`). Where an operation in it could take entries
    together, the function is computed: an entry's value must not change with the other entries, nor
    with its place.

    Args:
      name: the argument's, for the error.
      value: what is given as an activation; it may hold traced numbers.
      dtype: floating, of the array that it is traced with.
      shape: of that array.
      mixing: the exception for a function of arrays that is not elementwise.

    Raises:
      TypeError: if value is not a function of one array of JAX.
      mixing: if its result has another shape or is not floating, or an entry of it depends on the
        other entries or on its place.

    >>> check_activation("activation", jnp.tanh, np.float32)
    >>> check_activation("activation", jax.nn.softmax, np.float32)
    Traceback (most recent call last):
    TypeError: activation must be elementwise, got softmax: it mixes the entries (reduce_max)
    """
    checks.check_callable(name, value)
    called = getattr(value, "__name__", None) or repr(value)
    given = jax.ShapeDtypeStruct(shape, dtype)
    try:
        program, back = jax.make_jaxpr(value, return_shape=True)(given)
    except jax.errors.TracerArrayConversionError as error:
        hint = f"jnp.{called}" if isinstance(value, np.ufunc) else "jnp.tanh, not np.tanh"
        raise TypeError(
            f"{name} must be made of JAX's functions ({hint}), got {value!r}, which calls NumPy's"
        ) from error
    except jax.errors.ConcretizationTypeError as error:
        raise TypeError(
            f"{name} must choose by value with jnp.where, got {called}, which asks for the value "
            f"of a traced array ({type(error).__name__})"
        ) from error
    # Whatever a function of another kind raises: the message names the argument instead.
    except Exception as error:
        raise TypeError(f"{name} must be a function of one array, got {value!r}") from error
    if getattr(back, "shape", None) != shape:
        raise mixing(
            f"{name} must give an array of its argument's shape, got {value!r}, which takes shape "
            f"{shape} to {back!r:.60}, not to real numbers of its shape"
        )
    if not jnp.issubdtype(back.dtype, jnp.floating):
        raise mixing(f"{name} must give real numbers of its shape, got {back.dtype} from {called}")
    by = find_mixing(program)
    if by is not None and not _is_elementwise_in_numbers(value, program, shape, dtype):
        raise mixing(f"{name} must be elementwise, got {called}: it mixes the entries ({by})")


def _is_elementwise_in_numbers(
    function: Callable[[Any], jax.Array], program: Any, shape: tuple[int, ...], dtype: Any
) -> bool:
    """Whether an entry's value is the same beside any others and in any place; traced: False."""
    if not all(map(checks.is_concrete, program.consts)):
        return False
    entries = np.linspace(-1.7, 2.3, int(np.prod(shape)))
    tolerance = 64 * float(jnp.finfo(dtype).eps)

    def at(values: np.ndarray) -> np.ndarray:
        return np.asarray(jitted(jnp.asarray(values.reshape(shape), dtype))).ravel()

    with jax.ensure_compile_time_eval():
        jitted = jax.jit(function)
        together = at(entries)
        for place, entry in enumerate(entries):
            alike = at(np.full_like(entries, entry))
            beside = [
                at(np.where(np.arange(entries.size) == place, entry, other))[place]
                for other in OTHERS
            ]
            values = np.asarray([*alike, *beside], np.float64)
            if not np.allclose(values, together[place], tolerance, tolerance, equal_nan=True):
                return False
    return True


@checks.checked
def identity(z: jax.Array) -> jax.Array:
    """`phi(z) = z`: the activation of a linear layer.

    >>> identity(jnp.ones(2)).tolist()
    [1.0, 1.0]
    """
    return z


@checks.checked
def slope(activation: Activation, z: jax.Array) -> jax.Array:
    """`phi'(z)`, entry by entry.

    Args:
      activation: an elementwise function.
      z: pre-activations, any shape.

    Returns:
      The derivatives, in z's shape and dtype.

    Raises:
      TypeError: if activation is not an elementwise function, or z not floating.

    >>> slope(jnp.tanh, jnp.zeros((2,))).tolist()
    [1.0, 1.0]
    """
    z = jnp.asarray(z)
    if not jnp.issubdtype(z.dtype, jnp.floating):
        raise TypeError(f"z must be floating, got {z.dtype}")
    check_activation("activation", activation, z.dtype)
    return jax.jvp(activation, (z,), (jnp.ones_like(z),))[1]


@checks.checked
def max_slope(activation: Activation) -> float:
    """`max |phi'(z)|` over a fine grid of z in [-20, 20], both sides of a kink included.

    An activation whose slope grows without bound, as that of exp or of a square, has none.

    Args:
      activation: an elementwise function.

    Returns:
      The largest absolute slope: 1 for tanh and relu, 1/4 for sigmoid.

    Raises:
      TypeError: if activation is not an elementwise function.
      ValueError: if its slope is larger on [-40, 40]: it has no largest one.

    >>> round(max_slope(jax.nn.sigmoid), 6)
    0.25
    """
    with jax.ensure_compile_time_eval():
        # 0 by itself, where most kinks lie: the middle of the grid may be rounded off it.
        z = jnp.append(jnp.linspace(-20.0, 20.0, 4001), 0.0)
        largest, beyond = (float(jnp.max(jnp.abs(slope(activation, by * z)))) for by in (1, 2))
    # A slope that only settles there, as of softplus, differs by rounding.
    if not beyond <= 1.01 * largest:
        raise ValueError(
            "activation must have a largest slope, got one whose slope grows from "
            f"{largest:.4g} on [-20, 20] to {beyond:.4g} on [-40, 40]"
        )
    return largest
