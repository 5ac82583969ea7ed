"""Parametrizations as powers of width, and what they do to a network that gets wider.

A weight is `multiplier * w`, `w ~ N(0, std^2)`, trained with a learning rate of its own; each of
the three is a power of width. Multiplying the first by `width^t`, the second by `width^-t` and
the third by `width^-2t` changes nothing under SGD, and by `width^-t` nothing under Adam: so one
table follows from another.
"""

import enum
from types import MappingProxyType
from typing import NamedTuple

from initlab import checks
from initlab.types import Role

__all__ = [
    "EXPONENTS",
    "Exponents",
    "Growth",
    "Optimizer",
    "Parametrization",
    "exponents",
    "growth",
]


class Parametrization(enum.Enum):
    """How weights, outputs and learning rates scale with width.

    Attributes:
      STANDARD: variance 1 / fan_in, one learning rate for all widths and layers.
      NTK: the neural tangent kernel's, in which a wide network's features do not change.
      MEAN_FIELD: features learn; the multipliers of the mean-field limit.
      MUP: maximal update: every layer's features learn as much as they can at any width.
    """

    STANDARD = "standard"
    NTK = "ntk"
    MEAN_FIELD = "mean_field"
    MUP = "mup"


class Optimizer(enum.Enum):
    """How a step follows from a gradient.

    Attributes:
      SGD: in proportion to it.
      ADAM: of a size that does not depend on it.
    """

    SGD = "sgd"
    ADAM = "adam"


class Exponents(NamedTuple):
    """Powers of width.

    Attributes:
      multiplier: of what the parameter is multiplied by in the forward pass.
      std: of the standard deviation that it starts with.
      learning_rate: of the rate that it is trained with.
    """

    multiplier: float
    std: float
    learning_rate: float


class Growth(NamedTuple):
    """Powers of width with which a layer's output grows: the slopes of a coordinate check.

    Attributes:
      start: of its size at initialization.
      change: of its change in one step of training, to first order in the learning rate.
    """

    start: float
    change: float


_STANDARD = {
    Role.INPUT: Exponents(0, 0, 0),
    Role.WEIGHT: Exponents(0, -1 / 2, 0),
    Role.READOUT: Exponents(0, -1 / 2, 0),
    Role.BIAS: Exponents(0, 0, 0),
}

EXPONENTS = MappingProxyType(
    {
        (Parametrization.STANDARD, Optimizer.SGD): MappingProxyType(_STANDARD),
        (Parametrization.STANDARD, Optimizer.ADAM): MappingProxyType(_STANDARD),
        (Parametrization.NTK, Optimizer.SGD): MappingProxyType(
            {
                Role.INPUT: Exponents(0, 0, 0),
                Role.WEIGHT: Exponents(-1 / 2, 0, 0),
                Role.READOUT: Exponents(-1 / 2, 0, 0),
                Role.BIAS: Exponents(0, 0, 0),
            }
        ),
        (Parametrization.NTK, Optimizer.ADAM): MappingProxyType(
            {
                Role.INPUT: Exponents(0, 0, -1 / 2),
                Role.WEIGHT: Exponents(-1 / 2, 0, -1),
                Role.READOUT: Exponents(-1 / 2, 0, -1 / 2),
                Role.BIAS: Exponents(0, 0, -1 / 2),
            }
        ),
        (Parametrization.MEAN_FIELD, Optimizer.SGD): MappingProxyType(
            {
                Role.INPUT: Exponents(0, 0, 1),
                Role.WEIGHT: Exponents(-1 / 2, 0, 1),
                Role.READOUT: Exponents(-1, 0, 1),
                Role.BIAS: Exponents(0, 0, 1),
            }
        ),
        (Parametrization.MEAN_FIELD, Optimizer.ADAM): MappingProxyType(
            {
                Role.INPUT: Exponents(0, 0, 0),
                Role.WEIGHT: Exponents(-1 / 2, 0, -1 / 2),
                Role.READOUT: Exponents(-1, 0, 0),
                Role.BIAS: Exponents(0, 0, 0),
            }
        ),
        (Parametrization.MUP, Optimizer.SGD): MappingProxyType(
            {
                Role.INPUT: Exponents(0, 0, 1),
                Role.WEIGHT: Exponents(0, -1 / 2, 0),
                Role.READOUT: Exponents(0, -1, -1),
                Role.BIAS: Exponents(0, 0, 1),
            }
        ),
        (Parametrization.MUP, Optimizer.ADAM): MappingProxyType(
            {
                Role.INPUT: Exponents(0, 0, 0),
                Role.WEIGHT: Exponents(0, -1 / 2, -1),
                Role.READOUT: Exponents(0, -1, -1),
                Role.BIAS: Exponents(0, 0, 0),
            }
        ),
    }
)
"""By parametrization and optimizer, then by role."""

ALIKE = {
    Role.EMBEDDING: Role.INPUT,
    Role.RESIDUAL: Role.WEIGHT,
    Role.NORM_SCALE: Role.BIAS,
    Role.NORM_BIAS: Role.BIAS,
}
"""Roles that scale as another does: one input for each unit, or as many as there are units."""


@checks.checked
def exponents(parametrization: Parametrization, optimizer: Optimizer, role: Role) -> Exponents:
    """The powers of width of one kind of parameter.

    Args:
      parametrization: which.
      optimizer: what the learning rate is for.
      role: what the parameter does. Embeddings scale as input weights do, whose inputs do not grow
        with the network; norms as biases.

    Returns:
      The exponents.

    Raises:
      TypeError: if an argument is not of its enumeration.
      ValueError: for a gate, which has no width.

    Source: Yang and Hu 2021, arXiv:2011.14522, table 1 (SGD; mean-field there for one hidden layer,
    here deep, as in Bordelon and Pehlevan 2022, arXiv:2205.09653); Yang et al. 2022,
    arXiv:2203.03466, table 3 (maximal update). The neural tangent kernel's learning rates under
    Adam are the largest for which `growth` predicts an output that does not grow.

    >>> exponents(Parametrization.MUP, Optimizer.ADAM, Role.WEIGHT)
    Exponents(multiplier=0, std=-0.5, learning_rate=-1)
    """
    for given, enumeration in (
        (parametrization, Parametrization),
        (optimizer, Optimizer),
        (role, Role),
    ):
        if not isinstance(given, enumeration):
            raise TypeError(f"{given!r} must be one of {', '.join(map(str, enumeration))}")
    table = EXPONENTS[parametrization, optimizer]
    kind = ALIKE.get(role, role)
    if kind not in table:
        raise ValueError(
            f"{role} has no width to scale with; these have: {', '.join(map(str, table))}"
        )
    return table[kind]


@checks.checked
def growth(parametrization: Parametrization, optimizer: Optimizer) -> dict[Role, Growth]:
    """The slopes, log size against log width, of each layer's output and of its change in a step.

    INPUT is the first hidden layer, WEIGHT those after it, READOUT the output. A
    product of n terms is of the order of `sqrt(n)` where they are independent, as at the start, and
    of n where an update made them agree: that is what the layer's own update does to its input, and
    what the readout's start does to the change that its gradient has made before it.

    Args:
      parametrization: which.
      optimizer: which.

    Returns:
      The growth by role, for bounded activations and a loss whose slope is of order 1. It is flat
      in maximal update; where a change grows, later steps grow faster than this first one.

    Raises:
      TypeError: if an argument is not of its enumeration.

    Source: Yang and Hu 2021, arXiv:2011.14522, section 5.

    >>> growth(Parametrization.STANDARD, Optimizer.SGD)[Role.READOUT]
    Growth(start=0.0, change=1.0)
    >>> growth(Parametrization.MUP, Optimizer.ADAM)[Role.WEIGHT]
    Growth(start=0.0, change=0.0)
    """
    first, hidden, last = (
        exponents(parametrization, optimizer, role)
        for role in (Role.INPUT, Role.WEIGHT, Role.READOUT)
    )
    bias = exponents(parametrization, optimizer, Role.BIAS)
    signal = last.multiplier + last.std

    def update(layer: Exponents, slope: float) -> float:
        """What a step adds to the layer's effective weight: slope is that of its output."""
        if optimizer is Optimizer.ADAM:
            return layer.multiplier + layer.learning_rate
        return 2 * layer.multiplier + layer.learning_rate + slope

    # The largest power is the sum's. An update times its input: its gradient is made of that input,
    # so that n terms agree and add up as n, where independent ones do as sqrt(n).
    from_bias = update(bias, signal)
    first_change = max(update(first, signal), from_bias)
    hidden_start = hidden.multiplier + hidden.std + 1 / 2
    hidden_change = max(1 + update(hidden, signal), hidden_start + first_change, from_bias)
    last_change = max(1 + update(last, 0), 1 + signal + hidden_change)
    return {
        Role.INPUT: Growth(float(first.multiplier + first.std), float(first_change)),
        Role.WEIGHT: Growth(float(hidden_start), float(hidden_change)),
        Role.READOUT: Growth(float(signal + 1 / 2), float(last_change)),
    }
