"""Checks of nouns: what a thing must be, in one wording, and the fix for what is often given."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab.checks.functions import check_callable
from initlab.checks.params import leaves_by_path
from initlab.checks.values import check_width, is_concrete
from initlab.types import Network, Objective, ParamSpec, Task

__all__ = [
    "check_arrays",
    "check_key",
    "check_kind",
    "check_optimizer",
    "check_reals",
    "check_text",
]

FIXES: Mapping[type, str] = {
    Network: "initlab.networks makes one, and networks.adopt one of any model",
    Task: "initlab.tasks.from_arrays(x, y) makes one",
}
"""How to come by a noun of the lab."""

OBJECTIVES = ("binary", "softmax", "regression")


def check_kind(name: str, value: Any, kind: type) -> None:
    """Raises TypeError unless value is one of a class; for one of initlab's, says how to get it.

    >>> check_kind("network", None, Network)
    Traceback (most recent call last):
    TypeError: network must be an initlab Network, got NoneType: initlab.networks makes one, and
    networks.adopt one of any model
    """
    if isinstance(value, kind):
        if kind in CONTENTS:
            CONTENTS[kind](name, value)
        return
    home = kind.__module__.partition(".")[0]
    whose = f"{home} " if home in ("initlab", "xarray", "optax", "numpy") else ""
    article = "an" if (whose or kind.__name__)[0].lower() in "aeiou" else "a"
    fix = FIXES.get(kind, "")
    if kind is Objective and isinstance(value, str) and value in OBJECTIVES:
        fix = f"write initlab.objectives.{value}"
    elif members := getattr(kind, "__members__", None):
        fix = f"one of {', '.join(f'{kind.__name__}.{member}' for member in members)}"
    raise TypeError(
        f"{name} must be {article} {whose}{kind.__name__}, got {given(value)}"
        f"{': ' if fix else ''}{fix}"
    )


def _check_task(name: str, task: Task) -> None:
    check_kind(f"{name}.objective", task.objective, Objective)
    sizes: dict[str, int] = {"x": 0, "y": 0, "x_test": 0, "y_test": 0}
    for part in sizes:
        if part.endswith("test") and getattr(task, part) is None:
            continue
        array: Any = getattr(task, part)
        check_arrays(f"{name}.{part}", array)
        if not np.shape(array) or not np.size(array):
            raise ValueError(f"{name}.{part} must hold examples, got shape {np.shape(array)}")
        if is_concrete(array) and not np.isfinite(np.asarray(array, np.float64)).all():
            raise ValueError(f"{name}.{part} must be finite, got NaN or an infinity")
        sizes[part] = np.shape(array)[0]
    for x, y in (("x", "y"), ("x_test", "y_test")):
        if sizes[x] != sizes[y]:
            raise ValueError(
                f"{name}.{y} must have a row for each of {x}, got {sizes[y]} of {sizes[x]}"
            )


def _check_network(name: str, network: Network) -> None:
    leaves = list(leaves_by_path(f"{name}.specs", network.specs).values())
    if not leaves or not all(isinstance(leaf, ParamSpec) for leaf in leaves):
        raise TypeError(
            f"{name}.specs must hold ParamSpec, got {[given(leaf) for leaf in leaves][:3]}"
        )
    for part in ("apply", "layers"):
        check_callable(f"{name}.{part}", getattr(network, part))


CONTENTS: Mapping[type, Callable[[str, Any], None]] = {
    Network: _check_network,
    Task: _check_task,
}
"""What a noun made by hand must hold."""


def check_key(name: str, value: Any) -> None:
    """Raises TypeError unless value is one JAX key, new or old style, which may be traced.

    >>> check_key("key", 0)
    Traceback (most recent call last):
    TypeError: key must be a JAX key, got 0: write jax.random.key(0)
    """
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key):
        if shape != ():
            raise TypeError(f"{name} must be one JAX key, got an array of keys of shape {shape}")
    elif not (dtype == np.uint32 and shape in ((2,), (4,))):
        seed = value if isinstance(value, int) and not isinstance(value, bool) else 0
        raise TypeError(
            f"{name} must be a JAX key, got {given(value)}: write jax.random.key({seed})"
        )


def check_optimizer(name: str, value: Any) -> None:
    """Raises TypeError unless value is an optax transformation: has init and update.

    >>> check_optimizer("optimizer", 0.1)
    Traceback (most recent call last):
    TypeError: optimizer must be an optax GradientTransformation, got 0.1: write optax.sgd(0.1)
    """
    if callable(getattr(value, "init", None)) and callable(getattr(value, "update", None)):
        return
    rate = value if isinstance(value, float | int) and not isinstance(value, bool) else 0.1
    raise TypeError(
        f"{name} must be an optax GradientTransformation, got {given(value)}: write "
        f"optax.sgd({rate})"
    )


def check_text(name: str, value: Any) -> None:
    """Raises TypeError unless value is text."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text, got {given(value)}")


def check_reals(name: str, value: Any) -> None:
    """Raises TypeError unless value is a real number or an array of them; it may be traced.

    >>> check_reals("q", "1")
    Traceback (most recent call last):
    TypeError: q must be real numbers, got '1'
    """
    dtype = _dtype(name, value)
    is_real = jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)
    if not is_real:
        raise TypeError(f"{name} must be real numbers, got {given(value)}")


def check_arrays(name: str, value: Any) -> None:
    """Raises TypeError unless value is an array of numbers or truth values, or makes one."""
    check_width(name, value)
    dtype = _dtype(name, value)
    if not jnp.issubdtype(dtype, jnp.number) and not jnp.issubdtype(dtype, np.bool_):
        raise TypeError(f"{name} must be an array of numbers, got {given(value)}")


def _dtype(name: str, value: Any) -> Any:
    if hasattr(value, "dtype"):
        return value.dtype
    try:
        return np.asarray(value).dtype
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name} must be an array of numbers, got {given(value)} whose rows differ in length"
        ) from error


def given(value: Any) -> str:
    """What was given, in a few words."""
    if isinstance(value, str | int | float | complex):
        return f"{value!r:.80}"
    if isinstance(value, type) or inspect.isroutine(value):
        return f"{type(value).__name__} {value.__name__}"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype} array of shape {tuple(value.shape)}"
    return type(value).__name__
