"""Two classes, one logit: sigmoid, cross-entropy, accuracy."""

import jax
import jax.numpy as jnp
import numpy as np

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


def binary_cross_entropy(logits: Array, y: Array) -> jax.Array:
    """Cross-entropy of a sigmoid output: mean_i softplus(z_i) - y_i z_i, for y in {0, 1}.

    Computed as softplus((1 - 2y) z), the same number without the cancellation: it neither
    overflows nor rounds a small loss to zero, and is bit-identical under (z, y) -> (-z, 1 - y).

    Args:
      logits: z [B, 1], floating.
      y: labels [B], 0 or 1.

    Returns:
      The loss in nats, a scalar of the logits' dtype.

    Raises:
      TypeError: logits that are not floating.
      ValueError: logits that are not [B, 1], labels that are not [B].

    >>> print(f"{binary_cross_entropy(jnp.zeros((2, 1)), jnp.array([0, 1])):.6f}")
    0.693147
    """
    logits, y = check_pair(logits, y, width=1)
    sign = 1 - 2 * y.astype(logits.dtype)
    return jnp.mean(_softplus(sign * logits[:, 0]))


@jax.custom_jvp
def _softplus(z: jax.Array) -> jax.Array:
    return jax.nn.softplus(z)


# The same slope as jax.nn.softplus has, with one call of exp where that makes three.
_softplus.defjvps(lambda tangent, _, z: tangent * jax.nn.sigmoid(z))


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
    logits, y = check_pair(logits, y, width=1)
    return jnp.mean(binary_labels(logits) == y.astype(jnp.int32), dtype=logits.dtype)


def binary_labels(logits: Array) -> jax.Array:
    """The likelier of two classes: z > 0, as int32 [B]; a tie goes to 0.

    Args:
      logits: z [B, 1], floating.

    Returns:
      Labels 0 or 1, int32 [B].

    Raises:
      TypeError: logits that are not floating.
      ValueError: logits that are not [B, 1].

    >>> print(binary_labels(jnp.array([[-1.0], [0.0], [2.0]])))
    [0 0 1]
    """
    return (check_logits(logits, width=1)[:, 0] > 0).astype(jnp.int32)


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


def label_entropy(y: Array) -> float:
    """Entropy of the label frequencies, sum_k p_k log(1 / p_k): the least loss of constant logits.

    Args:
      y: labels [B].

    Returns:
      The entropy in nats, computed in float64.

    Raises:
      ValueError: labels that are not [B] numbers.

    >>> round(label_entropy(np.array([0, 1, 1, 0])), 6)
    0.693147
    """
    _, counts = np.unique(check_labels(y), return_counts=True)
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
