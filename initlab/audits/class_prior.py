"""How often each class is, and what a start predicts of it before any training."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.compilation import compile_to_run_once
from initlab.programs.trace import as_function
from initlab.taps import Model
from initlab.types import Params

__all__ = ["ClassPrior", "Predictions", "measure_predictions", "read_prior"]


class ClassPrior(NamedTuple):
    """The classes' frequencies, and the labels that they were counted in, if any.

    Attributes:
      frequencies: of each class, [classes], summing to 1.
      labels: as one-hot rows would be: integers, [...], or probabilities, [..., classes].
      is_binary: whether the outputs are one logit for each label.
      chance: what counting from a few labels takes off their entropy, in nats.
      bias: log of the frequencies, smoothed; of one logit, log p / (1 - p), [1].
    """

    frequencies: np.ndarray
    labels: np.ndarray | None
    is_binary: bool
    chance: float
    bias: np.ndarray

    @property
    def entropy(self) -> float:
        """The loss of the constant predictor of the frequencies, in nats."""
        p = self.frequencies[self.frequencies > 0]
        return float(-np.sum(p * np.log(p))) + self.chance


class Predictions(NamedTuple):
    """What the outputs of one start say, as probabilities.

    Attributes:
      loss: mean cross-entropy; NaN without labels.
      mean: the mean probability of each class, [classes].
      confidence: the mean of the largest probability.
      accuracy: how often the largest is right; NaN without labels.
    """

    loss: float
    mean: np.ndarray
    confidence: float
    accuracy: float


def read_prior(labels: Any, prior: Any, shape: tuple[int, ...]) -> ClassPrior | None:
    """The classes' frequencies as given, or as counted.

    Args:
      labels: integers of the outputs' shape without the last axis (or with it, of 0 and 1, where
        the outputs are one logit each), or one-hot, of the outputs' shape; or None.
      prior: [classes] probabilities, or None.
      shape: of the first output: logits.

    Returns:
      The prior, or None where neither is given.

    Raises:
      TypeError: if labels or prior are no array of numbers.
      ValueError: if labels or prior do not fit the outputs, or are no classes or probabilities.
    """
    if labels is None and prior is None:
        return None
    classes = shape[-1] if shape else 1
    counts = None
    is_binary = classes == 1
    if prior is not None:
        checks.check_reals("prior", prior)
    if labels is not None:
        checks.check_arrays("labels", labels)
        labels = np.asarray(labels)
        is_count = np.issubdtype(labels.dtype, np.integer) or labels.dtype == bool
        # One logit for each label: with an axis of its own, or without.
        is_binary = is_count and (
            (labels.shape == shape and (classes == 1 or len(shape) == 1))
            or (classes == 1 and labels.shape == shape[:-1])
        )
        labels, counts = _read_labels(labels, shape, is_binary, is_count)
    number = 2 if is_binary else classes
    if number < 2:
        raise ValueError(f"prior requires logits of at least two classes, got outputs {shape}")
    if prior is not None:
        frequencies = np.asarray(prior, float)
        if frequencies.shape != (number,) or not (frequencies >= 0).all():
            raise ValueError(f"prior must be {number} probabilities, got {prior!r:.60}")
        if abs(frequencies.sum() - 1) > 1e-4:
            raise ValueError(f"prior must sum to 1, got {frequencies.sum():.6g}")
        smoothed, chance = np.maximum(frequencies, 1e-9), 0.0
    else:
        assert counts is not None
        total = counts.sum()
        frequencies = counts / total
        smoothed = (counts + 1) / (total + number)
        # Miller 1955: the entropy of frequencies counted in few draws is too small by this.
        chance = (np.count_nonzero(counts) - 1) / (2 * total)
    bias = np.log(smoothed)
    if is_binary:
        bias = bias[1:] - bias[:1]
    return ClassPrior(frequencies, labels, bool(is_binary), chance, bias)


def _read_labels(
    labels: np.ndarray, shape: tuple[int, ...], is_binary: bool, is_count: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Labels as integers or probabilities, and how many there are of each class."""
    number = 2 if is_binary else shape[-1]
    if is_count and (is_binary or labels.shape == shape[:-1]):
        labels = labels.astype(np.int64)
        if not labels.size or labels.min() < 0 or labels.max() >= number:
            found = f"{labels.min()} to {labels.max()}" if labels.size else "none"
            raise ValueError(f"labels must be classes 0 to {number - 1}, got {found}")
        return labels, np.bincount(labels.ravel(), minlength=number).astype(float)
    rows = labels.astype(float) if labels.dtype.kind in "biuf" else labels
    if labels.shape != shape or labels.dtype.kind not in "biuf":
        raise ValueError(
            f"labels must be integers {shape[:-1]} or one-hot {shape} for outputs {shape}, "
            f"got {labels.dtype} {labels.shape}"
        )
    if not rows.size or rows.min() < 0 or not np.allclose(rows.sum(-1), 1, atol=1e-4):
        raise ValueError("one-hot labels must be rows of probabilities that sum to 1")
    return rows, rows.reshape(-1, number).sum(0)


def measure_predictions(
    model: Model, prior: ClassPrior, starts: Params, batch: Any
) -> list[Predictions]:
    """What the first outputs of each start say: one forward pass each.

    Args:
      model: as `read_model` reads it.
      prior: the labels, if there are any.
      starts: params with a first axis of seeds.
      batch: inputs.

    Returns:
      The predictions of each seed.
    """
    inputs, run = jax.tree.leaves(batch), as_function(model.program)
    labels = None if prior.labels is None else jnp.asarray(prior.labels)

    def measured(*given: Any) -> Any:
        z = run(*given)[0].astype(jnp.float32)
        if prior.is_binary:
            z = z.reshape(z.shape[:-1] if labels is None else labels.shape)
            z = jnp.stack([jnp.zeros_like(z), z], axis=-1)
        log_p = jax.nn.log_softmax(z, axis=-1)
        axes = tuple(range(z.ndim - 1))
        loss = accuracy = jnp.full((), jnp.nan)
        if labels is not None:
            is_index = labels.ndim == z.ndim - 1
            one = jax.nn.one_hot(labels, z.shape[-1], dtype=jnp.float32) if is_index else labels
            loss = -jnp.mean(jnp.sum(one.astype(jnp.float32) * log_p, axis=-1))
            right = jnp.argmax(one, axis=-1) == jnp.argmax(z, axis=-1)
            accuracy = jnp.mean(right.astype(jnp.float32))
        confidence = jnp.mean(jnp.exp(jnp.max(log_p, axis=-1)))
        return loss, jnp.mean(jnp.exp(log_p), axes), confidence, accuracy

    leaves = jax.tree.leaves(starts)
    shapes = [jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype) for leaf in leaves]
    shapes += [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in inputs]
    compiled = compile_to_run_once(jax.jit(measured).lower(*shapes))
    found = []
    for seed in range(leaves[0].shape[0]):
        loss, mean, *rest = jax.device_get(compiled(*(leaf[seed] for leaf in leaves), *inputs))
        confidence, accuracy = map(float, rest)
        found.append(Predictions(float(loss), np.asarray(mean, float), confidence, accuracy))
    return found
