"""Parts of the parameters, each with an optimizer of its own, over `optax.partition`."""

import difflib
import fnmatch
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import jax
import optax

from initlab import checks
from initlab.types import Params, ParamSpec, Role

__all__ = ["by_path", "by_role", "frozen"]


@checks.checked
def by_path(patterns: Mapping[str, optax.GradientTransformation]) -> optax.GradientTransformation:
    """Each parameter by the first pattern that its path matches; "*" as the last one is a default.

    Learning rates and decays may be traced numbers of a run's point. Each optimizer sees its own
    parameters alone: a norm that it clips by is theirs.

    Args:
      patterns: `{shell pattern: optimizer}` against paths as "layer_1/weight"; "*" matches across
        "/". `frozen()` is the optimizer of parameters that stay as they are.

    Returns:
      The optimizer. Its `init` raises ValueError for a parameter that no pattern matches, and for a
      pattern that takes no parameter.

    Raises:
      TypeError: if what stands at a pattern is no optimizer.
      ValueError: if there are no patterns.

    >>> import jax.numpy as jnp
    >>> descent = by_path({"layer_1/*": frozen(), "*": optax.sgd(0.5)})
    >>> params = {"layer_1": {"weight": jnp.ones(1)}, "layer_2": {"weight": jnp.ones(1)}}
    >>> updates, _ = descent.update(params, descent.init(params))
    >>> updates["layer_1"]["weight"].item(), updates["layer_2"]["weight"].item()
    (0.0, -0.5)
    """
    if not patterns:
        raise ValueError("patterns must name at least one optimizer, got none")
    return _partition(patterns, lambda params: _first_matches(list(patterns), params))


@checks.checked
def by_role(
    specs: Params,
    weight: optax.GradientTransformation,
    *,
    bias: optax.GradientTransformation | None = None,
    input: optax.GradientTransformation | None = None,
    readout: optax.GradientTransformation | None = None,
    embedding: optax.GradientTransformation | None = None,
    norm_scale: optax.GradientTransformation | None = None,
    norm_bias: optax.GradientTransformation | None = None,
    residual: optax.GradientTransformation | None = None,
    gate: optax.GradientTransformation | None = None,
) -> optax.GradientTransformation:
    """Each parameter by what it does in the network, as `initializers.by_role` draws it.

    Args:
      specs: the network's, which tell the roles.
      weight: for weights, and for each role that is not given.
      bias: for biases.
      input: for the first layer's weights.
      readout: for the last layer's weights.
      embedding: for embeddings.
      norm_scale: for the scales of normalization layers.
      norm_bias: for what normalization layers add.
      residual: for the last weights of residual branches.
      gate: for the scalars that multiply residual branches.

    Returns:
      The optimizer. Its `init` raises ValueError for params of another tree than the specs'.

    Raises:
      TypeError: if one of them is no optimizer, or specs holds anything but ParamSpec.
      ValueError: if a role is given that no parameter has: it would be for nothing.

    >>> import jax.numpy as jnp
    >>> specs = {"w": ParamSpec((1,), 1, 1), "b": ParamSpec((1,), 1, 1, Role.BIAS)}
    >>> descent = by_role(specs, optax.sgd(0.5), bias=frozen())
    >>> gradient = {"w": jnp.ones(1), "b": jnp.ones(1)}
    >>> updates, _ = descent.update(gradient, descent.init(gradient))
    >>> updates["w"].item(), updates["b"].item()
    (-0.5, 0.0)
    """
    given = {
        Role.BIAS: bias,
        Role.INPUT: input,
        Role.READOUT: readout,
        Role.EMBEDDING: embedding,
        Role.NORM_SCALE: norm_scale,
        Role.NORM_BIAS: norm_bias,
        Role.RESIDUAL: residual,
        Role.GATE: gate,
    }
    own = {role.value: each for role, each in given.items() if each is not None}
    for path, spec in checks.leaves_by_path("specs", specs).items():
        checks.check_kind(f"specs[{path!r}]", spec, ParamSpec)
    there = {spec.role.value for spec in jax.tree.leaves(specs)}
    if lacking := [role for role in own if role not in there]:
        raise ValueError(
            f"{lacking[0]} must be the role of a parameter, got specs with the roles "
            f"{sorted(there)}"
        )
    wanted = jax.tree.structure(specs)
    rest = Role.WEIGHT.value
    labels = jax.tree.map(lambda spec: spec.role.value if spec.role.value in own else rest, specs)

    def labels_of(params: Params) -> Params:
        if jax.tree.structure(params) != wanted:
            raise ValueError(
                f"params must have the tree of specs, {wanted}, got {jax.tree.structure(params)}"
            )
        return labels

    return _partition({rest: weight, **own}, labels_of)


@checks.checked
def frozen() -> optax.GradientTransformation:
    """The optimizer of parameters that stay as they start: `optax.set_to_zero`.

    >>> import jax.numpy as jnp
    >>> frozen().update(jnp.ones(2), frozen().init(jnp.ones(2)))[0].tolist()
    [0.0, 0.0]
    """
    return optax.set_to_zero()


def _partition(
    optimizers: Mapping[str, optax.GradientTransformation], labels_of: Any
) -> optax.GradientTransformation:
    # Labels are names within the state's paths, in which a pattern's slashes would be levels.
    numbers = {label: f"part_{number}" for number, label in enumerate(optimizers, start=1)}

    def numbered(params: Params) -> Params:
        return jax.tree.map(lambda label: numbers[label], labels_of(params))

    parts: dict[Hashable, optax.GradientTransformation] = {
        numbers[label]: each for label, each in optimizers.items()
    }
    return optax.partition(parts, numbered)


def _first_matches(patterns: Sequence[str], params: Params) -> Params:
    """For each parameter the first pattern that its path matches, in the params' tree."""
    paths = list(checks.leaves_by_path("params", params))
    checks.check_patterns(patterns, paths)
    firsts = []
    for path in paths:
        matching = [each for each in patterns if fnmatch.fnmatchcase(path, each)]
        if not matching:
            near = difflib.get_close_matches(path, patterns, n=3, cutoff=0.0)
            raise ValueError(
                f"no pattern matches {path!r}; the nearest patterns are {near}: add it, or '*' as "
                "the last one for all others"
            )
        firsts.append(matching[0])
    return jax.tree.unflatten(jax.tree.structure(params), firsts)
