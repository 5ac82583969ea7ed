"""What the trees of flax and equinox hold besides parameters, and how to get at these alone."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax

__all__ = ["check_are_parameters", "framework_hint", "mutation_hint"]

FRAMEWORK_HINTS: Mapping[str, str] = MappingProxyType(
    {
        "flax.nnx": "of an nnx model give the parameters alone, "
        "`graph, params, rest = nnx.split(model, nnx.Param, ...)`",
        "equinox": "of an equinox model give the arrays alone, "
        "`params, static = eqx.partition(model, eqx.is_inexact_array)`",
    }
)
"""By the module that a node's type comes from: no framework is imported for it."""

LINEN_COLLECTIONS = frozenset({"batch_stats", "cache", "intermediates"})
NNX_STATE = frozenset({"BatchStat", "Cache", "Intermediate", "RngState"})


def framework_hint(tree: Any) -> str:
    """How to get at the parameters of a framework's model alone, "" for plain trees.

    >>> framework_hint({"weight": 1.0})
    ''
    """
    modules = {base.__module__ for node in _nodes(tree) for base in type(node).__mro__}
    for start, hint in FRAMEWORK_HINTS.items():
        if any(module == start or module.startswith(f"{start}.") for module in modules):
            return f": {hint}"
    return ""


def mutation_hint(error: BaseException) -> str:
    """How to call an nnx model that counts its draws or keeps statistics, "" for other errors.

    >>> mutation_hint(ValueError())
    ''
    """
    kinds = {base.__name__ for base in type(error).__mro__ if base.__module__ == "flax.errors"}
    if "TraceContextError" not in kinds:
        return ""
    return (
        "; an nnx model that changes while it is called, as counters of random draws and running "
        "statistics do, is rebuilt in each call: `nnx.merge(graph, params, rest, copy=True)(x)`"
    )


def check_are_parameters(tree: Any) -> None:
    """Raises TypeError if a tree of a framework holds statistics, counters or caches as well.

    >>> check_are_parameters({"kernel": 1.0, "bias": 0.0})
    """
    collections = set(tree) if isinstance(tree, Mapping) and "params" in tree else set()
    if others := sorted(collections & LINEN_COLLECTIONS):
        raise TypeError(
            f"params must hold parameters alone, got the collections {others} as well: give "
            'variables["params"], and close over the others'
        )
    for node in _nodes(tree):
        kinds = {base.__name__ for base in type(node).__mro__ if "nnx" in base.__module__}
        if kinds & NNX_STATE:
            raise TypeError(
                f"params must hold parameters alone, got an nnx {type(node).__name__} as well: "
                f"{FRAMEWORK_HINTS['flax.nnx']}"
            )


def _nodes(tree: Any) -> list[Any]:
    """Every node of a tree, inner ones included."""
    found: list[Any] = []

    def keep(node: Any) -> bool:
        found.append(node)
        return False

    jax.tree.leaves(tree, is_leaf=keep)
    return found
