"""Scales learned by descent: on the gradient's change in a step, or on the loss after one."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from initlab import checks
from initlab.calibration.compiled import run_compiled
from initlab.calibration.products import Entry, scale
from initlab.taps import Model, measure_signals, read_model
from initlab.types import Apply, Number, OutputLoss, Params

__all__ = ["gradinit", "metainit"]

Objective = Callable[[Params], jax.Array]
Goal = Callable[[Objective, Params], tuple[jax.Array, jax.Array | bool]]
"""What is descended on at some params, given the loss by params, and whether they are allowed."""

LEAST = 0.01
"""Scales stay above it, as in Zhu et al. 2021: none may vanish or change its sign."""

PASSED_ON = 0.1
"""A signal's rms under this share of 1, or of the start's where that is less, has vanished."""

OFFSET = 1e-5
"""Keeps the quotient finite where a gradient is zero, as in Dauphin and Schoenholz 2019."""


@checks.checked
def metainit(
    key: jax.Array,
    apply: Apply,
    params: Params,
    batch: Any,
    *,
    loss: OutputLoss,
    steps: int = 100,
    learning_rate: Number = 0.1,
    momentum: Number = 0.9,
) -> Params:
    """Scales that make `mean |(g - H g) / g - 1|` small: a step hardly changes the gradient.

    Signed gradient descent with momentum on the logarithm of each weight's norm; of all steps the
    scales with the smallest quotient are kept, among those under which no layer's signal falls
    under a tenth of 1, or of its start's rms.

    Args:
      key: a JAX key, as every refiner takes; nothing is drawn.
      apply: a pure function `(params, batch) -> outputs`.
      params: where to begin; scales of arrays with two axes or more are learned.
      batch: inputs; the paper draws them and the labels at random.
      loss: `outputs -> scalar`, labels closed over.
      steps: of the descent.
      learning_rate: of the logarithms: by how much a scale changes in one step; may be traced.
      momentum: of the descent; may be traced.

    Returns:
      The params.

    Raises:
      TypeError: if apply or loss is not a function, a leaf of params is not a floating array, steps
        not an integer, or another argument not a number.
      ValueError: if steps is under 1, learning_rate not positive, or momentum not in [0, 1).

    Source: Dauphin and Schoenholz 2019, MetaInit: initializing learning by learning to initialize,
    equation 3 and algorithm 1 (there on the norms themselves).
    """
    del key
    checks.check_model(apply, params, batch)
    _check(loss, _Descent(steps, learning_rate, momentum))
    return run_compiled(_metainit, (apply, loss, steps), params, batch, learning_rate, momentum)


def _metainit(
    apply: Apply,
    loss: OutputLoss,
    steps: int,
    params: Params,
    batch: Any,
    learning_rate: Number,
    momentum: Number,
) -> Params:
    """What is compiled of `metainit`."""
    descent = _Descent(steps, learning_rate, momentum)
    return _learn_scales(_quotient, apply, params, batch, loss, descent, least_rank=2)


def _quotient(objective: Objective, at: Params) -> tuple[jax.Array, bool]:
    """`mean |(g - H g) / g - 1|`, H g a derivative of the gradient along itself."""
    dtype = _precision(at)
    gradient = jax.grad(objective)(at)
    _, curved = jax.jvp(jax.grad(objective), (at,), (gradient,))

    def change(g: jax.Array, h: jax.Array) -> jax.Array:
        g, h = g.astype(dtype), h.astype(dtype)
        # The offset has the gradient's sign, so that it never cancels it.
        return jnp.sum(jnp.abs((g - h) / (g + jnp.where(g >= 0, OFFSET, -OFFSET)) - 1))

    total = jnp.stack(jax.tree.leaves(jax.tree.map(change, gradient, curved))).sum()
    return total / sum(leaf.size for leaf in jax.tree.leaves(at)), True


@checks.checked
def gradinit(
    key: jax.Array,
    apply: Apply,
    params: Params,
    batch: Any,
    *,
    loss: OutputLoss,
    step_size: Number = 0.1,
    bound: Number = 1.0,
    steps: int = 100,
    learning_rate: Number = 0.03,
    momentum: Number = 0.9,
) -> Params:
    """Scales s that minimize `L(s w - step_size g)`, the loss after one step, with `|g| <= bound`.

    Where the gradient's norm is above the bound it is the norm that is descended on. Signed
    gradient descent with momentum on the logarithm of each parameter's scale, in place of the
    paper's Adam on the scale; of all steps within the bound the scales with the least loss are
    kept, or else those with the least norm; none under which a layer's signal falls under a tenth
    of 1, or of its start's rms.

    Args:
      key: a JAX key, as every refiner takes; nothing is drawn.
      apply: a pure function `(params, batch) -> outputs`.
      params: where to begin; every array has a scale.
      batch: inputs.
      loss: `outputs -> scalar`, labels closed over.
      step_size: of the one step: the learning rate that training will begin with; may be traced.
      bound: of the gradient's norm; may be traced.
      steps: of the descent on the scales.
      learning_rate: as for `metainit`.
      momentum: as for `metainit`.

    Returns:
      The params.

    Raises:
      TypeError: as `metainit`.
      ValueError: as `metainit`, and if step_size or bound is negative.

    Source: Zhu et al. 2021, arXiv:2102.08098, equation 1 and algorithm 1, for a step of SGD on the
    same batch.
    """
    del key
    checks.check_scale("step_size", step_size)
    checks.check_scale("bound", bound)
    checks.check_model(apply, params, batch)
    _check(loss, _Descent(steps, learning_rate, momentum))
    numbers = (step_size, bound, learning_rate, momentum)
    return run_compiled(_gradinit, (apply, loss, steps), params, batch, *numbers)


def _gradinit(
    apply: Apply,
    loss: OutputLoss,
    steps: int,
    params: Params,
    batch: Any,
    step_size: Number,
    bound: Number,
    learning_rate: Number,
    momentum: Number,
) -> Params:
    """What is compiled of `gradinit`."""

    def loss_after(objective: Objective, at: Params) -> tuple[jax.Array, jax.Array]:
        dtype = _precision(at)
        gradient = jax.grad(objective)(at)
        # In the params' own dtype a half's squares would overflow.
        norm = optax.tree.norm(jax.tree.map(lambda g: g.astype(dtype), gradient))
        limit = jnp.asarray(bound, dtype)
        stepped = jax.tree.map(lambda w, g: w - jnp.asarray(step_size, g.dtype) * g, at, gradient)
        return jnp.where(norm > limit, norm, objective(stepped).astype(dtype)), norm <= limit

    descent = _Descent(steps, learning_rate, momentum)
    return _learn_scales(loss_after, apply, params, batch, loss, descent, least_rank=0)


class _Descent(NamedTuple):
    """By signs of slopes, with momentum, on logarithms of scales."""

    steps: int
    learning_rate: Number
    momentum: Number


def _learn_scales(
    goal: Goal,
    apply: Apply,
    params: Params,
    batch: Any,
    loss: OutputLoss,
    descent: _Descent,
    *,
    least_rank: int,
) -> Params:
    """Params under the best scales that a descent on the goal passes, its start included.

    Those whose signals are passed on are better than any others, and among them allowed ones.
    Arrays of at least `least_rank` axes have a scale.
    """
    # Logarithms of scales: a step is a factor, whatever the size of what it scales.
    model = read_model(apply, params, batch)
    entries = _entries(model, least_rank)
    before = _signals(model, params, batch)
    dtype = _precision(params)
    rate, momentum = (jnp.asarray(n, dtype) for n in (descent.learning_rate, descent.momentum))

    def objective(params: Params) -> jax.Array:
        with checks.naming_exchanged(apply, params, batch):
            outputs = apply(params, batch)
        with checks.calling("loss", "(outputs)"):
            value = loss(outputs)
        if jnp.shape(value) != ():
            raise ValueError(f"loss must return one real number, got shape {jnp.shape(value)}")
        return value

    def at_scales(scales: jax.Array) -> tuple[jax.Array, jax.Array]:
        scaled = scale(params, entries, jnp.exp(scales))
        value, allowed = goal(objective, scaled)
        # Either goal is met well by a net that passes nothing on. First of all a start passes
        # signals on, then it is allowed. The first step's, where all scales are 1, does.
        passes = _pass_on(_signals(model, jax.lax.stop_gradient(scaled), batch), before)
        # Nothing compares as less than NaN, which once kept would be kept indefinitely.
        rank = jnp.where(passes, 2, 0) + jnp.where(allowed, 1, 0)
        return value, jnp.where(jnp.isfinite(value), rank, 0)

    def step(state: tuple, _: None) -> tuple[tuple, None]:
        at, velocity, (best, least, had) = state
        (value, allowed), slopes = jax.value_and_grad(at_scales, has_aux=True)(at)
        better = (allowed > had) | ((allowed == had) & (value < least))
        kept = jax.tree.map(
            lambda new, old: jnp.where(better, new, old),
            (at, value, allowed),
            (best, least, had),
        )
        # Signs alone: slopes of different layers differ by orders of magnitude.
        velocity = momentum * velocity - rate * jnp.sign(jnp.nan_to_num(slopes))
        at = jnp.maximum(at + velocity, jnp.log(jnp.asarray(LEAST, at.dtype)))
        return (at, velocity, kept), None

    zeros = jnp.zeros(len(entries), dtype)
    nothing = zeros, jnp.asarray(jnp.inf, dtype), jnp.asarray(0)
    (_, _, (best, _, _)), _ = jax.lax.scan(step, (zeros, zeros, nothing), length=descent.steps)
    return scale(params, entries, jnp.exp(best))


def _signals(model: Model, params: Params, batch: Any) -> list[jax.Array]:
    """The rms at every place of the model."""
    return [each["rms"] for each in measure_signals(model, params, batch).values()]


def _pass_on(signals: list[jax.Array], before: list[jax.Array]) -> jax.Array:
    """Whether no signal is under a share of 1 or, where that is less, of what it was."""
    each = [
        jnp.all((now >= PASSED_ON * jnp.minimum(was, 1)) | ~jnp.isfinite(was))
        for now, was in zip(signals, before, strict=True)
    ]
    return jnp.all(jnp.stack(each)) if each else jnp.asarray(True)


def _entries(model: Model, rank: int) -> list[Entry]:
    """Parameters of at least so many axes, slice by slice where a loop over layers takes them."""
    entries: list[Entry] = []
    for number, shape in enumerate(model.shapes):
        is_stacked = bool(model.notes.stacked >> number & 1)
        if len(shape) - is_stacked >= rank:
            entries += [(number, n) for n in range(shape[0])] if is_stacked else [(number, None)]
    return entries


def _precision(params: Params) -> Any:
    """float64 where a parameter is, else float32: halves are too coarse for scales and norms."""
    is_double = any(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(params))
    return jnp.float64 if is_double else jnp.float32


def _check(loss: OutputLoss, descent: _Descent) -> None:
    """Raises what `metainit` says it raises."""
    checks.check_callable("loss", loss)
    steps, learning_rate, momentum = descent
    checks.check_count("steps", steps, 1)
    checks.check_scale("learning_rate", learning_rate)
    if checks.is_concrete(learning_rate) and learning_rate == 0:
        raise ValueError("learning_rate must be positive, got 0")
    checks.check_scale("momentum", momentum)
    if checks.is_concrete(momentum) and momentum >= 1:
        raise ValueError(f"momentum must be under 1, got {momentum}")
