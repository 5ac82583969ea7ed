"""Checks of a model: its parameters by path, and that it takes them."""

import contextlib
import difflib
import fnmatch
import numbers
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab.checks.functions import calling, check_callable
from initlab.checks.values import check_width
from initlab.frameworks import framework_hint
from initlab.types import Params, ParamSpec

__all__ = [
    "check_array",
    "check_array_leaves",
    "check_floating_params",
    "check_model",
    "check_params",
    "check_patterns",
    "check_rank_at_least",
    "check_specs",
    "leaves_by_path",
    "naming_exchanged",
    "path_name",
]


TEXT_OR_OBJECTS = ("O", "S", "U")
"""Kinds of NumPy dtypes of which JAX has no arrays."""


def path_name(tree_path: Sequence[Any]) -> str:
    """A pytree path as "layer_1/weight".

    >>> leaves, _ = jax.tree_util.tree_flatten_with_path({"layer_1": [1.0, 2.0]})
    >>> [path_name(path) for path, _ in leaves]
    ['layer_1/0', 'layer_1/1']
    """
    return jax.tree_util.keystr(tuple(tree_path), simple=True, separator="/")


def check_specs(specs: Any) -> dict[str, ParamSpec]:
    """The specs by path; raises TypeError unless specs hold ParamSpec and nothing else.

    >>> list(check_specs({"w": ParamSpec((2,), 1, 2)}))
    ['w']
    """
    by_path = leaves_by_path("specs", specs)
    if not by_path:
        raise TypeError(f"specs must hold ParamSpec, got {type(specs).__name__} without one")
    for spec in by_path.values():
        if not isinstance(spec, ParamSpec):
            raise TypeError(
                f"specs must hold ParamSpec, got {type(spec).__name__}: of any model they are "
                "`networks.adopt(init, apply, x).specs`"
            )
    return by_path


def check_patterns(patterns: Iterable[str], paths: Sequence[str]) -> None:
    """Raises ValueError for a shell pattern that takes none of the paths.

    Args:
      patterns: in their order; of a path, the first that matches it counts.
      paths: of the parameters.

    Raises:
      ValueError: for a pattern that matches none, with the nearest paths, and for one that matches
        only what earlier ones take, with such an earlier one.

    >>> check_patterns(["layer1/*"], ["layer_1/bias", "layer_1/weight"])
    Traceback (most recent call last):
    ValueError: no parameter matches 'layer1/*'; the nearest paths are ['layer_1/bias',
    'layer_1/weight']
    >>> check_patterns(["*", "*/bias"], ["layer_1/bias", "layer_1/weight"])
    Traceback (most recent call last):
    ValueError: pattern '*/bias' must come before '*', which takes the parameters that it matches:
    the first pattern counts
    """
    takes: dict[str, str] = {}
    for pattern in patterns:
        matching = fnmatch.filter(paths, pattern)
        if not matching:
            near = fnmatch.filter(paths, f"*{pattern.strip('*')}*")[:3]
            near = near or difflib.get_close_matches(pattern, paths, n=3, cutoff=0.0)
            raise ValueError(f"no parameter matches {pattern!r}; the nearest paths are {near}")
        if all(path in takes for path in matching):
            raise ValueError(
                f"pattern {pattern!r} must come before {takes[matching[0]]!r}, which takes the "
                "parameters that it matches: the first pattern counts"
            )
        takes |= {path: pattern for path in matching if path not in takes}


def check_rank_at_least(name: str, spec: ParamSpec, rank: int) -> None:
    """Raises ValueError unless the spec has at least `rank` axes."""
    if len(spec.shape) < rank:
        raise ValueError(
            f"{name} requires at least {rank} axes, got shape {spec.shape} for {spec.path!r}"
        )


def check_array(name: str, value: Any, spec: ParamSpec) -> None:
    """Raises unless value is an array of the spec's shape and dtype."""
    _check_is_array(name, value)
    if tuple(value.shape) != tuple(spec.shape):
        raise ValueError(f"{name} must have shape {tuple(spec.shape)}, got {tuple(value.shape)}")
    if value.dtype != spec.dtype:
        raise ValueError(f"{name} must be {np.dtype(spec.dtype)}, got {value.dtype}")


def check_array_leaves(params: Params) -> None:
    """Raises TypeError unless every leaf is an array or a number, as an init may return it.

    >>> check_array_leaves({"weight": np.ones(2), "bias": 0.0})
    """
    for path, leaf in leaves_by_path("params", params).items():
        if not isinstance(leaf, numbers.Number):
            _check_is_array(f"params[{path!r}]", leaf, params)


def check_floating_params(params: Params, *, allow_complex: bool = False) -> list[tuple[str, Any]]:
    """The leaves of params by path; raises unless there is one, and all are floating arrays.

    Abstract arrays (`jax.ShapeDtypeStruct`) pass too. Complex numbers pass only where nothing but
    the places of entries matters: no measure of the lab has a meaning for a complex parameter.

    Args:
      params: any pytree.
      allow_complex: whether complex arrays pass too.

    Returns:
      `[(path, leaf)]` in the order of the tree.

    Raises:
      TypeError: if a leaf is not an array, or not floating; the message names its path.
      ValueError: if there is no leaf, or two have one path.

    >>> [path for path, _ in check_floating_params({"layer_1": {"weight": np.ones(2)}})]
    ['layer_1/weight']
    """
    leaves = list(leaves_by_path("params", params).items())
    if not leaves:
        raise ValueError("params must hold at least one array, got none")
    for path, leaf in leaves:
        _check_is_array(f"params[{path!r}]", leaf, params)
        if not jnp.issubdtype(leaf.dtype, jnp.inexact if allow_complex else jnp.floating):
            hint = framework_hint(params)
            if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
                hint = ": give its real and imaginary parts as two parameters"
            raise TypeError(f"params[{path!r}] must be floating, got {leaf.dtype}{hint}")
    return leaves


def check_model(apply: Any, params: Params, batch: Any) -> list[tuple[str, Any]]:
    """The leaves of params by path; raises unless apply is a function and they are floating.

    Args:
      apply: a function `(params, batch) -> outputs`.
      params: its parameters.
      batch: its inputs.

    Returns:
      As `check_floating_params`.

    Raises:
      TypeError: as `check_floating_params`; if apply is not a function, or params and batch are
        exchanged.
      ValueError: as `check_floating_params`.

    >>> [path for path, _ in check_model(lambda p, x: x @ p["w"], {"w": np.ones(2)}, np.ones(2))]
    ['w']
    """
    check_callable("apply", apply)
    with naming_exchanged(apply, params, batch):
        leaves = check_floating_params(params)
        for leaf in jax.tree.leaves(batch):
            check_width("batch", leaf)
            if not isinstance(leaf, numbers.Number) and not hasattr(leaf, "dtype"):
                raise TypeError(f"batch must hold arrays, got {type(leaf).__name__}")
            dtype = getattr(leaf, "dtype", None)
            if getattr(dtype, "kind", "") in TEXT_OR_OBJECTS:
                raise TypeError(f"batch must hold arrays of numbers, got {dtype}")
        return leaves


@contextlib.contextmanager
def naming_exchanged(apply: Any, params: Params, batch: Any) -> Iterator[None]:
    """Guards a call of apply: names it when it raises, and params and batch that are exchanged.

    >>> with naming_exchanged(lambda p, x: x @ p["w"], np.ones(2), {"w": np.ones(2)}):
    ...     jax.eval_shape(lambda p, x: x @ p["w"], np.ones(2), {"w": np.ones(2)})
    Traceback (most recent call last):
    TypeError: params and batch are exchanged: apply takes the batch where the params are given
    """
    try:
        with calling("apply", "(params, batch)", apply):
            yield
    except Exception as error:
        if jax.tree.leaves(params) and _can_be_traced(apply, batch, params):
            raise TypeError(
                "params and batch are exchanged: apply takes the batch where the params are given"
            ) from error
        raise


def _can_be_traced(apply: Any, params: Params, batch: Any) -> bool:
    """Whether apply takes them in this order; a framework's whole model is as good as params."""
    leaves, tree = jax.tree.flatten(params)
    is_array = [hasattr(leaf, "shape") and hasattr(leaf, "dtype") for leaf in leaves]
    arrays = [leaf for leaf, is_one in zip(leaves, is_array, strict=True) if is_one]
    if not any(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in arrays):
        return False

    def run(arrays: list[Any], batch: Any) -> Any:
        given = iter(arrays)
        pairs = zip(leaves, is_array, strict=True)
        whole = [next(given) if is_one else leaf for leaf, is_one in pairs]
        return apply(tree.unflatten(whole), batch)

    try:
        jax.eval_shape(run, arrays, batch)
    # Whatever a model raises: the error that was there first is the one to show.
    except Exception:
        return False
    return True


def check_params(params: Any, specs: Any) -> None:
    """Raises unless params has the specs' tree, shapes and dtypes; names the path that is off."""
    given = leaves_by_path("params", params)
    expected = leaves_by_path("specs", specs)
    if missing := [path for path in expected if path not in given]:
        raise ValueError(f"params lack {missing}; they must hold {list(expected)}")
    if unknown := [path for path in given if path not in expected]:
        raise ValueError(f"params hold {unknown}, which the network lacks; it has {list(expected)}")
    for path, spec in expected.items():
        check_array(f"params[{path!r}]", given[path], spec)


def _check_is_array(name: str, value: Any, params: Any = None) -> None:
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        kind = type(value).__name__
        raise TypeError(f"{name} must be an array, got {kind}{framework_hint(params)}")
    if getattr(value.dtype, "kind", "") in TEXT_OR_OBJECTS:
        raise TypeError(f"{name} must be an array of numbers, got {value.dtype}")


def leaves_by_path(name: str, tree: Any) -> dict[str, Any]:
    """The leaves of a tree by their paths, in its order.

    Args:
      name: the argument's, for the error.
      tree: any pytree.

    Raises:
      ValueError: if two leaves have one path. A name that stands for both would be drawn with one
        key, measured once, and blamed for the other.

    >>> list(leaves_by_path("params", {"layer_1": {"weight": 1.0}}))
    ['layer_1/weight']
    >>> leaves_by_path("params", {"a/b": 1.0, "a": {"b": 2.0}})
    Traceback (most recent call last):
    ValueError: params must have a path for each leaf, got two leaves 'a/b': a key with a slash
    beside a dict of the same path; rename one
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    by_path: dict[str, Any] = {}
    for tree_path, leaf in leaves:
        path = path_name(tree_path)
        if path in by_path:
            raise ValueError(
                f"{name} must have a path for each leaf, got two leaves {path!r}: a key with a "
                "slash beside a dict of the same path; rename one"
            )
        by_path[path] = leaf
    return by_path
