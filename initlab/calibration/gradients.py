"""Scales learned by descent: on the gradient's change in a step, or on the loss after one."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from initlab import checks
from initlab.calibration.products import Entry, scale
from initlab.taps import read_model
from initlab.types import Params

__all__ = ["gradinit", "metainit"]

Apply = Callable[[Params, Any], Any]
Loss = Callable[[Any], jax.Array]

LEAST = 0.01
"""Scales stay above it, as in Zhu et al. 2021: none may vanish or change its sign."""

OFFSET = 1e-5
"""Keeps the quotient finite where a gradient is zero, as in Dauphin and Schoenholz 2019."""


def metainit(
    key: jax.Array,
    apply: Apply,
    params: Params,
    batch: Any,
    *,
    loss: Loss,
    steps: int = 100,
    learning_rate: float = 0.1,
    momentum: float = 0.9,
) -> Params:
    """Scales that make `mean |(g - H g) / g - 1|` small: a step hardly changes the gradient.

    Signed gradient descent with momentum on the logarithm of each weight's norm; of all steps the
    scales with the smallest quotient are kept.

    Args:
      key: a JAX key, as every refiner takes; nothing is drawn.
      apply: a pure function `(params, batch) -> outputs`.
      params: where to begin; scales of arrays with two axes or more are learned.
      batch: inputs; the paper draws them and the labels at random.
      loss: `outputs -> scalar`, labels closed over.
      steps: of the descent.
      learning_rate: of the logarithms: by how much a scale changes in one step.
      momentum: of the descent.

    Returns:
      The params.

    Raises:
      TypeError: if apply or loss is not a function, or steps not an integer.
      ValueError: if steps is under 1 or learning_rate not positive.

    Source: Dauphin and Schoenholz 2019, MetaInit: initializing learning by learning to initialize,
    equation 3 and algorithm 1 (there on the norms themselves).
    """
    del key
    _check(apply, loss, steps, learning_rate)
    entries = _entries(apply, params, batch, 2)

    def objective(params: Params) -> jax.Array:
        return loss(apply(params, batch))

    def quotient(scales: jax.Array) -> tuple[jax.Array, jax.Array]:
        at = scale(params, entries, jnp.exp(scales))
        gradient = jax.grad(objective)(at)
        _, bent = jax.jvp(jax.grad(objective), (at,), (gradient,))

        def change(g: jax.Array, h: jax.Array) -> jax.Array:
            offset = jnp.where(g >= 0, jnp.asarray(OFFSET, g.dtype), jnp.asarray(-OFFSET, g.dtype))
            return jnp.sum(jnp.abs((g - h) / (g + offset) - 1))

        total = jnp.stack(jax.tree.leaves(jax.tree.map(change, gradient, bent))).sum()
        return total / sum(leaf.size for leaf in jax.tree.leaves(params)), jnp.asarray(True)

    found = _descend(quotient, len(entries), steps, learning_rate, momentum)
    return scale(params, entries, jnp.exp(found))


def gradinit(
    key: jax.Array,
    apply: Apply,
    params: Params,
    batch: Any,
    *,
    loss: Loss,
    step_size: float = 0.1,
    bound: float = 1.0,
    steps: int = 100,
    learning_rate: float = 0.03,
    momentum: float = 0.9,
) -> Params:
    """Scales s that minimize `L(s w - step_size g)`, the loss after one step, with `|g| <= bound`.

    Where the gradient's norm is above the bound it is the norm that is descended on. Signed
    gradient descent with momentum on the logarithm of each parameter's scale, in place of the
    paper's Adam on the scale; of all steps within the bound the scales with the least loss are
    kept, or else those with the least norm.

    Args:
      key: a JAX key, as every refiner takes; nothing is drawn.
      apply: a pure function `(params, batch) -> outputs`.
      params: where to begin; every array has a scale.
      batch: inputs.
      loss: `outputs -> scalar`, labels closed over.
      step_size: of the one step: the learning rate that training will begin with.
      bound: of the gradient's norm.
      steps: of the descent on the scales.
      learning_rate: of the logarithms: by how much a scale changes in one step.
      momentum: of the descent.

    Returns:
      The params.

    Raises:
      TypeError: if apply or loss is not a function, or steps not an integer.
      ValueError: if steps is under 1 or learning_rate not positive.

    Source: Zhu et al. 2021, arXiv:2102.08098, equation 1 and algorithm 1, for a step of SGD on the
    same batch.
    """
    del key
    _check(apply, loss, steps, learning_rate)
    entries = _entries(apply, params, batch, 0)

    def objective(params: Params) -> jax.Array:
        return loss(apply(params, batch))

    def goal(scales: jax.Array) -> tuple[jax.Array, jax.Array]:
        at = scale(params, entries, jnp.exp(scales))
        gradient = jax.grad(objective)(at)
        norm = optax.tree.norm(gradient)
        after = objective(jax.tree.map(lambda w, g: w - step_size * g, at, gradient))
        return jnp.where(norm > bound, norm, after), norm <= bound

    found = _descend(goal, len(entries), steps, learning_rate, momentum)
    return scale(params, entries, jnp.exp(found))


def _descend(
    goal: Callable[[jax.Array], tuple[jax.Array, jax.Array]],
    count: int,
    steps: int,
    learning_rate: float,
    momentum: float,
) -> jax.Array:
    """Logarithms of scales [count]: the best that a descent comes by, its start included.

    The goal gives what is descended on and whether the scales are allowed; allowed ones are better
    than any others.
    """

    def step(state: tuple, _: None) -> tuple[tuple, None]:
        at, velocity, (best, least, had) = state
        (value, allowed), slopes = jax.value_and_grad(goal, has_aux=True)(at)
        better = (allowed & ~had) | ((allowed == had) & (value < least))
        kept = jax.tree.map(
            lambda new, old: jnp.where(better, new, old),
            (at, value, allowed),
            (best, least, had),
        )
        velocity = momentum * velocity - learning_rate * jnp.sign(jnp.nan_to_num(slopes))
        at = jnp.maximum(at + velocity, jnp.log(jnp.asarray(LEAST, at.dtype)))
        return (at, velocity, kept), None

    zeros = jnp.zeros(count, jnp.float32)
    nothing = zeros, jnp.asarray(jnp.inf, jnp.float32), jnp.asarray(False)
    state, _ = jax.lax.scan(step, (zeros, zeros, nothing), length=steps)
    return state[2][0]


def _entries(apply: Apply, params: Params, batch: Any, rank: int) -> list[Entry]:
    """Parameters of at least so many axes, slice by slice where a loop over layers takes them."""
    model = read_model(apply, params, batch)
    entries: list[Entry] = []
    for number, shape in enumerate(model.shapes):
        is_stacked = bool(model.notes.stacked >> number & 1)
        if len(shape) - is_stacked >= rank:
            entries += [(number, n) for n in range(shape[0])] if is_stacked else [(number, None)]
    return entries


def _check(apply: Apply, loss: Loss, steps: int, learning_rate: float) -> None:
    checks.check_callable("apply", apply)
    checks.check_callable("loss", loss)
    checks.check_count("steps", steps, 1)
    checks.check_scale("learning_rate", learning_rate)
    if learning_rate == 0:
        raise ValueError("learning_rate must be positive, got 0")
