"""Real values, one logit: the identity, mean squared error, R^2."""

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.activations import identity
from initlab.objectives.validation import check_labels, check_logits, check_pair
from initlab.types import Array, Objective

__all__ = [
    "label_variance",
    "mean_squared_error",
    "r_squared",
    "regression",
    "regression_outputs",
    "regression_values",
]


@checks.checked
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
    logits, y = check_pair(logits, y, width=1)
    return jnp.mean(jnp.square(logits[:, 0] - y.astype(logits.dtype)))


@checks.checked
def r_squared(logits: Array, y: Array) -> jax.Array:
    """Share of the variance explained: 1 - sum_i (z_i - y_i)^2 / sum_i (y_i - mean y)^2.

    Args:
      logits: z [B, 1], floating.
      y: values [B]; where they are all equal the share is undefined: NaN.

    Returns:
      R^2, at most 1 and 0 for the mean of y, a scalar of the logits' dtype.

    Raises:
      TypeError: logits that are not floating.
      ValueError: logits that are not [B, 1], values that are not [B].

    >>> print(r_squared(jnp.array([[1.0], [1.0]]), jnp.array([0.0, 2.0])))
    0.0
    """
    logits, y = check_pair(logits, y, width=1)
    values = y.astype(logits.dtype)
    spread = jnp.sum(jnp.square(values - jnp.mean(values)))
    missed = jnp.sum(jnp.square(logits[:, 0] - values))
    return jnp.where(spread > 0, 1 - missed / spread, jnp.nan)


@checks.checked
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
    return check_logits(logits, width=1)[:, 0]


@checks.checked
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
    values = check_labels(y)
    finite = np.isfinite(values)
    if not finite.all():
        row = int(np.argmin(finite))
        raise ValueError(f"regression values must be finite, got {values[row]} in row {row}")
    return 1


@checks.checked
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
    return float(np.var(check_labels(y), dtype=np.float64))


regression = Objective(
    loss=mean_squared_error,
    metric=r_squared,
    link=identity,
    predict=regression_values,
    constant_loss=label_variance,
    outputs=regression_outputs,
)
"""Real values, one logit: the identity, mean squared error, R^2."""
