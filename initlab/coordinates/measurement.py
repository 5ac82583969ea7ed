"""Sizes of each layer's output at the start, after steps, and after one role's update alone."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.stages import Lowered

from initlab import checks
from initlab.compilation import compile_or_reuse
from initlab.coordinates.subject import Subject, make_subjects
from initlab.types import Params, Role

__all__ = ["Loss", "Measured", "check_counts", "measure_all"]

Loss = Callable[[jax.Array], jax.Array]

PLACES = ("first", "middle", "last", "output")
"""Names by position, for networks of different numbers of layers."""


class Measured(NamedTuple):
    """Sizes [N, S, 1 + T, L] of the layers that all have; own [N, S, R, L] of the roles."""

    layers: tuple[str, ...]
    sizes: np.ndarray
    roles: tuple[Role, ...]
    own: np.ndarray | None


def check_counts(name: str, values: Sequence[int], least: int) -> None:
    """Raises unless there are at least two whole numbers, all different."""
    for value in values:
        checks.check_count(name, value, least)
    if len(values) < 2 or len(set(values)) < len(values):
        raise ValueError(f"{name} must hold at least two, all different, got {list(values)}")


def measure_all(
    make: Callable[..., Subject],
    at: Sequence[tuple[int, ...]],
    batch: Any,
    loss: Loss,
    seeds: Sequence[int],
    steps: int,
    tolerance: float,
) -> Measured:
    """Measures the models `make(*sizes)` at all the sizes, each from every seed."""
    checks.check_known("batch", batch, "coordinate_check")
    checks.check_callable("make", make)
    checks.check_callable("loss", loss)
    checks.check_count("steps", steps, 1)
    checks.check_scale("tolerance", tolerance)
    check_counts("seeds", seeds, 0)
    if any(np.shape(leaf)[:1] == (0,) for leaf in jax.tree.leaves(batch)):
        raise ValueError("batch must hold at least one example, got none")
    keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))
    subjects = make_subjects(make, at)
    layers, columns = _common([_names(subject, batch, keys[0]) for subject in subjects])
    # Whose update it was is recorded where all subjects name their roles.
    roles = [role for role in Role if all(role in jax.tree.leaves(each.roles) for each in subjects)]
    found = [
        _measure_one(subject, which, loss, steps, roles, keys, batch)
        for subject, which in zip(subjects, columns, strict=True)
    ]
    sizes, own = (np.stack(each) for each in zip(*found, strict=True))
    return Measured(layers, sizes, tuple(roles), own if roles else None)


def _names(subject: Subject, batch: Any, key: jax.Array) -> tuple[str, ...]:
    names: list[str] = []
    # Compiled functions return dicts sorted by name; their order is known while tracing.
    with checks.calling("make(width).layers", "(init(key), batch)", subject.layers):
        jax.eval_shape(lambda key: names.extend(subject.layers(subject.init(key), batch)), key)
    return tuple(names)


def _number(value: Any) -> jax.Array:
    if getattr(value, "shape", None) != ():
        raise ValueError(f"loss must return one real number, got {value}")
    return value


def _measure_one(
    subject: Subject,
    which: Sequence[int],
    loss: Loss,
    steps: int,
    roles: Sequence[Role],
    keys: jax.Array,
    batch: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """For each of keys [S]: rms at the start, and of each step's change [S, 1 + steps, L].

    Of the layers `which` alone, the output last: of a hundred blocks four are compared, and those
    that are not would be most of what is compiled.

    And of the change after the first update of one role's parameters alone [S, R, L].
    """
    numbers = jax.tree.map(lambda role: roles.index(role) if role in roles else -1, subject.roles)

    def measure(key: jax.Array, batch: Any) -> tuple[jax.Array, jax.Array]:
        def outputs(params: Params) -> list[jax.Array]:
            every = list(subject.layers(params, batch).values())
            return [every[number] for number in which]

        params = subject.init(key)
        start = outputs(params)

        def changed(params: Params) -> jax.Array:
            # From the start and not from the step before: theory is of the sum of the updates.
            return _rms(
                [after - before for after, before in zip(outputs(params), start, strict=True)]
            )

        def updates(params: Params, memory: Any) -> tuple[Params, Any]:
            gradient = jax.grad(lambda params: _number(loss(outputs(params)[-1])))(params)
            return subject.optimizer.update(gradient, memory, params)

        def step(state: tuple[Params, Any], _: None) -> tuple[tuple[Params, Any], jax.Array]:
            params, memory = state
            update, memory = updates(params, memory)
            params = optax.apply_updates(params, update)
            return (params, memory), changed(params)

        memory = subject.optimizer.init(params)
        _, changes = jax.lax.scan(step, (params, memory), length=steps)
        sizes = jnp.concatenate([_rms(start)[None], changes])
        if not roles:
            return sizes, jnp.zeros((0, len(start)))
        first, _ = updates(params, memory)

        def alone(role: jax.Array) -> jax.Array:
            own = jax.tree.map(lambda each, at: jnp.where(role == at, each, 0), first, numbers)
            return changed(optax.apply_updates(params, own))

        return sizes, jax.lax.map(alone, jnp.arange(len(roles)))

    # lax.map and not vmap: params of a wide network for all seeds at once might not fit in memory.
    program = jax.jit(lambda keys, batch: jax.lax.map(lambda key: measure(key, batch), keys))
    # The same program, as of a `make` that gives one Subject for a width again, is compiled once.
    placed = tuple(getattr(leaf, "sharding", None) for leaf in jax.tree.leaves((keys, batch)))
    compiled = compile_or_reuse(program.lower(keys, batch), Lowered.compile, *placed)
    sizes, own = compiled(keys, batch)
    return np.asarray(sizes), np.asarray(own)


def _rms(outputs: Sequence[jax.Array]) -> jax.Array:
    return jnp.stack([jnp.sqrt(jnp.mean(jnp.square(each.astype(jnp.float32)))) for each in outputs])


def _common(names: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], list[tuple[int, ...]]]:
    """The layers that all sizes have, and where each size has them."""
    if fewest := [each for each in names if len(each) < 2]:
        raise ValueError(f"a model must have at least two layers, got {fewest[0]}")
    if len(set(names)) == 1:
        return names[0], [tuple(range(len(each))) for each in names]
    hidden = [len(each) - 1 for each in names]
    return PLACES, [(0, (count - 1) // 2, count - 1, count) for count in hidden]
