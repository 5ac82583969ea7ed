"""What a parametrization does to a network that gets wider or deeper."""

from typing import NamedTuple

from initlab import checks
from initlab.theory.parametrizations.table import (
    Exponents,
    Optimizer,
    Parametrization,
    branch_power,
    exponents,
)
from initlab.types import Role

__all__ = ["Growth", "growth"]


class Growth(NamedTuple):
    """Powers of width with which a layer's output grows: the slopes of a coordinate check.

    Attributes:
      start: of its size at initialization.
      change: of its change in one step of training, to first order in the learning rate.
    """

    start: float
    change: float


@checks.checked
def growth(
    parametrization: Parametrization,
    optimizer: Optimizer,
    *,
    of: str = "width",
    alpha: float = 1.0,
) -> dict[Role, Growth]:
    """The slopes, log size against log width, of each layer's output and of its change in a step.

    INPUT is the first hidden layer, WEIGHT those after it, READOUT the output. A
    product of n terms is of the order of `sqrt(n)` where they are independent, as at the start, and
    of n where an update made them agree: that is what the layer's own update does to its input, and
    what the readout's start does to the change that its gradient has made before it.

    Of depth the network is one of residual blocks behind norms, with a norm before the readout;
    WEIGHT is the stream that leaves the middle and the last block. Without a factor the branches
    of L blocks make it `sqrt(L)` at the start; the blocks' changes agree, and add up as L.
    Flat under SGD needs inputs of like norms: behind a norm the gradient is divided by the stream,
    which for an input that makes it `r` is flat only from depths past `1 / r^2` on, where what the
    branches make, `1 / sqrt(L)`, is smaller than it.

    Args:
      parametrization: which.
      optimizer: which.
      of: "width" or "depth".
      alpha: of CompleteP, between 1/2 and 1.

    Returns:
      The growth by role, for bounded activations and a loss whose slope is of order 1. It is flat
      in maximal update; where a change grows, later steps grow faster than this first one.

    Raises:
      TypeError: if an argument is not of its enumeration.
      ValueError: if `of` is neither; for depth under SGD without a factor of the branches, which
        is no power of depth.

    Source: Yang and Hu 2021, arXiv:2011.14522, section 5; depth: Dey et al. 2025, arXiv:2505.01618,
    section 3.

    >>> growth(Parametrization.STANDARD, Optimizer.SGD)[Role.READOUT]
    Growth(start=0.0, change=1.0)
    >>> growth(Parametrization.MUP, Optimizer.ADAM)[Role.WEIGHT]
    Growth(start=0.0, change=0.0)
    >>> growth(Parametrization.MUP, Optimizer.ADAM, of="depth")[Role.WEIGHT]
    Growth(start=0.5, change=1.0)
    """
    if of == "depth":
        return _in_depth(parametrization, optimizer, alpha)
    if of != "width":
        raise ValueError(f'of must be "width" or "depth", got {of!r}')
    first, hidden, last = (
        exponents(parametrization, optimizer, role)
        for role in (Role.INPUT, Role.WEIGHT, Role.READOUT)
    )
    bias = exponents(parametrization, optimizer, Role.BIAS)
    signal = last.multiplier + last.std

    def update(layer: Exponents, slope: float) -> float:
        """What a step adds to the layer's effective weight: slope is that of its output."""
        if optimizer is Optimizer.SGD:
            return 2 * layer.multiplier + layer.learning_rate + slope
        return layer.multiplier + layer.learning_rate

    # The largest power is the sum's. An update times its input: its gradient is made of that input,
    # so that n terms agree and add up as n, where independent ones do as sqrt(n). An orthogonal
    # update is scaled so as to keep the size of what it agrees with.
    terms = 0 if optimizer is Optimizer.MUON else 1
    from_bias = update(bias, signal)
    first_change = max(update(first, signal), from_bias)
    hidden_start = hidden.multiplier + hidden.std + 1 / 2
    hidden_change = max(terms + update(hidden, signal), hidden_start + first_change, from_bias)
    last_change = max(1 + update(last, 0), 1 + signal + hidden_change)
    return {
        Role.INPUT: Growth(float(first.multiplier + first.std), float(first_change)),
        Role.WEIGHT: Growth(float(hidden_start), float(hidden_change)),
        Role.READOUT: Growth(float(signal + 1 / 2), float(last_change)),
    }


def _in_depth(
    parametrization: Parametrization, optimizer: Optimizer, alpha: float
) -> dict[Role, Growth]:
    power = branch_power(parametrization, alpha)
    flat = Growth(0.0, 0.0)
    if power is not None:
        return {Role.INPUT: flat, Role.WEIGHT: flat, Role.READOUT: flat}
    if optimizer is Optimizer.SGD:
        raise ValueError(
            f"{parametrization} has no power of depth under {optimizer}: gradients grow towards "
            "the first blocks; Parametrization.COMPLETE_P has one"
        )
    # What reaches the readout is divided by the stream's size, sqrt(depth).
    return {Role.INPUT: flat, Role.WEIGHT: Growth(0.5, 1.0), Role.READOUT: Growth(0.0, 0.5)}
