"""What the first step of an optimizer changes: weights, outputs and the loss."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from initlab.audits.evidence import Evidence
from initlab.audits.finding import Finding
from initlab.audits.thresholds import Thresholds
from initlab.compilation import compile_to_run_once
from initlab.programs.trace import as_function
from initlab.taps import Model
from initlab.types import OutputLoss, Params

__all__ = ["FirstUpdate", "WeightUpdate", "check_optimizer", "first_update", "measure_update"]

SMALL = 1e-4
"""Size of the gradients that tell whether an optimizer normalizes: far above Adam's epsilon."""

FACTOR = 8.0
"""Half of them are larger by this: an optimizer that normalizes answers both alike."""


class WeightUpdate(NamedTuple):
    """The first update of one parameter, each number [seeds].

    Attributes:
      update_ratio: rms of the update over rms of the parameter; infinite where that is 0.
      under_epsilon: share of the entries with a gradient whose update is less than half of what a
        large gradient gets: under Adam's first step, g / (|g| + epsilon), those with |g| < epsilon.
        NaN for an optimizer that does not normalize each entry's gradient.
      decay_share: share of the update that weight decay makes up.
      rounded_off: share of the entries whose update is too small to change them in their dtype.
      descent: -<gradient, update>, what the update lowers the loss by to first order.
    """

    update_ratio: Any
    under_epsilon: Any
    decay_share: Any
    rounded_off: Any
    descent: Any


class FirstUpdate(NamedTuple):
    """One step of an optimizer, each number [seeds] (of one start, a number).

    Attributes:
      weights: `{path: its update}`.
      loss_before: at the start.
      loss_after: after the step, on the same batch.
      output_change: rms of the change of the outputs.
      output_rms: rms of the outputs at the start.
      normalizes: whether each entry's update is independent of the size of its gradient.
    """

    weights: dict[str, WeightUpdate]
    loss_before: Any
    loss_after: Any
    output_change: Any
    output_rms: Any
    normalizes: Any

    def of(self, seed: int) -> "FirstUpdate":
        """The numbers of one start."""
        return jax.tree.map(lambda x: float(x[seed]), self)

    def headline(self) -> str:
        """Loss before and after, and the outputs' change, in one line; medians over seeds."""
        before, after, change, rms = (
            float(np.median(x))
            for x in (self.loss_before, self.loss_after, self.output_change, self.output_rms)
        )
        return (
            f"first update: loss {before:.4g} to {after:.4g} on the same batch; the outputs, of "
            f"rms {rms:.2g}, change by {change:.2g}"
        )

    def summary(self) -> dict[str, Any]:
        """Medians over seeds by name, and by parameter."""
        numbers = {
            name: float(np.median(getattr(self, name)))
            for name in ("loss_before", "loss_after", "output_change", "output_rms")
        }
        weights = {
            path: {name: float(np.median(x)) for name, x in each._asdict().items()}
            for path, each in self.weights.items()
        }
        return numbers | {"normalizes": bool(np.all(self.normalizes)), "weights": weights}

    def table(self) -> list[dict[str, str]]:
        """A line for each parameter, medians over seeds."""
        total = sum(np.maximum(each.descent, 0) for each in self.weights.values())
        lines = []
        for path, each in self.weights.items():
            share = np.maximum(each.descent, 0) / np.where(total > 0, total, np.nan)
            lines.append(
                {
                    "place": path,
                    "update_ratio": _number(each.update_ratio, "{:.2g}"),
                    "under_epsilon": _number(each.under_epsilon, "{:.0%}"),
                    "decay_share": _number(each.decay_share, "{:.0%}"),
                    "rounded_off": _number(each.rounded_off, "{:.0%}"),
                    "descent": _number(share, "{:.0%}"),
                }
            )
        return lines


def _number(values: Any, form: str) -> str:
    middle = float(np.median(values))
    return "" if math.isnan(middle) else form.format(middle)


def check_optimizer(optimizer: Any, loss: OutputLoss | None) -> None:
    """Raises unless the optimizer is one of optax, and there is a loss for its gradients."""
    if not isinstance(optimizer, optax.GradientTransformation):
        raise TypeError(f"optimizer must be an optax.GradientTransformation, got {optimizer!r:.60}")
    if loss is None:
        raise ValueError("optimizer requires loss, whose gradient it takes, got loss=None")


def measure_update(
    model: Model,
    loss: OutputLoss,
    optimizer: optax.GradientTransformation,
    starts: Params,
    batch: Any,
) -> FirstUpdate:
    """Takes one step from each start, in one compiled program: two forward passes, one backward.

    Args:
      model: a traced model.
      loss: `outputs -> scalar`.
      optimizer: of optax.
      starts: params with a first axis of seeds.
      batch: as apply takes it.

    Returns:
      What the step changes, for each seed.
    """
    optimizer = optax.with_extra_args_support(optimizer)
    run = as_function(model.program)

    def one(params: Params, batch: Any) -> Any:
        def loss_of(params: Params) -> Any:
            outputs = run(*jax.tree.leaves((params, batch)))
            outputs = jax.tree.unflatten(model.out_tree, outputs)
            return loss(outputs), outputs

        (before, outputs), gradients = jax.value_and_grad(loss_of, has_aux=True)(params)

        def update_of(gradients: Params) -> Params:
            # What optimizers that search along a line ask for.
            more = {"value": before, "grad": gradients, "value_fn": lambda p: loss_of(p)[0]}
            return optimizer.update(gradients, optimizer.init(params), params, **more)[0]

        update = update_of(gradients)
        # Without a gradient only weight decay moves a parameter.
        decay = update_of(jax.tree.map(jnp.zeros_like, gradients))
        probe = update_of(jax.tree.map(_probe, gradients))
        after, new_outputs = loss_of(optax.apply_updates(params, update))
        leaves = zip(*map(jax.tree.leaves, (params, gradients, update, decay, probe)), strict=True)
        measured = [_of_weight(*each) for each in leaves]
        large, small = (sum(each[n] for _, each in measured) for n in range(2))
        normalizes = large < 2 * small
        weights = [
            each._replace(under_epsilon=jnp.where(normalizes, each.under_epsilon, jnp.nan))
            for each, _ in measured
        ]
        change = [new - old for new, old in zip(*map(_real, (new_outputs, outputs)), strict=True)]
        return FirstUpdate(
            dict(zip(model.paths, weights, strict=True)),
            before.astype(jnp.float32),
            after.astype(jnp.float32),
            _rms(change),
            _rms(_real(outputs)),
            normalizes,
        )

    def program(starts: Params, batch: Any) -> Any:
        # One after the other: an optimizer's states of all seeds at once would fill the memory.
        return jax.lax.map(lambda params: one(params, batch), starts)

    compiled = compile_to_run_once(jax.jit(program).lower(starts, batch))
    measured = jax.device_get(compiled(starts, batch))
    # A compiled program sorts dicts by their keys.
    return measured._replace(weights={path: measured.weights[path] for path in model.paths})


def _real(tree: Any) -> list[jax.Array]:
    leaves = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return [leaf.astype(jnp.float32) for leaf in leaves]


def _rms(leaves: list[jax.Array]) -> jax.Array:
    square = sum((jnp.sum(leaf**2) for leaf in leaves), start=jnp.zeros(()))
    return jnp.sqrt(square / max(1, sum(leaf.size for leaf in leaves)))


def _probe(gradient: jax.Array) -> jax.Array:
    """Gradients of two sizes, every other entry FACTOR times the one before."""
    sizes = jnp.where(jnp.arange(gradient.size) % 2 == 1, FACTOR * SMALL, SMALL)
    return sizes.astype(gradient.dtype).reshape(gradient.shape)


def _of_weight(*leaves: jax.Array) -> tuple[WeightUpdate, tuple[jax.Array, jax.Array]]:
    """What one parameter's update is, and the summed sizes of the probe's two halves."""
    dtype = leaves[0].dtype
    changed = (leaves[0] + leaves[2].astype(dtype)) != leaves[0]
    param, gradient, update, decay, probe = (leaf.astype(jnp.float32).ravel() for leaf in leaves)
    own, large = abs(update - decay), abs(probe - decay)
    has_gradient = gradient != 0
    small = _share(own < 0.5 * large, has_gradient)
    length = [jnp.sqrt(jnp.sum(each**2)) for each in (param, update, decay)]
    # Of the update's length the part along -param; a gradient may point there too, so that it is
    # no more than what the optimizer does without one. Its trust ratio may inflate that alone.
    along = -jnp.sum(param * update) / _nonzero(length[0] * length[1])
    share = jnp.clip(jnp.minimum(length[2] / _nonzero(length[1]), along), 0.0)
    moving = update != 0
    ratio = jnp.where(length[0] > 0, length[1] / _nonzero(length[0]), jnp.inf)
    weight = WeightUpdate(
        jnp.where(length[1] > 0, ratio, 0.0),
        small,
        share,
        _share(~changed.ravel(), moving),
        -jnp.sum(gradient * update),
    )
    # A parameter of one entry has no larger one to compare with.
    halves = (jnp.sum(large[1::2]), jnp.sum(large[: large.size // 2 * 2 : 2]))
    return weight, halves


def _share(of: jax.Array, among: jax.Array) -> jax.Array:
    counts = [jnp.sum(each, dtype=jnp.float32) for each in (of & among, among)]
    return counts[0] / _nonzero(counts[1])


def _nonzero(value: jax.Array) -> jax.Array:
    return jnp.where(value > 0, value, 1.0)


def first_update(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """A first step that raises the loss, is rounded off, or is hardly one of the gradient."""
    step = evidence.first_update
    if step is None:
        return
    if all(each.update_ratio == 0 for each in step.weights.values()):
        yield Finding(
            "first_update",
            "info",
            "optimizer",
            0.0,
            0.0,
            "the first step changes nothing, as of a learning rate that warms up from 0: how large "
            "later steps are was not checked",
            "nothing, if it warms up; pass the optimizer at its full learning rate to check that",
        )
        return
    yield from _too_long(step, thresholds)
    for path, each in step.weights.items():
        if each.under_epsilon > thresholds.update_share:
            yield Finding(
                "first_update",
                "warn",
                path,
                each.under_epsilon,
                thresholds.update_share,
                f"{each.under_epsilon:.0%} of its gradients are under the optimizer's epsilon, so "
                "that their steps shrink with them",
                "a smaller eps (of optax.adam), or a loss that is summed over or scaled up",
            )
        if each.decay_share > thresholds.update_share and math.isfinite(each.update_ratio):
            yield Finding(
                "first_update",
                "warn",
                path,
                each.decay_share,
                thresholds.update_share,
                f"weight decay makes up {each.decay_share:.0%} of its first update, its gradient "
                "little",
                "a smaller weight_decay, or none for this parameter (mask of optax.adamw)",
            )
        if each.rounded_off > thresholds.update_share and _is_narrow(evidence, path):
            yield Finding(
                "first_update",
                "warn",
                path,
                each.rounded_off,
                thresholds.update_share,
                f"{each.rounded_off:.0%} of its entries do not change: in its dtype the update is "
                "rounded off",
                "keep a float32 copy of the parameters to update, or a larger learning rate",
            )


def _is_narrow(evidence: Evidence, path: str) -> bool:
    number = evidence.model.paths.index(path)
    return evidence.model.program.in_avals[number].dtype.itemsize < 4


def _too_long(step: FirstUpdate, thresholds: Thresholds) -> Iterator[Finding]:
    """A step after which hardly any of the decrease that the gradient predicts has come true."""
    before, after = step.loss_before, step.loss_after
    # NaN at the start is a finding of `non_finite`.
    if not math.isfinite(before):
        return
    fall = before - after if math.isfinite(after) else -math.inf
    predicted = sum(each.descent for each in step.weights.values())
    rise = -fall / abs(before) if before else math.inf
    path, largest = max(step.weights.items(), key=lambda item: item[1].descent)
    through = f", most of it through {path}" if largest.descent > 0.5 * predicted > 0 else ""
    relative = step.output_change / step.output_rms if step.output_rms > 0 else math.inf
    moved = (
        f"changes the outputs by {relative:.2g} times their rms"
        if relative < math.inf
        else (f"changes the outputs, which start at 0, by {step.output_change:.2g}")
    )
    cause = f"one step takes the loss on its own batch from {before:.3g} to {after:.3g} and {moved}"
    # Where a step is tiny, as in a warm-up, the difference of two losses is rounding.
    if fall < -1e-4 * abs(before) and predicted <= 0:
        severity, value, line = "fail", predicted, 0.0
        cause = f"the first update goes uphill: its gradient predicts a rise by {-predicted:.2g}"
        remedy = "negate the updates (optax.scale(-learning_rate)): optax adds them to the params"
        yield Finding("first_update", severity, "optimizer", value, line, cause, remedy)
        return
    share = fall / predicted if predicted > 0 else math.nan
    if rise > thresholds.loss_rise:
        severity, value, line = "fail", rise, thresholds.loss_rise
    elif predicted > 1e-4 * abs(before) and share < thresholds.descent_share:
        severity, value, line = "warn", share, thresholds.descent_share
    else:
        return
    cause += f"; to first order the loss would fall by {predicted:.2g}{through}"
    remedy = "a smaller learning rate, a warm-up, or clipped gradients"
    if step.normalizes:
        remedy = (
            "a smaller learning rate or a warm-up; the optimizer normalizes, so that a layer's "
            "outputs move by about learning_rate * fan_in: in wide layers divide the rate by "
            "fan_in (muP, coordinates.scale_by_width)"
        )
    yield Finding("first_update", severity, "optimizer", value, line, cause, remedy)
