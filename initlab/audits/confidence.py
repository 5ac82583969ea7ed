"""What a start predicts, beside the constant predictors: of 1/K each, and of the frequencies."""

import math
from collections.abc import Iterator

import numpy as np

from initlab.audits.evidence import Evidence
from initlab.audits.finding import Finding
from initlab.audits.remedies import smaller_readout
from initlab.audits.thresholds import Thresholds

__all__ = ["confident_start", "unmet_prior"]


def confident_start(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """A cross-entropy that starts far above that of a constant predictor.

    That is log K, the loss of equal outputs; where the labels are known, also that of the outputs'
    own mean probabilities, which a start that has its prior right undercuts log K by.
    """
    loss, constant = evidence.loss, math.nan
    # Of K logits, or of one logit of a binary label; outputs of zero predict each class alike.
    uniform = [math.log(max(2, evidence.classes)), math.log(2)]
    # Any other loss of outputs of zero is no mean cross-entropy, and has no such threshold.
    if any(math.isclose(evidence.loss_at_zero, each, rel_tol=1e-3) for each in uniform):
        constant = evidence.loss_at_zero
    calibration = ""
    predictions, prior = evidence.predictions, evidence.prior
    if predictions is not None and prior is not None and not math.isnan(predictions.loss):
        loss = predictions.loss
        own = _cross_entropy(prior.frequencies, predictions.mean)
        constant = min(math.log(len(prior.frequencies)), own)
        calibration = (
            f" (mean confidence {predictions.confidence:.0%}, {predictions.accuracy:.0%} right)"
        )
    excess = loss - constant
    for severity, line in (
        ("fail", thresholds.excess_loss[1]),
        ("warn", thresholds.excess_loss[0]),
    ):
        if excess > line:
            yield Finding(
                "confident_start",
                severity,
                "output",
                excess,
                line,
                f"the loss starts at {loss:.3g}, where that of the constant predictor is "
                f"{constant:.3g}: the outputs are confident, and wrong{calibration}",
                smaller_readout(evidence),
            )
            return


def unmet_prior(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """Mean probabilities that miss the classes' frequencies: a bias alone would lower the loss."""
    predictions, prior = evidence.predictions, evidence.prior
    if predictions is None or prior is None:
        return
    # `sum_k f_k log(f_k / q_k)`: what the best bias, to first order, takes off the loss.
    own = _cross_entropy(prior.frequencies, predictions.mean)
    gain = own - prior.entropy
    loss = own if math.isnan(predictions.loss) else predictions.loss
    share = gain / loss if loss > 0 else 0.0
    for severity, line in (
        ("warn", thresholds.prior_share[1]),
        ("info", thresholds.prior_share[0]),
    ):
        if share > line:
            yield Finding(
                "unmet_prior",
                severity,
                "output",
                share,
                line,
                f"the loss starts at {loss:.3g} (equal outputs: "
                f"{math.log(len(prior.frequencies)):.3g}), and that of the class frequencies is "
                f"{prior.entropy:.3g}: the first steps learn how often each class is",
                f"set the readout's bias to {_written(prior.bias, prior.is_binary)}",
            )
            return


def _cross_entropy(frequencies: np.ndarray, mean: np.ndarray) -> float:
    """`-sum_k f_k log q_k`."""
    seen = frequencies > 0
    return float(-np.sum(frequencies[seen] * np.log(np.maximum(mean[seen], 1e-37))))


def _written(bias: np.ndarray, is_binary: bool) -> str:
    what = "log(p / (1 - p))" if is_binary else "the log of the class frequencies"
    if len(bias) <= 8:
        return f"{what}, [{', '.join(f'{each:.3g}' for each in bias)}]"
    return f"{what} (Report.class_bias), {bias.min():.3g} to {bias.max():.3g}"
