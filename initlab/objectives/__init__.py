"""Objectives: binary, softmax and regression, and the pure functions they are made of.

Labels are checked with their values by the `*_outputs` functions, on the host and once; the
functions of logits run inside compiled programs and can check shapes and dtypes only.
"""

from initlab.objectives.binary import (
    binary,
    binary_accuracy,
    binary_cross_entropy,
    binary_labels,
    binary_outputs,
    label_entropy,
)
from initlab.objectives.regression import (
    label_variance,
    mean_squared_error,
    r_squared,
    regression,
    regression_outputs,
    regression_values,
)
from initlab.objectives.softmax import (
    softmax,
    softmax_accuracy,
    softmax_cross_entropy,
    softmax_labels,
    softmax_outputs,
)

__all__ = [
    "binary",
    "binary_accuracy",
    "binary_cross_entropy",
    "binary_labels",
    "binary_outputs",
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
