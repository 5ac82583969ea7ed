"""Two classes, one logit: sigmoid, cross-entropy, accuracy."""

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.checks import is_concrete
from initlab.objectives.validation import check_labels, check_logits, check_pair, some_of
from initlab.types import Array, Objective

__all__ = [
    "binary",
    "binary_accuracy",
    "binary_cross_entropy",
    "binary_labels",
    "binary_outputs",
    "label_entropy",
]


@checks.checked
def binary_cross_entropy(logits: Array, y: Array) -> jax.Array:
    """Cross-entropy of a sigmoid output: mean_i softplus(z_i) - y_i z_i, for y in {0, 1}.

    Computed as softplus((1 - 2y) z), the same number without the cancellation: it neither
    overflows nor rounds a small loss to zero, and is bit-identical under (z, y) -> (-z, 1 - y).

    Args:
      logits: z [B, 1], floating.
      y: labels [B], 0 or 1; any other that is traced makes the loss NaN.

    Returns:
      The loss in nats, a scalar of the logits' dtype.

    Raises:
      TypeError: logits that are not floating.
      ValueError: logits that are not [B, 1], labels that are not [B], or are not 0 or 1.

    >>> print(f"{binary_cross_entropy(jnp.zeros((2, 1)), jnp.array([0, 1])):.6f}")
    0.693147
    """
    logits, y = _check_pair(logits, y)
    sign = 1 - 2 * y.astype(logits.dtype)
    # Of the labels alone, so that the loss and its gradient are computed as ever.
    sign = jnp.where(jnp.abs(sign) == 1, sign, jnp.nan)
    return jnp.mean(_softplus(sign * logits[:, 0]))


def _check_pair(logits: Array, y: Array) -> tuple[jax.Array, jax.Array]:
    pair = check_pair(logits, y, width=1)
    if is_concrete(y):
        binary_outputs(y)
    return pair


@jax.custom_jvp
def _softplus(z: jax.Array) -> jax.Array:
    return jax.nn.softplus(z)


# The same slope as jax.nn.softplus has, with one call of exp where that makes three.
_softplus.defjvps(lambda tangent, _, z: tangent * jax.nn.sigmoid(z))


@checks.checked
def binary_accuracy(logits: Array, y: Array) -> jax.Array:
    """Share of labels that the sign of the logit gets right: mean_i [(z_i > 0) = y_i].

    Args:
      logits: z [B, 1], floating.
      y: labels [B], 0 or 1.

    Returns:
      Accuracy in [0, 1], a scalar of the logits' dtype.

    Raises:
      TypeError: logits that are not floating.
      ValueError: logits that are not [B, 1], labels that are not [B].

    >>> print(binary_accuracy(jnp.array([[-1.0], [2.0]]), jnp.array([0, 0])))
    0.5
    """
    logits, y = _check_pair(logits, y)
    return jnp.mean(binary_labels(logits).astype(y.dtype) == y, dtype=logits.dtype)


@checks.checked
def binary_labels(logits: Array) -> jax.Array:
    """The likelier of two classes: z > 0, as int32 [B]; a tie goes to 0, NaN is none: -1.

    Args:
      logits: z [B, 1], floating.

    Returns:
      Labels 0 or 1, or -1 for a logit that is NaN, int32 [B].

    Raises:
      TypeError: logits that are not floating.
      ValueError: logits that are not [B, 1].

    >>> print(binary_labels(jnp.array([[-1.0], [0.0], [2.0]])))
    [0 0 1]
    """
    z = check_logits(logits, width=1)[:, 0]
    return jnp.where(jnp.isnan(z), -1, (z > 0).astype(jnp.int32))


@checks.checked
def binary_outputs(y: Array) -> int:
    """One logit, for labels that are all 0 or 1.

    Args:
      y: labels [B].

    Returns:
      1.

    Raises:
      ValueError: labels that are not [B] numbers, or a label other than 0 and 1.

    >>> binary_outputs(np.array([0, 1, 1]))
    1
    """
    labels = check_labels(y)
    offending = np.unique(labels[(labels != 0) & (labels != 1)])
    if offending.size:
        raise ValueError(f"binary labels must be 0 or 1, got {some_of(offending)}")
    return 1


@checks.checked
def label_entropy(y: Array) -> float:
    """Entropy of the label frequencies, sum_k p_k log(1 / p_k): the least loss of constant logits.

    Args:
      y: labels [B].

    Returns:
      The entropy in nats, computed in float64.

    Raises:
      ValueError: labels that are not [B] numbers, or a NaN.

    >>> round(label_entropy(np.array([0, 1, 1, 0])), 6)
    0.693147
    """
    labels = check_labels(y)
    if np.isnan(labels).any():
        raise ValueError("labels must be numbers, got NaN, which is no class")
    _, counts = np.unique(labels, return_counts=True)
    p = counts / counts.sum()
    return float(np.sum(p * np.log(1 / p)))


binary = Objective(
    loss=binary_cross_entropy,
    metric=binary_accuracy,
    link=jax.nn.sigmoid,
    predict=binary_labels,
    constant_loss=label_entropy,
    outputs=binary_outputs,
)
"""Two classes, one logit: sigmoid, cross-entropy in nats, accuracy."""
