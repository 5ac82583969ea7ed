"""Initializers built from others: by role, by path, scaled or shifted."""

import dataclasses
import fnmatch
from collections.abc import Callable, Iterable, Mapping

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.initializers.distributions import ones, zeros
from initlab.types import Initializer, Number, ParamSpec, Role

__all__ = ["Demand", "by_path", "by_role", "demands_of", "made_of", "scaled", "shifted"]


@checks.checked
def by_role(
    weight: Initializer,
    *,
    bias: Initializer | None = None,
    input: Initializer | None = None,
    readout: Initializer | None = None,
    embedding: Initializer | None = None,
    norm_scale: Initializer | None = None,
    norm_bias: Initializer | None = None,
    residual: Initializer | None = None,
    gate: Initializer | None = None,
) -> Initializer:
    """Each parameter by what it does in the network.

    Args:
      weight: for weights.
      bias: for biases; zeros when absent: a bias has no symmetry problem.
      input: for the first layer's weights; as `weight` when absent.
      readout: for the last layer's weights; as `weight` when absent.
      embedding: for embeddings; as `weight` when absent.
      norm_scale: for the scales of normalisation layers; ones when absent.
      norm_bias: for what normalisation layers add; zeros when absent.
      residual: for the last weights of residual branches; as `weight` when absent.
      gate: for the scalars that multiply residual branches; ones when absent.

    Returns:
      The initializer.

    Raises:
      TypeError: if one of them is not callable.

    >>> init = by_role(weight=ones())
    >>> init(jax.random.key(0), ParamSpec((2,), 1, 2, Role.BIAS)).tolist()
    [0.0, 0.0]
    """
    table = {
        Role.WEIGHT: weight,
        Role.BIAS: zeros() if bias is None else bias,
        Role.INPUT: weight if input is None else input,
        Role.READOUT: weight if readout is None else readout,
        Role.EMBEDDING: weight if embedding is None else embedding,
        Role.NORM_SCALE: ones() if norm_scale is None else norm_scale,
        Role.NORM_BIAS: zeros() if norm_bias is None else norm_bias,
        Role.RESIDUAL: weight if residual is None else residual,
        Role.GATE: ones() if gate is None else gate,
    }
    for role, initializer in table.items():
        checks.check_callable(role.value, initializer)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        return table[spec.role](key, spec)

    return made_of(init, table.values())


@checks.checked
def by_path(patterns: Mapping[str, Initializer]) -> Initializer:
    """Each parameter by the first pattern that its path matches; "*" as the last one is a default.

    Args:
      patterns: `{shell pattern: initializer}` against paths as "layer_1/weight"; "*" matches
        across "/".

    Returns:
      The initializer; it raises ValueError for a parameter that no pattern matches, and
      `initialize` for a pattern that matches no parameter (the "*" would take those it was meant
      for), or only such as earlier ones take.

    Raises:
      TypeError: if an initializer is not callable.
      ValueError: if there are no patterns.

    >>> init = by_path({"layer_1/*": zeros(), "*": ones()})
    >>> init(jax.random.key(0), ParamSpec((1,), 1, 1, path="layer_2/weight")).tolist()
    [1.0]
    """
    if not patterns:
        raise ValueError("patterns must name at least one initializer, got none")
    for pattern, initializer in patterns.items():
        checks.check_callable(f"patterns[{pattern!r}]", initializer)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        for pattern, initializer in patterns.items():
            if fnmatch.fnmatchcase(spec.path, pattern):
                return initializer(key, spec)
        raise ValueError(f"no pattern matches {spec.path!r}; patterns are {list(patterns)}")

    def demand(specs: Mapping[str, ParamSpec]) -> None:
        checks.check_patterns(patterns, list(specs))

    return made_of(init, patterns.values(), demand)


Demand = Callable[[Mapping[str, ParamSpec]], None]
"""`{path: spec} -> None`, which raises ValueError for a network that an initializer is not for."""


@dataclasses.dataclass(frozen=True)
class _Demanding:
    """An initializer with what the network must have for it."""

    draw: Initializer
    demands: tuple[Demand, ...]

    def __call__(self, key: jax.Array, spec: ParamSpec) -> jax.Array:
        """The array of the spec."""
        return self.draw(key, spec)


def made_of(
    init: Initializer, parts: Iterable[Initializer], own: Demand | None = None
) -> Initializer:
    """`init`, with its own demand of the network's parameters and those of its parts.

    An initializer sees one parameter at a time, and cannot know that it finds no other: so
    `initialize` asks each demand of all of them.
    """
    inside = tuple(demand for part in parts for demand in demands_of(part))
    demands = inside if own is None else (own, *inside)
    return _Demanding(init, demands) if demands else init


def demands_of(initializer: Initializer) -> tuple[Demand, ...]:
    """What an initializer and those in it demand."""
    return initializer.demands if isinstance(initializer, _Demanding) else ()


@checks.checked
def scaled(initializer: Initializer, factor: Number) -> Initializer:
    """`w = factor * initializer(key, spec)`.

    Args:
      initializer: what is scaled.
      factor: any finite number; may be traced.

    Returns:
      The initializer.

    Raises:
      TypeError: if initializer is not callable, or factor is not a number.
      ValueError: if factor is NaN or infinite.

    >>> scaled(ones(), 3.0)(jax.random.key(0), ParamSpec((2,), 1, 2)).tolist()
    [3.0, 3.0]
    """
    checks.check_callable("initializer", initializer)
    checks.check_number("factor", factor)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        return initializer(key, spec) * jnp.asarray(factor, spec.dtype)

    return made_of(init, [initializer])


@checks.checked
def shifted(initializer: Initializer, offset: Number) -> Initializer:
    """`w = initializer(key, spec) + offset`: another mean, or an interval that is not symmetric.

    Args:
      initializer: what is shifted.
      offset: any finite number; may be traced.

    Returns:
      The initializer.

    Raises:
      TypeError: if initializer is not callable, or offset is not a number.
      ValueError: if offset is NaN or infinite.

    >>> shifted(ones(), 0.5)(jax.random.key(0), ParamSpec((2,), 1, 2)).tolist()
    [1.5, 1.5]
    """
    checks.check_callable("initializer", initializer)
    checks.check_number("offset", offset)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        return initializer(key, spec) + jnp.asarray(offset, spec.dtype)

    return made_of(init, [initializer])
