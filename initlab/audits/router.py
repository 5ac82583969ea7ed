"""Whether a mixture's router uses all of its experts."""

import math
from collections.abc import Iterator

import numpy as np

from initlab.audits.evidence import Evidence
from initlab.audits.finding import Finding
from initlab.audits.softmaxes import Softmax
from initlab.audits.thresholds import Thresholds

__all__ = ["unbalanced_router"]

REMEDY = (
    "draw the router's weights with mean zero and a small variance, normalize the tokens in front "
    "of it, and add a balancing loss or noise to its scores"
)

CAPACITY = 1.25
"""Tokens that an expert takes, over a fair share (Fedus et al. 2021, arXiv:2101.03961)."""


def unbalanced_router(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """Most experts are idle, or the router's scores are nearly one-hot before any training."""
    idle = set()
    for softmax in evidence.softmaxes:
        if softmax.kind == "router" and np.isfinite(softmax.load).all():
            found = [*_unbalanced(softmax, thresholds)] or [*_crowded(softmax, thresholds)]
            idle |= {softmax.place} if found else set()
            yield from found
    for softmax in evidence.softmaxes:
        # Scores that prefer one expert for every token are one-hot too: one cause, one finding.
        if softmax.kind == "gates" and softmax.place not in idle:
            yield from _confident(softmax, thresholds)


def _unbalanced(softmax: Softmax, thresholds: Thresholds) -> Iterator[Finding]:
    load = softmax.load[softmax.load > 0]
    experts, used = len(softmax.load), len(load)
    # With fewer tokens than experts a fair router leaves some idle by chance. What chance costs of
    # an entropy is (experts - 1) / (2 choices), to first order (Miller 1955).
    if softmax.choices and softmax.choices < 2 * experts:
        return
    chance = (experts - 1) / (2 * softmax.choices) if softmax.choices else 0.0
    effective, least = float(np.exp(chance - np.sum(load * np.log(load)))), softmax.chosen
    if experts <= least:
        return
    share = max(0.0, (effective - least) / (experts - least))
    if share >= thresholds.router_load:
        return
    # The network trains with the experts that it uses, so that it is no failure.
    collapsed = bool(softmax.choices) and used == least
    dropped = float(np.sum(np.maximum(0.0, softmax.load - CAPACITY / experts)))
    consequence = ""
    if collapsed:
        consequence = ": every token chooses the same, and the others get no gradient"
    elif not math.isnan(softmax.dropped):
        consequence = f"; the model's capacity drops {softmax.dropped:.0%} of the tokens' choices"
    elif softmax.choices:
        consequence = (
            f"; a capacity of {CAPACITY:g} times the fair share drops {dropped:.0%} of the tokens"
        )
    yield Finding(
        "unbalanced_router",
        "warn",
        softmax.place,
        share,
        thresholds.router_load,
        f"expert {int(np.argmax(softmax.load))} gets {softmax.load.max():.0%} of the load, and "
        f"{experts - used} of {experts} experts get none{consequence}",
        REMEDY,
    )


def _crowded(softmax: Softmax, thresholds: Thresholds) -> Iterator[Finding]:
    """A capacity, written in the model, that drops much of what was chosen."""
    if not softmax.dropped > thresholds.dropped_choices:
        return
    fair = softmax.choices / len(softmax.load)
    yield Finding(
        "unbalanced_router",
        "warn",
        softmax.place,
        softmax.dropped,
        thresholds.dropped_choices,
        f"the model's capacity drops {softmax.dropped:.0%} of the tokens' choices, where expert "
        f"{int(np.argmax(softmax.load))}, the fullest, has {softmax.load.max():.0%} of them",
        f"raise the capacity: a fair share is {fair:.0f} choices for each expert, and {CAPACITY:g} "
        "to 2 times as many are usual",
    )


def _confident(softmax: Softmax, thresholds: Thresholds) -> Iterator[Finding]:
    share = softmax.entropy / np.maximum(softmax.limit, 1e-9)
    share = share[np.isfinite(share)]
    if not share.size or share.min() >= thresholds.attention_entropy:
        return
    yield Finding(
        "unbalanced_router",
        "warn",
        softmax.place,
        float(share.min()),
        thresholds.attention_entropy,
        f"the router's probabilities are nearly one-hot (its scores have std "
        f"{np.max(softmax.std):.2g}), so that they pass it hardly any gradient",
        REMEDY,
    )
