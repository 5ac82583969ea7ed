"""K classes, K logits: softmax, cross-entropy, accuracy."""

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.checks import is_concrete
from initlab.objectives.binary import label_entropy
from initlab.objectives.validation import check_labels, check_logits, check_pair, some_of
from initlab.types import Array, Objective

__all__ = [
    "softmax",
    "softmax_accuracy",
    "softmax_cross_entropy",
    "softmax_labels",
    "softmax_outputs",
]


@checks.checked
def softmax_cross_entropy(logits: Array, y: Array) -> jax.Array:
    """Cross-entropy of a softmax output: mean_i log(sum_k exp z_ik) - z_i,y_i.

    Args:
      logits: z [B, K], floating.
      y: class numbers [B] in 0, ..., K - 1; any other makes the loss NaN.

    Returns:
      The loss in nats, a scalar of the logits' dtype.

    Raises:
      TypeError: logits that are not floating.
      ValueError: logits that are not [B, K], labels that are not [B], or not whole numbers.

    >>> print(f"{softmax_cross_entropy(jnp.zeros((2, 4)), jnp.array([0, 3])):.6f}")
    1.386294
    """
    logits, y = _check_pair(logits, y)
    log_p = jax.nn.log_softmax(logits, axis=1)
    # A mask instead of an index: its gradient is no scatter, and a label -1 does not wrap around.
    kind = jnp.float32 if jnp.issubdtype(y.dtype, jnp.floating) else jnp.int32
    chosen = y.astype(kind)[:, None] == jnp.arange(logits.shape[1], dtype=kind)[None, :]
    log_p_y = jnp.sum(jnp.where(chosen, log_p, 0), axis=1)
    return -jnp.mean(jnp.where(jnp.any(chosen, axis=1), log_p_y, jnp.nan))


def _check_pair(logits: Array, y: Array) -> tuple[jax.Array, jax.Array]:
    pair = check_pair(logits, y)
    labels = pair[1]
    if is_concrete(labels) and jnp.issubdtype(labels.dtype, jnp.floating):
        numbers = np.asarray(y, np.float64)
        # A whole one that is no class makes the loss NaN: how many classes there are, logits say.
        if (offending := numbers[numbers != np.floor(numbers)]).size:
            raise ValueError(f"softmax labels must be class numbers, got {some_of(offending)}")
    return pair


@checks.checked
def softmax_accuracy(logits: Array, y: Array) -> jax.Array:
    """Share of labels that the largest logit gets right: mean_i [argmax_k z_ik = y_i].

    Args:
      logits: z [B, K], floating.
      y: class numbers [B].

    Returns:
      Accuracy in [0, 1], a scalar of the logits' dtype.

    Raises:
      TypeError: logits that are not floating.
      ValueError: logits that are not [B, K], labels that are not [B], or not whole numbers.

    >>> print(softmax_accuracy(jnp.eye(4), jnp.array([0, 1, 2, 0])))
    0.75
    """
    logits, y = _check_pair(logits, y)
    return jnp.mean(softmax_labels(logits).astype(y.dtype) == y, dtype=logits.dtype)


@checks.checked
def softmax_labels(logits: Array) -> jax.Array:
    """The likeliest class: argmax_k z_k, as int32 [B]; a tie goes to the smaller number, NaN is -1.

    Args:
      logits: z [B, K], floating.

    Returns:
      Class numbers, or -1 for a row that holds NaN, int32 [B].

    Raises:
      TypeError: logits that are not floating.
      ValueError: logits that are not [B, K].

    >>> print(softmax_labels(jnp.array([[0.0, 2.0, 1.0], [3.0, 3.0, 0.0]])))
    [1 0]
    """
    logits = check_logits(logits)
    likeliest = jnp.argmax(logits, axis=1).astype(jnp.int32)
    return jnp.where(jnp.any(jnp.isnan(logits), axis=1), -1, likeliest)


@checks.checked
def softmax_outputs(y: Array) -> int:
    """One logit for each class: max(y) + 1, for labels that are class numbers from 0.

    Args:
      y: class numbers [B].

    Returns:
      The number of classes.

    Raises:
      ValueError: labels that are not [B] numbers, or one that is negative or not whole.

    >>> softmax_outputs(np.array([0, 2, 1]))
    3
    """
    labels = check_labels(y)
    # A NaN fails `labels >= 0`, infinity fails `isfinite`: both are named as offending.
    fits = np.isfinite(labels) & (labels >= 0) & (labels == np.floor(labels))
    if not fits.all():
        offending = np.unique(labels[~fits])
        raise ValueError(f"softmax labels must be class numbers from 0, got {some_of(offending)}")
    return int(labels.max()) + 1


softmax = Objective(
    loss=softmax_cross_entropy,
    metric=softmax_accuracy,
    link=jax.nn.softmax,
    predict=softmax_labels,
    constant_loss=label_entropy,
    outputs=softmax_outputs,
)
"""K classes, K logits: softmax, cross-entropy in nats, accuracy."""
