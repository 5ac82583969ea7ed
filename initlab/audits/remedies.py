"""Remedies that depend on the model: what would help elsewhere may not be possible here."""

import math

from initlab.audits.evidence import Evidence, Signal
from initlab.audits.finding import Finding, listed

__all__ = [
    "LARGE",
    "LARGER",
    "finite",
    "multiplied_by_others",
    "over_time",
    "smaller_readout",
]

LARGE = 50.0
"""A signal of this rms overflows an exponential of float32, and its products soon float16."""

LARGER = (
    "start larger what multiplies the signal here, as a gate, a forget gate or a time step: the "
    "weights that are named have their usual size"
)


def multiplied_by_others(evidence: Evidence, finding: Finding) -> bool:
    """Whether a fall is not made by the weights of its place, which are of a usual size.

    Args:
      evidence: of the start.
      finding: the fall.

    Returns:
      Whether each weight there has at least 1/e of the std 1/sqrt(fan_in).
    """
    fans, contracted = evidence.fans, evidence.model.notes.contracted
    names = next((s.names for s in evidence.signals if s.place == finding.place), 0)
    own = [w for w in evidence.weights if names & contracted & 1 << w.bit]
    if not all(w.bit in fans for w in own):
        return False
    return all(w.rms * math.sqrt(fans[w.bit].fan_in) > math.exp(-1) for w in own)


def over_time(evidence: Evidence, finding: Finding) -> Finding:
    """With what helps a weight that a loop over time repeats: no other draw keeps a norm so long.

    Args:
      evidence: of the start.
      finding: of a signal that grows or falls.

    Returns:
      The finding, its remedy another where it lies in such a loop.
    """
    if not any(s.over_time and s.place == finding.place for s in evidence.signals):
        return finding
    return finding._replace(
        remedy="draw recurrent weights orthogonal (initializers.orthogonal), which keep a state's "
        "norm over many steps, or add norms or gates that start open"
    )


def finite(evidence: Evidence, what: str, place: str) -> str:
    """How to make a parameter, a signal or a gradient finite.

    What overflows was large before; what is NaN where all before it is small comes of 0 / 0, of the
    logarithm of 0, or of the slope of a root there.

    Args:
      evidence: of the start.
      what: "parameter", "signal" or "gradient".
      place: the first that is not finite.

    Returns:
      The remedy.
    """
    if what == "parameter":
        return "draw it anew: its initializer gives NaN or infinity"
    sizes = [weight.rms for weight in evidence.weights if math.isfinite(weight.rms)]
    before = [_size(s, what) for s in _before(evidence, what, place)]
    largest = max((size for size in before if math.isfinite(size)), default=0.0)
    if largest * max(1.0, *sizes) > LARGE:
        return (
            "make it smaller: a smaller scale of the weights before it, a norm, or a dtype with a "
            "larger range (bfloat16 for float16)"
        )
    return (
        "look for a division by zero, a logarithm or a root of zero, as in the norm of a vector of "
        "zeros: add a small constant there, or draw what is zero away from it"
    )


def _size(signal: Signal, what: str) -> float:
    return signal.gradient_norm if what == "gradient" else signal.rms


def _before(evidence: Evidence, what: str, place: str) -> list[Signal]:
    """The signals in front of a place, or behind it for a gradient, which comes from there."""
    at = [n for n, signal in enumerate(evidence.signals) if signal.place == place]
    if what == "signal":
        return list(evidence.signals[: at[0] if at else None])
    return list(evidence.signals[at[-1] + 1 if at else 0 :])


def smaller_readout(evidence: Evidence) -> str:
    """How to make the first outputs small: a readout that is a table too cannot be drawn alone.

    Args:
      evidence: of the start.

    Returns:
      The remedy.
    """
    last = [evidence.by_row[chain.rows[-1]] for chain in evidence.chains if chain.is_output]
    readouts = 0
    for signal in last:
        readouts |= signal.names if signal.kind == "product" else 0
    model = evidence.model
    names = [path for bit, path in enumerate(model.paths) if readouts >> bit & 1]
    if not names:
        return "make the outputs smaller: divide them by a constant"
    products = [p.site for p in model.plan.sites() if p.site.kind == "product"]
    uses = [sum(site.names >> bit & 1 for site in products) for bit in range(len(model.paths))]
    is_tied = any(
        readouts >> bit & 1 and (model.notes.looked_up >> bit & 1 or count > 1)
        for bit, count in enumerate(uses)
    )
    if is_tied:
        return (
            f"divide the logits by a constant, as sqrt(width), or draw {listed(names)}, which is "
            "used elsewhere too, with a smaller scale"
        )
    return (
        f"initialize {listed(names)} smaller (initializers.small_readout: by a factor of 100), or "
        "at zero"
    )
