"""What is asked of the logits: three `Objective`s and the pure functions they are made of.

Labels are checked with their values by the `*_outputs` functions, on the host and once; the
functions of logits run inside compiled programs and can check shapes and dtypes only.
"""

import jax
import jax.numpy as jnp
import numpy as np

from initlab.types import Array, Objective

__all__ = [
    "binary",
    "binary_accuracy",
    "binary_cross_entropy",
    "binary_labels",
    "binary_outputs",
    "identity",
    "label_entropy",
    "label_variance",
    "mean_squared_error",
    "r_squared",
    "regression",
    "regression_outputs",
    "regression_values",
    "softmax",
    "softmax_accuracy",
    "softmax_cross_entropy",
    "softmax_labels",
    "softmax_outputs",
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
    logits, y = _pair(logits, y, width=1)
    sign = 1 - 2 * y.astype(logits.dtype)
    return jnp.mean(jax.nn.softplus(sign * logits[:, 0]))


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
    logits, y = _pair(logits, y, width=1)
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
    return (_logits(logits, width=1)[:, 0] > 0).astype(jnp.int32)


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
    labels = _labels(y)
    offending = np.unique(labels[(labels != 0) & (labels != 1)])
    if offending.size:
        raise ValueError(f"binary labels must be 0 or 1, got {_some(offending)}")
    return 1


def softmax_cross_entropy(logits: Array, y: Array) -> jax.Array:
    """Cross-entropy of a softmax output: mean_i log(sum_k exp z_ik) - z_i,y_i.

    Args:
      logits: z [B, K], floating.
      y: class numbers [B] in 0, ..., K - 1; any other makes the loss NaN.

    Returns:
      The loss in nats, a scalar of the logits' dtype.

    Raises:
      TypeError: logits that are not floating.
      ValueError: logits that are not [B, K], labels that are not [B].

    >>> print(f"{softmax_cross_entropy(jnp.zeros((2, 4)), jnp.array([0, 3])):.6f}")
    1.386294
    """
    logits, y = _pair(logits, y)
    log_p = jax.nn.log_softmax(logits, axis=1)
    # A mask instead of an index: its gradient is no scatter, and a label -1 does not wrap around.
    chosen = y.astype(jnp.int32)[:, None] == jnp.arange(logits.shape[1], dtype=jnp.int32)[None, :]
    log_p_y = jnp.sum(jnp.where(chosen, log_p, 0), axis=1)
    return -jnp.mean(jnp.where(jnp.any(chosen, axis=1), log_p_y, jnp.nan))


def softmax_accuracy(logits: Array, y: Array) -> jax.Array:
    """Share of labels that the largest logit gets right: mean_i [argmax_k z_ik = y_i].

    Args:
      logits: z [B, K], floating.
      y: class numbers [B].

    Returns:
      Accuracy in [0, 1], a scalar of the logits' dtype.

    Raises:
      TypeError: logits that are not floating.
      ValueError: logits that are not [B, K], labels that are not [B].

    >>> print(softmax_accuracy(jnp.eye(4), jnp.array([0, 1, 2, 0])))
    0.75
    """
    logits, y = _pair(logits, y)
    return jnp.mean(softmax_labels(logits) == y.astype(jnp.int32), dtype=logits.dtype)


def softmax_labels(logits: Array) -> jax.Array:
    """The likeliest class: argmax_k z_k, as int32 [B]; a tie goes to the smaller number.

    Args:
      logits: z [B, K], floating.

    Returns:
      Class numbers, int32 [B].

    Raises:
      TypeError: logits that are not floating.
      ValueError: logits that are not [B, K].

    >>> print(softmax_labels(jnp.array([[0.0, 2.0, 1.0], [3.0, 3.0, 0.0]])))
    [1 0]
    """
    return jnp.argmax(_logits(logits), axis=1).astype(jnp.int32)


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
    labels = _labels(y)
    # A NaN fails `labels >= 0`, infinity fails `isfinite`: both are named as offending.
    fits = np.isfinite(labels) & (labels >= 0) & (labels == np.floor(labels))
    if not fits.all():
        offending = np.unique(labels[~fits])
        raise ValueError(f"softmax labels must be class numbers from 0, got {_some(offending)}")
    return int(labels.max()) + 1


def mean_squared_error(logits: Array, y: Array) -> jax.Array:
    """Mean squared error, without a half: mean_i (z_i - y_i)^2.

    Args:
      logits: z [B, 1], floating.
      y: values [B].

    Returns:
      The loss in squared units of y, a scalar of the logits' dtype.

    Raises:
      TypeError: logits that are not floating.
      ValueError: logits that are not [B, 1], values that are not [B].

    >>> print(mean_squared_error(jnp.zeros((2, 1)), jnp.array([1.0, 3.0])))
    5.0
    """
    logits, y = _pair(logits, y, width=1)
    return jnp.mean(jnp.square(logits[:, 0] - y.astype(logits.dtype)))


def r_squared(logits: Array, y: Array) -> jax.Array:
    """Share of the variance explained: 1 - sum_i (z_i - y_i)^2 / sum_i (y_i - mean y)^2.

    Args:
      logits: z [B, 1], floating.
      y: values [B]; where they are all equal the share is undefined: NaN or -infinity.

    Returns:
      R^2, at most 1 and 0 for the mean of y, a scalar of the logits' dtype.

    Raises:
      TypeError: logits that are not floating.
      ValueError: logits that are not [B, 1], values that are not [B].

    >>> print(r_squared(jnp.array([[1.0], [1.0]]), jnp.array([0.0, 2.0])))
    0.0
    """
    logits, y = _pair(logits, y, width=1)
    values = y.astype(logits.dtype)
    spread = jnp.sum(jnp.square(values - jnp.mean(values)))
    return 1 - jnp.sum(jnp.square(logits[:, 0] - values)) / spread


def regression_values(logits: Array) -> jax.Array:
    """The predicted values: the only column of the logits.

    Args:
      logits: z [B, 1], floating.

    Returns:
      Values [B], in the units of y.

    Raises:
      TypeError: logits that are not floating.
      ValueError: logits that are not [B, 1].

    >>> print(regression_values(jnp.array([[0.5], [2.0]])))
    [0.5 2. ]
    """
    return _logits(logits, width=1)[:, 0]


def regression_outputs(y: Array) -> int:
    """One logit, for values that are finite.

    Args:
      y: values [B].

    Returns:
      1.

    Raises:
      ValueError: values that are not [B] numbers, or one that is NaN or infinite.

    >>> regression_outputs(np.array([0.5, -2.0]))
    1
    """
    values = _labels(y)
    finite = np.isfinite(values)
    if not finite.all():
        row = int(np.argmin(finite))
        raise ValueError(f"regression values must be finite, got {values[row]} in row {row}")
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
    _, counts = np.unique(_labels(y), return_counts=True)
    p = counts / counts.sum()
    return float(np.sum(p * np.log(1 / p)))


def label_variance(y: Array) -> float:
    """Variance of the values, mean (y - mean y)^2: the least mean squared error of a constant.

    Args:
      y: values [B].

    Returns:
      The variance in squared units of y, computed in float64.

    Raises:
      ValueError: values that are not [B] numbers.

    >>> label_variance(np.array([1.0, 3.0]))
    1.0
    """
    return float(np.var(_labels(y), dtype=np.float64))


def identity(logits: jax.Array) -> jax.Array:
    """The output unit of regression: z.

    Args:
      logits: z [B, K].

    Returns:
      The logits.

    >>> print(identity(jnp.ones((1, 1))))
    [[1.]]
    """
    return logits


def _logits(logits: Array, width: int | None = None) -> jax.Array:
    logits = jnp.asarray(logits)
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise TypeError(f"logits must be floating, got {logits.dtype}")
    if logits.ndim != 2 or (width is not None and logits.shape[1] != width):
        raise ValueError(f"logits must have shape [B, {width or 'K'}], got {logits.shape}")
    return logits


def _pair(logits: Array, y: Array, width: int | None = None) -> tuple[jax.Array, jax.Array]:
    logits, y = _logits(logits, width), jnp.asarray(y)
    if y.shape != logits.shape[:1] or not y.size:
        raise ValueError(
            f"labels must have shape [B] with B >= 1, got {y.shape} for logits {logits.shape}"
        )
    return logits, y


def _labels(y: Array) -> np.ndarray:
    labels = np.asarray(y)
    if labels.ndim != 1 or not labels.size or labels.dtype.kind not in "biuf":
        raise ValueError(
            "labels must be real numbers of shape [B] with B >= 1, got "
            f"{labels.dtype} of shape {labels.shape}"
        )
    return labels


def _some(offending: np.ndarray) -> str:
    shown = ", ".join(str(label) for label in offending[:5])
    return shown if offending.size <= 5 else f"{shown} and {offending.size - 5} more"


binary = Objective(
    loss=binary_cross_entropy,
    metric=binary_accuracy,
    link=jax.nn.sigmoid,
    predict=binary_labels,
    constant_loss=label_entropy,
    outputs=binary_outputs,
)
"""Two classes, one logit: sigmoid, cross-entropy in nats, accuracy."""

softmax = Objective(
    loss=softmax_cross_entropy,
    metric=softmax_accuracy,
    link=jax.nn.softmax,
    predict=softmax_labels,
    constant_loss=label_entropy,
    outputs=softmax_outputs,
)
"""K classes, K logits: softmax, cross-entropy in nats, accuracy."""

regression = Objective(
    loss=mean_squared_error,
    metric=r_squared,
    link=identity,
    predict=regression_values,
    constant_loss=label_variance,
    outputs=regression_outputs,
)
"""Real values, one logit: the identity, mean squared error, R^2."""
