"""Errors at the door: each check names what was given and what is wanted."""

import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from initlab.types import ParamSpec

__all__ = [
    "check_activation",
    "check_array",
    "check_callable",
    "check_count",
    "check_dtype",
    "check_examples",
    "check_matrix",
    "check_number",
    "check_params",
    "check_rank_at_least",
    "check_scale",
    "is_concrete",
    "path_name",
]


def is_concrete(value: Any) -> bool:
    """Whether a value can be looked at now, or is only known once compiled code runs."""
    return not isinstance(value, Tracer)


def path_name(tree_path: Sequence[Any]) -> str:
    """A pytree path as "layer_1/weight"."""
    return jax.tree_util.keystr(tuple(tree_path), simple=True, separator="/")


def check_callable(name: str, value: Any) -> None:
    """Raises TypeError unless value can be called."""
    if not callable(value):
        raise TypeError(f"{name} must be a function, got {value!r}")


def check_activation(name: str, value: Any, dtype: Any) -> None:
    """Raises TypeError unless value takes an array of the dtype and gives one of its shape."""
    check_callable(name, value)
    given = jax.ShapeDtypeStruct((2, 3), dtype)
    try:
        back = jax.eval_shape(value, given)
    except Exception as error:
        raise TypeError(f"{name} must be a function of one array, got {value!r}") from error
    if getattr(back, "shape", None) != given.shape:
        raise TypeError(f"{name} must give an array of its argument's shape, got {value!r}")


def check_dtype(dtype: Any) -> np.dtype:
    """The floating dtype of a network's params; raises for another, or one that is turned off."""
    if dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"dtype must be floating, got {dtype}")
    if jax.dtypes.canonicalize_dtype(dtype) != dtype:
        raise ValueError(f"dtype {np.dtype(dtype)} wants jax_enable_x64, which is off")
    return np.dtype(dtype)


def check_count(name: str, value: Any, least: int) -> None:
    """Raises unless value is an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def check_number(name: str, value: Any) -> None:
    """Raises unless value is one finite real number; a traced one is taken on trust."""
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
    try:
        is_finite = math.isfinite(float(value))
    except OverflowError:
        is_finite = False
    if not is_finite:
        raise ValueError(f"{name} must be finite, got {str(value)[:40]}")


def check_scale(name: str, value: Any) -> None:
    """Raises unless value is one finite number of at least 0; a traced one is taken on trust."""
    check_number(name, value)
    if is_concrete(value) and float(value) < 0:
        raise ValueError(f"{name} must be at least 0, got {value}")


def check_rank_at_least(name: str, spec: ParamSpec, rank: int) -> None:
    """Raises ValueError unless the spec has at least `rank` axes."""
    if len(spec.shape) < rank:
        raise ValueError(
            f"{name} wants at least {rank} axes, got shape {spec.shape} for {spec.path!r}"
        )


def check_matrix(name: str, value: Any, columns: int) -> Any:
    """Value as an array; raises unless it is [B, columns] of real numbers, B at least 1."""
    value = _real(name, value)
    shape = np.shape(value)
    if len(shape) != 2 or shape[0] == 0:
        raise ValueError(f"{name} must have shape [B, {columns}], got {shape}")
    if shape[1] != columns:
        raise ValueError(f"{name} must have {columns} columns, got shape {shape}")
    return value


def check_examples(name: str, value: Any, *layouts: str, fits: Callable[[tuple], bool]) -> Any:
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


def check_array(path: str, value: Any, spec: ParamSpec) -> None:
    """Raises unless value is an array of the spec's shape and dtype."""
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        raise TypeError(f"params[{path!r}] must be an array, got {type(value).__name__}")
    if tuple(value.shape) != tuple(spec.shape):
        raise ValueError(
            f"params[{path!r}] must have shape {tuple(spec.shape)}, got {tuple(value.shape)}"
        )
    if value.dtype != spec.dtype:
        raise ValueError(f"params[{path!r}] must be {np.dtype(spec.dtype)}, got {value.dtype}")


def check_params(params: Any, specs: Any) -> None:
    """Raises unless params has the specs' tree, shapes and dtypes; names the path that is off."""
    given = dict(_leaves_by_path(params))
    wanted = dict(_leaves_by_path(specs))
    if missing := [path for path in wanted if path not in given]:
        raise ValueError(f"params lack {missing}; they must hold {list(wanted)}")
    if unknown := [path for path in given if path not in wanted]:
        raise ValueError(f"params hold {unknown}, which the network lacks; it has {list(wanted)}")
    for path, spec in wanted.items():
        check_array(path, given[path], spec)


def _leaves_by_path(tree: Any) -> list[tuple[str, Any]]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(path_name(path), leaf) for path, leaf in leaves]
