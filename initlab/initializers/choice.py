"""One of several starts by an index that may be traced: initializers, or params made before."""

from collections.abc import Callable, Sequence
from typing import Any, overload

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.initializers.combinators import made_of
from initlab.types import Initializer, Params, ParamSpec

__all__ = ["choice"]

Index = int | jax.Array


@overload
def choice(index: Index, initializers: Sequence[Initializer]) -> Initializer: ...
@overload
def choice(index: Index, initializers: Sequence[Params]) -> Params: ...
@checks.checked
def choice(index: int | jax.Array, initializers: Sequence[Any]) -> Any:
    """`initializers[index]`, with an index that may be traced: named starts as one axis of a sweep.

    The candidates may be params too, as a refiner returns them: `make_run` takes either.

    Args:
      index: which one, clipped to the range when it is traced.
      initializers: the candidates; all see the same key. Or params, of one tree, shapes and dtypes.

    Returns:
      The initializer, or the params.

    Raises:
      TypeError: if a candidate is neither, or some are initializers and some params; if index is
        not an integer.
      ValueError: if there is none, a concrete index is out of range, or params are not alike.

    >>> from initlab.initializers import ones, zeros
    >>> choice(1, (zeros(), ones()))(jax.random.key(0), ParamSpec((2,), 1, 2)).tolist()
    [1.0, 1.0]
    >>> choice(1, ({"w": jnp.zeros(2)}, {"w": jnp.ones(2)}))["w"].tolist()
    [1.0, 1.0]
    """
    # An array has the entries of one tensor, and params are whole trees.
    if isinstance(initializers, jax.Array | np.ndarray):
        raise TypeError(f"initializers must be a sequence, got a {initializers.dtype} array")
    if not initializers:
        raise ValueError("initializers must hold at least one, got none")
    candidates = list(initializers)
    are_params = [_are_params(each) for each in candidates]
    for position, each in enumerate(candidates):
        if not are_params[position]:
            checks.check_function(f"initializers[{position}]", each, (jax.Array, ParamSpec))
    _check_index(index, len(candidates))
    if all(are_params):
        _check_alike(candidates)
        return _switch(index, [_taker(number) for number in range(len(candidates))], *candidates)
    if any(are_params):
        raise TypeError(
            "initializers must be initializers or params, got some of each: draw the others with "
            "initialize(key, network.specs, initializer)"
        )

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        def branch(initializer: Initializer) -> Callable[[jax.Array], jax.Array]:
            def draw(key: jax.Array) -> jax.Array:
                return initializer(key, spec)

            return draw

        return _switch(index, [branch(each) for each in candidates], key)

    return made_of(init, candidates)


def _switch(index: Index, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    return jax.lax.switch(jnp.asarray(index, jnp.int32), branches, *operands)


def _taker(number: int) -> Callable[..., Params]:
    def take(*candidates: Params) -> Params:
        return candidates[number]

    return take


def _are_params(candidate: Any) -> bool:
    """Whether it is a tree of floating arrays."""
    if callable(candidate):
        return False
    leaves = jax.tree.leaves(candidate)
    return bool(leaves) and all(
        hasattr(leaf, "shape") and jnp.issubdtype(getattr(leaf, "dtype", object), jnp.floating)
        for leaf in leaves
    )


def _check_alike(candidates: Sequence[Params]) -> None:
    def described(candidate: Params) -> dict[str, str]:
        leaves = checks.leaves_by_path("initializers", candidate)
        return {path: f"{leaf.dtype}{list(leaf.shape)}" for path, leaf in leaves.items()}

    first = described(candidates[0])
    for position, each in enumerate(candidates[1:], start=1):
        own = described(each)
        if own != first or jax.tree.structure(each) != jax.tree.structure(candidates[0]):
            raise ValueError(
                f"initializers[{position}] must be params like initializers[0], {first!s:.200}, "
                f"got {own!s:.200}"
            )


def _check_index(index: Index, count: int) -> None:
    checks.check_number("index", index)
    if checks.is_concrete(index):
        if int(index) != index:
            raise TypeError(f"index must be an integer, got {index!r}")
        if not 0 <= index < count:
            raise ValueError(f"index must be 0 to {count - 1}, got {index}")
    elif not jnp.issubdtype(jnp.asarray(index).dtype, jnp.integer):
        raise TypeError(f"index must be an integer, got a traced {jnp.asarray(index).dtype}")
