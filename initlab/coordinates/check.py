"""Trains one model at many sizes for a few steps, and measures every layer's output."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.stages import Lowered

from initlab import checks
from initlab.compilation import compile_or_reuse
from initlab.coordinates.result import CoordinateCheck
from initlab.initializers import initialize
from initlab.theory import Growth
from initlab.types import Initializer, Network, Params, Role

__all__ = ["Subject", "assert_coordinates_stable", "coordinate_check", "of_network"]

Loss = Callable[[jax.Array], jax.Array]

PLACES = ("first", "middle", "last", "output")
"""Names by position, for networks of different numbers of layers."""


class Subject(NamedTuple):
    """A model of one size, and how it is trained.

    Attributes:
      init: `key -> params`.
      layers: `(params, batch) -> {name: output}`, in the order of the forward pass: what each layer
        gives, under the same names at every width. The last one is the model's own output.
      optimizer: the transformation that takes its first steps.
    """

    init: Callable[[jax.Array], Params]
    layers: Callable[[Params, Any], Mapping[str, jax.Array]]
    optimizer: optax.GradientTransformation


@checks.checked
def of_network(
    network: Network, initializer: Initializer, optimizer: optax.GradientTransformation
) -> Subject:
    """One of the lab's networks as a Subject: pre-activations, or a residual block's stream.

    Args:
      network: the model.
      initializer: what it starts from.
      optimizer: the transformation that takes its first steps.

    Returns:
      The Subject.

    >>> from initlab import initializers, networks
    >>> network = networks.mlp((2, 8, 1), jnp.tanh)
    >>> subject = of_network(network, initializers.ntk(), optax.sgd(0.1))
    >>> list(subject.layers(subject.init(jax.random.key(0)), np.ones((4, 2), np.float32)))
    ['layer_1', 'layer_2']
    """

    def layers(params: Params, batch: Any) -> dict[str, jax.Array]:
        states = network.layers(params, batch)
        return {
            name: state.z if state.stream is None else state.stream
            for name, state in states.items()
        }

    return Subject(lambda key: initialize(key, network.specs, initializer), layers, optimizer)


@checks.checked
def coordinate_check(
    make: Callable[[int], Subject],
    widths: Sequence[int],
    batch: Any,
    loss: Callable[[jax.Array], jax.Array],
    *,
    seeds: Sequence[int] = tuple(range(8)),
    steps: int = 3,
    axis: str = "width",
    predicted: Mapping[Role, Growth] | None = None,
    tolerance: float = 0.15,
) -> CoordinateCheck:
    """How each layer's output, and its change over the first steps, scale with width or depth.

    What neither grows nor shrinks is stable: a learning rate tuned on a narrow network transfers
    to a wide one, and every layer trains.

    Args:
      make: `width -> Subject`: the model at this width (or depth).
      widths: at least two.
      batch: the inputs of every step.
      loss: `outputs -> scalar`; labels are closed over.
      seeds: of the starts, at least two; intervals are over them.
      steps: of the optimizer, at least 1.
      axis: what `make` varies, as tables and pictures call it. Where layers' names change with it,
        as with depth, the first, the middle and the last hidden one and the output are compared.
      predicted: slopes by role, as `theory.growth` gives them: INPUT of the first layer, READOUT of
        the output, WEIGHT of those between.
      tolerance: slopes of up to so much count as flat. At a finite width the powers below the
        leading one change a slope: by up to 0.1 at 128 to 2048 units, in the cases measured.

    Returns:
      The check; print it. `figures.draw_coordinates({title: check.to_dataset()})` is its picture.

    Raises:
      TypeError: if make or loss is not a function, a count not an integer, a loss not a scalar, or
        batch traced.
      ValueError: if there are too few widths, seeds, layers or steps, one of them is given
        twice, or tolerance is negative.

    Source: Yang et al. 2022, arXiv:2203.03466, appendix D.1.

    >>> def make(width):
    ...     def init(key):
    ...         first = jax.random.normal(key, (2, width))
    ...         return {"first": first, "last": first[0] / width}
    ...     def layers(params, x):
    ...         z = x @ params["first"]
    ...         return {"first": z, "last": jnp.tanh(z) @ params["last"]}
    ...     return Subject(init, layers, optax.sgd(0.1))
    >>> check = coordinate_check(make, [8, 16], np.ones((4, 2), np.float32), jnp.mean, steps=1)
    >>> check.layers, check.change.shape
    (('first', 'last'), (2, 8, 1, 2))
    """
    checks.check_known("batch", batch, "coordinate_check")
    checks.check_callable("make", make)
    checks.check_callable("loss", loss)
    checks.check_count("steps", steps, 1)
    checks.check_scale("tolerance", tolerance)
    for name, values, least in (("widths", widths, 1), ("seeds", seeds, 0)):
        for value in values:
            checks.check_count(name, value, least)
        if len(values) < 2 or len(set(values)) < len(values):
            raise ValueError(f"{name} must hold at least two, all different, got {list(values)}")
    for role, growth in (predicted or {}).items():
        checks.check_kind("predicted: a role", role, Role)
        checks.check_kind(f"predicted[{role}]", growth, Growth)
    if any(np.shape(leaf)[:1] == (0,) for leaf in jax.tree.leaves(batch)):
        raise ValueError("batch must hold at least one example, got none")
    keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))
    subjects = [_subject(make, width) for width in widths]
    layers, columns = _common([_names(subject, batch, keys[0]) for subject in subjects])
    measured = [_measured(subject, loss, steps, keys, batch) for subject in subjects]
    sizes = np.stack(
        [each[..., list(chosen)] for each, chosen in zip(measured, columns, strict=True)]
    )
    return CoordinateCheck(
        axis,
        tuple(int(width) for width in widths),
        layers,
        sizes[:, :, 0],
        sizes[:, :, 1:],
        {} if predicted is None else _by_place(layers, predicted),
        tolerance,
    )


@checks.checked
def assert_coordinates_stable(check: CoordinateCheck) -> None:
    """Asserts that a coordinate check passes: nothing grows, and every layer trains.

    Args:
      check: what `coordinate_check` found.

    Raises:
      AssertionError: if its verdict is not "pass", with its table.
    """
    if check.verdict != "pass":
        raise AssertionError(f"coordinates change with {check.axis}:\n{check}")


def _subject(make: Callable[[int], Subject], width: int) -> Subject:
    with checks.calling("make", f"({width})"):
        subject = make(width)
    checks.check_kind(f"make({width})", subject, Subject)
    for part in ("init", "layers"):
        checks.check_callable(f"make({width}).{part}", getattr(subject, part))
    checks.check_optimizer(f"make({width}).optimizer", subject.optimizer)
    return subject


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


def _measured(subject: Subject, loss: Loss, steps: int, keys: jax.Array, batch: Any) -> np.ndarray:
    """[S, 1 + steps, L]: rms at the start, and of each step's change, for each of keys [S]."""

    def measure(key: jax.Array, batch: Any) -> jax.Array:
        def outputs(params: Params) -> list[jax.Array]:
            return list(subject.layers(params, batch).values())

        params = subject.init(key)
        start = outputs(params)

        def step(state: tuple[Params, Any], _: None) -> tuple[tuple[Params, Any], jax.Array]:
            params, memory = state
            gradient = jax.grad(lambda params: _number(loss(outputs(params)[-1])))(params)
            updates, memory = subject.optimizer.update(gradient, memory, params)
            params = optax.apply_updates(params, updates)
            # From the start and not from the step before: theory is of the sum of the updates.
            changes = [after - before for after, before in zip(outputs(params), start, strict=True)]
            return (params, memory), _rms(changes)

        state = params, subject.optimizer.init(params)
        _, changes = jax.lax.scan(step, state, length=steps)
        return jnp.concatenate([_rms(start)[None], changes])

    # lax.map and not vmap: params of a wide network for all seeds at once might not fit in memory.
    program = jax.jit(lambda keys, batch: jax.lax.map(lambda key: measure(key, batch), keys))
    # The same program, as of a `make` that gives one Subject for a width again, is compiled once.
    placed = tuple(getattr(leaf, "sharding", None) for leaf in jax.tree.leaves((keys, batch)))
    compiled = compile_or_reuse(program.lower(keys, batch), Lowered.compile, *placed)
    return np.asarray(compiled(keys, batch))


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


def _by_place(layers: Sequence[str], predicted: Mapping[Role, Growth]) -> dict[str, Growth]:
    first, *between, output = layers
    roles = {first: Role.INPUT, **dict.fromkeys(between, Role.WEIGHT), output: Role.READOUT}
    return {name: predicted[role] for name, role in roles.items() if role in predicted}
