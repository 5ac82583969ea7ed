"""A training run and its loss, from a network, a task, an optimizer and probes."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax

from initlab import checks
from initlab.initializers import initialize
from initlab.keys import path_key
from initlab.networks.convolutions import convolutions_as_products
from initlab.networks.layer_params import layer_names
from initlab.training.data import cast_inputs, convolved, describe, dtype_of, training_data
from initlab.training.points import (
    Point,
    Recorded,
    as_array,
    check_point,
    made,
    network_at,
    outline,
)
from initlab.training.reducing import (
    Reductions,
    has_stopped,
    reductions_at,
    results,
    starts,
    updates,
)
from initlab.training.steps import State, all_finite, make_step
from initlab.types import Batch, History, Initializer, Network, Params, Probe, Task

__all__ = ["Point", "Run", "make_loss", "make_run"]


@dataclasses.dataclass(frozen=True)
class Run:
    """A training run: `run(point) -> History`, pure, and made to be jitted and vmapped.

    Attributes:
      function: the run itself, compiled.
      check: `point -> None`: raises for a point of concrete numbers that the run cannot take,
        without running it.
      layers: names of the network's layers, in the order of a per-layer measurement.
      description: the run in plain values: steps, every, batch_size, probes, parameters
        (shapes by path), dtype, examples, task_sha256 (of the task's arrays); where there are
        convolutions, how many numbers they give in a step: convolved.
    """

    function: Callable[[Point], History]
    check: Callable[[Point], None]
    layers: tuple[str, ...]
    description: Mapping[str, Any] = dataclasses.field(hash=False, compare=False)
    __name__ = "run"

    def __call__(self, point: Point) -> History:
        """Trains from the start that the point describes; see `make_run`."""
        # Inside jit or vmap the numbers are tracers, and whoever made them checks them.
        if not isinstance(point, Mapping):
            raise TypeError(f"a point must be a dict of numbers by name, got {point!r:.80}")
        if all(checks.is_concrete(value) for value in point.values()):
            self.check(point)
        return self.function(dict(point))


@checks.checked
def make_loss(network: Network, task: Task) -> Callable[[Params], jax.Array]:
    """`params -> mean loss on the task's training data`: what gradient descent descends.

    Args:
      network: the model.
      task: data and loss.

    Returns:
      A pure function; `jax.jit(jax.value_and_grad(...))` of it is forward and backward in one.

    Raises:
      ValueError: if the network's inputs or outputs do not fit the task's.

    >>> from initlab import networks, tasks
    >>> network = networks.mlp((2, 4, 1), jnp.tanh)
    >>> params = jax.tree.map(lambda spec: jnp.zeros(spec.shape), network.specs)
    >>> round(float(make_loss(network, tasks.xor())(params)), 6)
    0.693147
    """
    x, y = training_data(network, task)

    def loss(params: Params) -> jax.Array:
        return task.loss(network.apply(params, x), y)

    return convolutions_as_products(loss) if convolved(network, x, len(x)) else loss


@checks.checked
def make_run(
    network: Network | Callable[[Point], Network],
    init: Callable[[Point], Any],
    task: Task,
    *,
    optimizer: Callable[[Point], optax.GradientTransformation],
    steps: int,
    every: int,
    probes: Sequence[Probe] = (),
    batch_size: int | None = None,
    invariants: Sequence[Callable[[Params], None]] = (),
    reductions: Reductions | Callable[[Point], Reductions] | None = None,
    stop: str | None = None,
    curves: bool = True,
) -> Run:
    """Describes a training run; nothing is computed yet.

    The run draws its params under `jax.random.key(point["seed"])`, takes `steps` optimizer steps on
    the task's loss, and measures the probes at steps 0, every, 2 every, ..., steps. A run whose
    params become NaN or infinite goes on to its end and records when that happened.

    Args:
      network: the model, or `point -> model` where its numbers depend on the point, as multipliers
        or an activation's slope do; its parameters and layers must be the same at every point.
      init: `point -> initializer`, or `point -> params` (any pytree of the specs' shapes).
      task: data, loss, metric.
      optimizer: `point -> optax.GradientTransformation`.
      steps: how many optimizer steps, at least 1 and a multiple of `every`.
      every: steps between two snapshots.
      probes: what is measured at each snapshot.
      batch_size: examples in a minibatch, drawn without replacement within an epoch under a key of
        the seed; the last `B mod batch_size` of each epoch's order are left out. None is full
        batch.
      invariants: chex assertions `params -> None`, made before the first step and after each; they
        need `chex.chexify(jax.jit(run))` around the run.
      reductions: `{name: reduction}` of `initlab.reductions`, or `point -> {name: reduction}`:
        numbers that are made of the snapshots' values while the run goes.
      stop: name of a reduction that is an event: from the snapshot at which it comes on, the run
        takes no more steps, and its snapshots stay what they are.
      curves: whether the history holds the values of every snapshot; without, step and values are
        empty, and the reductions are all that a run leaves.

    Returns:
      `run(point) -> History`. It raises ValueError for a point that lacks a name the run uses or
      has one it does not use, and whatever `network`, `init` and `optimizer` raise for its numbers.

    Raises:
      TypeError: if a count is not an integer, init, optimizer or a probe not a function, or network
        asks for the value of one of the point's numbers.
      ValueError: if a count is out of range, or the network does not fit the task; from the run, if
        a reduction is of a value that no probe measures, or stop names no event.

    >>> from initlab import initializers, networks, probes, tasks
    >>> run = make_run(
    ...     networks.mlp((2, 4, 1), jnp.tanh),
    ...     lambda point: initializers.by_role(initializers.normal(point["std"])),
    ...     tasks.xor(points=8),
    ...     optimizer=lambda point: optax.sgd(point["learning_rate"]),
    ...     steps=2,
    ...     every=1,
    ...     probes=[probes.loss],
    ... )
    >>> history = run({"seed": 0, "std": 0.0, "learning_rate": 0.5})
    >>> history.step.tolist(), [round(each, 6) for each in history.values["loss"].tolist()]
    ([0, 1, 2], [0.693147, 0.693147, 0.693147])
    """
    _check_description(task, steps, every, batch_size)
    if stop is not None and reductions is None:
        raise ValueError(f"stop must name one of the reductions, got {stop!r} and no reductions")
    whole = outline(network)
    x, y = training_data(whole, task)
    dtype = dtype_of(whole)
    x_test = None if task.x_test is None else cast_inputs(task.x_test, dtype)
    y_test = None if task.y_test is None else jnp.asarray(task.y_test)

    def descend(point: Point) -> History:
        used = Recorded({name: as_array(value, dtype) for name, value in point.items()})
        model = network_at(network, whole, used)
        key = jax.random.key(used["seed"])
        start = _draw_start(model, made("init", init, used), key)
        descent = made("optimizer", optimizer, used)
        batch = Batch(x, y, x_test, y_test, task.objective, start)
        minibatches = None if batch_size is None else (path_key(key, "batches"), batch_size)
        step = make_step(model, batch, descent, minibatches, invariants)

        reduced = reductions_at({} if reductions is None else reductions, used)

        def snapshot(carry: tuple[State, dict], span: tuple) -> tuple[tuple, Any]:
            state, carried = carry
            values = _measure(probes, model, state.params, batch)
            first, count = span
            carried = updates(reduced, carried, first, values)
            if stop is not None:
                # Of no steps, so that under vmap the loop itself chooses for each run.
                count = jnp.where(has_stopped(stop, reduced, carried), 0, count)
            state = jax.lax.fori_loop(
                0, count, lambda i, state: step(first + i.astype(jnp.int32), state), state
            )
            return (state, carried), values if curves else None

        for invariant in invariants:
            invariant(start)
        finite_from_start = jnp.where(all_finite(start), -1, 0).astype(jnp.int32)
        order = jnp.arange(x.shape[0] if batch_size else 0, dtype=jnp.int32)
        state = State(start, descent.init(start), order, finite_from_start)
        first = jnp.arange(0, steps + 1, every, dtype=jnp.int32)
        # The last snapshot is followed by no step, so that probes are compiled only once.
        count = jnp.where(first < steps, every, 0).astype(jnp.int32)
        carried = {}
        if reductions is not None:
            like = jax.eval_shape(lambda params: _measure(probes, model, params, batch), start)
            carried = starts(reduced, like, np.arange(0, steps + 1, every))
        (state, carried), values = jax.lax.scan(snapshot, (state, carried), (first, count))
        used.check_all_used()
        found = results(reduced, carried)
        if not curves:
            first, values = first[:0], {}
        return History(first, values, state.first_nonfinite, state.params, found)

    def check(point: Point) -> None:
        check_point(point, dtype)
        used = Recorded(point)
        network_at(network, whole, used)
        made("init", init, used)
        made("optimizer", optimizer, used)
        reductions_at({} if reductions is None else reductions, used)

    description = describe(whole, task, probes, steps, every, batch_size)
    positions = convolved(whole, x, batch_size or len(x))
    if positions:
        description["convolved"] = positions
    # Gradients, probes and a refiner of the start are within: their convolutions are met as well.
    function = convolutions_as_products(descend) if positions else descend
    return Run(jax.jit(function), check, layer_names(whole), description)


def _draw_start(network: Network, given: Any, key: jax.Array) -> Params:
    """The params before the first step, from what `init(point)` gave."""
    if callable(given):
        return initialize(key, network.specs, cast(Initializer, given))
    dtype = dtype_of(network)
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), given)
    checks.check_params(params, network.specs)
    return params


def _measure(
    probes: Sequence[Probe], network: Network, params: Params, batch: Batch
) -> dict[str, jax.Array]:
    values: dict[str, jax.Array] = {}
    for probe in probes:
        name = checks.called(probe)
        with checks.calling(f"probe {name}", "(network, params, batch)"):
            measured = probe(network, params, batch)
        if not isinstance(measured, Mapping):
            raise TypeError(f"probe {name} must give a dict of arrays, got {measured!r:.80}")
        if twice := sorted(set(values) & set(measured)):
            raise ValueError(f"two probes measure {twice}")
        values |= measured
    return values


def _check_description(task, steps, every, batch_size) -> None:
    checks.check_count("every", every, 1)
    checks.check_count("steps", steps, 1)
    if steps % every:
        raise ValueError(f"steps must be a multiple of every, got steps={steps}, every={every}")
    if batch_size is not None:
        checks.check_count("batch_size", batch_size, 1)
        if batch_size > len(task.x):
            raise ValueError(f"batch_size must be at most {len(task.x)}, got {batch_size}")
