"""Signals layer by layer: measured for any initializer and network, beside what theory predicts."""

from initlab.signals.compare import (
    KINDS,
    QUANTITIES,
    compare,
    joint_probability,
    prediction_dataset,
)
from initlab.signals.measure import draw_pair, signal_run
from initlab.signals.predict import PlacePrediction, WholePrediction, predict
from initlab.signals.recursions import (
    Prediction,
    Start,
    predict_finite_width,
    predict_mlp,
    predict_residual,
    sample_signals,
)
from initlab.signals.variances import mean_variances, variances

__all__ = [
    "KINDS",
    "QUANTITIES",
    "PlacePrediction",
    "Prediction",
    "Start",
    "WholePrediction",
    "compare",
    "draw_pair",
    "joint_probability",
    "mean_variances",
    "predict",
    "predict_finite_width",
    "predict_mlp",
    "predict_residual",
    "prediction_dataset",
    "sample_signals",
    "signal_run",
    "variances",
]
