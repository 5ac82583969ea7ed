"""Training watched for the first step at which units differ, and that step redone to say why.

A run keeps the params and the optimizer's memory from just before the units first differ. That one
step is then redone with the same randomness, one term of the update taken out, or all but one.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from experiments.what_breaks_symmetry.training import Data, Noise, Problem, State, Treatment
from initlab.symmetry import count_classes, mlp_groups, symmetric_part, unit_kinds, units_identical
from initlab.types import Params

__all__ = ["TERMS", "VISIBLE", "Event", "Found", "make_run", "run_all"]

VISIBLE = 1e-3
"""A parameter so far from its start has moved by more than rounding."""


class Terms(NamedTuple):
    """A boolean for each term of an update that can be taken out of it.

    Attributes:
      incoming_weights: differences between the units' incoming weights (their mean instead).
      biases: differences between the units' biases.
      outgoing_weights: differences between their outgoing weights.
      minibatch: the choice of examples (all of them instead).
      memory: what the optimizer remembers (a fresh one instead).
      weight_decay: the decay.
      input_noise: the noise of the inputs.
      label_noise: the noise of the labels.
      dropout: the mask (ones instead).
    """

    incoming_weights: Any
    biases: Any
    outgoing_weights: Any
    minibatch: Any
    memory: Any
    weight_decay: Any
    input_noise: Any
    label_noise: Any
    dropout: Any


TERMS = Terms._fields


class Event(NamedTuple):
    """The first time that units differ.

    Attributes:
      step: after which step; 0 is the start, -1 never.
      by: [terms] booleans: what made them differ: the terms without which, each taken out alone,
        they would not have. Where there is none, those which on their own would have done it.
      any_would_do: whether `by` holds terms of the second kind.
    """

    step: jax.Array
    by: jax.Array
    any_would_do: jax.Array


class Found(NamedTuple):
    """What a run showed.

    Attributes:
      apart: when units were first not exchangeable: some parameter differs.
      broken: when they first computed different functions of the task's inputs.
      moved: whether a bit of a hidden weight or bias or of an outgoing weight ever changed.
      visible: after which step one of them was first further than VISIBLE from its start; or -1.
      exchangeable: classes of units at the end, by their parameters.
      identical: by what they compute.
      mirrored: by what they compute but for the sign.
      loss: at the end, on the task's data, without any noise.
    """

    apart: Event
    broken: Event
    moved: jax.Array
    visible: jax.Array
    exchangeable: jax.Array
    identical: jax.Array
    mirrored: jax.Array
    loss: jax.Array


class Seen(NamedTuple):
    """What is kept of the two first times that units differ, [2, ...]: in params, in functions."""

    step: jax.Array
    before: State


def make_run(problem: Problem, steps: int) -> Callable[[Any, Params, Treatment], Found]:
    """Describes a run; nothing is computed yet.

    Args:
      problem: what is trained, on what, by what.
      steps: of the optimizer, at least 1.

    Returns:
      `(seed, params at the start, treatment) -> Found`, pure. A step's randomness depends on the
      seed alone, so that a vmap over starts and treatments shares it.
    """
    data = Data(problem)

    def both_identical(params: Params) -> jax.Array:
        return jnp.stack([units_identical(params), data.functions_identical(params)])

    def run(seed: Any, start: Params, treatment: Treatment) -> Found:
        # All of it at once: drawn inside the loop it would be drawn again for each of its uses.
        noises = data.draw(jax.random.key(seed), steps)
        first = State(start, problem.optimizer(treatment).init(start))

        def watch(carry: tuple, moment: tuple[jax.Array, Noise]) -> tuple:
            state, seen, moved, visible = carry
            number, noise = moment
            after = data.step(state, treatment, noise)
            seen = _look(both_identical(after.params), number, state, seen)
            moved |= _distance(state.params, after.params) > 0
            is_visible = (_distance(start, after.params) > VISIBLE) & (visible < 0)
            return (after, seen, moved, jnp.where(is_visible, number, visible)), None

        never = jnp.int32(-1)
        unseen = Seen(
            jnp.broadcast_to(never, 2), jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), first)
        )
        seen = _look(both_identical(start), jnp.int32(0), first, unseen)
        carry = (first, seen, jnp.bool_(False), never)
        numbers = jnp.arange(1, steps + 1, dtype=jnp.int32)
        (last, seen, moved, visible), _ = jax.lax.scan(watch, carry, (numbers, noises))

        def redo(which: jax.Array, seen: Seen, removed: jax.Array) -> jax.Array:
            """Whether units are identical after the recorded step, with terms taken out."""
            state, changed = _without(Terms(*removed), seen.before, treatment, problem)
            noise = jax.tree.map(lambda drawn: drawn[jnp.maximum(seen.step - 1, 0)], noises)
            after = data.step(state, changed, noise)
            # Units that differ at the start are explained by its pieces: no step is taken.
            is_start = seen.step == 0
            reached = jax.tree.map(
                lambda old, new: jnp.where(is_start, old, new), state.params, after.params
            )
            return both_identical(reached)[which]

        (group,) = mlp_groups(start)
        kinds = unit_kinds(last.params, group, data.hidden(last.params).T)
        asked = (kinds.exchangeable, kinds.identical, kinds.mirrored)
        exchangeable, identical, mirrored = map(count_classes, asked)
        loss = problem.task.loss(problem.network.apply(last.params, problem.task.x), problem.task.y)
        apart, broken = _explain(redo, seen)
        return Found(apart, broken, moved, visible, exchangeable, identical, mirrored, loss)

    return run


def run_all(
    problem: Problem, steps: int, seeds: Sequence[int], starts: Params, treatments: Treatment
) -> Found:
    """Every seed x start x treatment, in one program on every device that the seeds go round.

    Args:
      problem: what is trained.
      steps: of the optimizer.
      seeds: of the steps' randomness.
      starts: params [seeds, S, ...].
      treatments: numbers [T] in each field.

    Returns:
      What was found [seeds, S, T, ...].
    """
    run = make_run(problem, steps)
    grid = jax.vmap(jax.vmap(run, (None, None, 0)), (None, 0, None))

    def of_seeds(seeds: jax.Array, starts: Params, treatments: Treatment) -> Found:
        # One seed at a time: its runs share the noise.
        return jax.lax.map(lambda each: grid(each[0], each[1], treatments), (seeds, starts))

    devices = jax.local_devices()
    count = max(n for n in range(1, len(devices) + 1) if len(seeds) % n == 0)
    split, whole = PartitionSpec("seeds"), PartitionSpec()
    across = jax.shard_map(
        of_seeds,
        mesh=Mesh(np.asarray(devices[:count]), ("seeds",)),
        in_specs=(split, split, whole),
        out_specs=split,
        check_vma=False,
    )
    found = jax.jit(across)(jnp.asarray(seeds, jnp.int32), starts, treatments)
    return jax.tree.map(np.asarray, found)


def _look(identical: jax.Array, number: jax.Array, before: State, seen: Seen) -> Seen:
    """Keeps the step's number and what was before it, where units differ for the first time."""
    first = ~identical & (seen.step < 0)

    def keep(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(first.reshape(-1, *[1] * new.ndim), new[None], old)

    return Seen(jnp.where(first, number, seen.step), jax.tree.map(keep, before, seen.before))


def _explain(
    redo: Callable[[jax.Array, Seen, jax.Array], jax.Array], seen: Seen
) -> tuple[Event, Event]:
    """Takes terms out of the kept steps: each alone, all but each, none and all."""
    count = len(TERMS)
    one = np.eye(count, dtype=bool)
    removals = np.concatenate([one, ~one, np.zeros((1, count), bool), np.ones((1, count), bool)])
    over_removals = jax.vmap(redo, (None, None, 0))
    identical = jax.vmap(over_removals, (0, 0, None))(jnp.arange(2), seen, jnp.asarray(removals))
    # Needed: without this term alone the units stay identical. Enough: with this term alone they
    # come to differ.
    needed, enough = identical[:, :count], ~identical[:, count : 2 * count]
    # Redone as it was, units must differ again; with every term taken out they must not: else it
    # was none of the terms, and `by` stays empty.
    is_explained = (seen.step >= 0) & ~identical[:, -2] & identical[:, -1]
    any_would_do = is_explained & ~jnp.any(needed, axis=1)
    by = is_explained[:, None] & jnp.where(any_would_do[:, None], enough, needed)
    apart, broken = (Event(seen.step[which], by[which], any_would_do[which]) for which in (0, 1))
    return apart, broken


def _without(
    removed: Terms, state: State, treatment: Treatment, problem: Problem
) -> tuple[State, Treatment]:
    """The state before a step and the numbers of its treatment, with terms taken out."""
    # The units' mean and not zero: it removes their differences and keeps their common value.
    mean = symmetric_part(state.params, mlp_groups(state.params))
    averaged = {
        "layer_1": {"weight": removed.incoming_weights, "bias": removed.biases},
        "layer_2": {"weight": removed.outgoing_weights, "bias": jnp.bool_(False)},
    }
    params = jax.tree.map(jnp.where, averaged, mean, state.params)
    fresh = problem.optimizer(treatment).init(params)
    memory = jax.tree.map(lambda new, old: jnp.where(removed.memory, new, old), fresh, state.memory)
    numbers = {
        name: jnp.where(getattr(removed, name), 0, getattr(treatment, name))
        for name in ("minibatch", "weight_decay", "input_noise", "label_noise", "dropout")
    }
    return State(params, memory), treatment._replace(**numbers)


def _distance(start: Params, end: Params) -> jax.Array:
    """How far the parameter that moved most has moved; but for the output's bias."""
    moves = jax.tree.map(lambda old, new: jnp.max(jnp.abs(new - old)), start, end)
    return jnp.max(jnp.stack([*moves["layer_1"].values(), moves["layer_2"]["weight"]]))
