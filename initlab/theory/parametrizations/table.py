"""Parametrizations as powers of width, depth and batch: the table that all else is read from.

A weight is `multiplier * w`, `w ~ N(0, std^2)`, trained with a learning rate, an epsilon and a
weight decay of its own; each of the five is a power of width. Multiplying the first by `width^t`,
the second by `width^-t`, the rate by `width^-2t` under SGD and by `width^-t` under Adam, and
Adam's epsilon by `width^t`, changes nothing: so one table follows from another.
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from initlab import checks
from initlab.types import Role

__all__ = ["EXPONENTS", "Exponents", "Optimizer", "Parametrization", "branch_power", "exponents"]


class Parametrization(enum.Enum):
    """How weights, outputs and learning rates scale with width, and branches with depth.

    Attributes:
      STANDARD: variance 1 / fan_in, one learning rate for all widths and layers.
      NTK: the neural tangent kernel's, in which a wide network's features do not change.
      MEAN_FIELD: features learn; the multipliers of the mean-field limit.
      MUP: maximal update: every layer's features learn as much as they can at any width.
      DEPTH_MUP: maximal update, with residual branches times depth^-1/2.
      COMPLETE_P: maximal update, with residual branches times depth^-alpha.
      U_MUP: maximal update of weights of variance 1, whose multipliers hold the scale.
      SPECTRAL: singular values of weights and updates of the order of sqrt(fan_out / fan_in).
    """

    STANDARD = "standard"
    NTK = "ntk"
    MEAN_FIELD = "mean_field"
    MUP = "mup"
    DEPTH_MUP = "depth_mup"
    COMPLETE_P = "complete_p"
    U_MUP = "u_mup"
    SPECTRAL = "spectral"


class Optimizer(enum.Enum):
    """How a step follows from a gradient.

    Attributes:
      SGD: in proportion to it.
      ADAM: of a size that does not depend on it, entry by entry; AdamW too.
      SIGN: its sign, or that of its running mean, as Lion's.
      MUON: the nearest orthogonal matrix times sqrt(max(1, fan_out / fan_in)), as
        `optax.contrib.muon` takes it, for the matrices of the roles INPUT, WEIGHT and RESIDUAL;
        Adam for all others.
    """

    SGD = "sgd"
    ADAM = "adam"
    SIGN = "sign"
    MUON = "muon"


class Exponents(NamedTuple):
    """Powers of width, of depth or of batch.

    Attributes:
      multiplier: of what the parameter is multiplied by in the forward pass.
      std: of the standard deviation that it starts with.
      learning_rate: of the rate that it is trained with.
      epsilon: of what Adam adds to the root of the second moment; it follows the gradient.
      weight_decay: of the decay that is multiplied with the learning rate, as AdamW's.
    """

    multiplier: float
    std: float
    learning_rate: float
    epsilon: float = 0
    weight_decay: float = 0


Roles = Mapping[Role, Exponents]


def _roles(**rows: tuple[float, float, float, float]) -> Roles:
    """The rows of four numbers; what is decayed a step, rate times decay, has no width."""
    return MappingProxyType(
        {Role[name.upper()]: Exponents(*row, 0 - row[2]) for name, row in rows.items()}
    )


# Of each row: multiplier, std, learning rate, epsilon.
_STANDARD = _roles(
    input=(0, 0, 0, 0), weight=(0, -1 / 2, 0, 0), readout=(0, -1 / 2, 0, 0), bias=(0, 0, 0, 0)
)
_NTK_ADAM = _roles(
    input=(0, 0, -1 / 2, -1 / 2),
    weight=(-1 / 2, 0, -1, -1),
    readout=(-1 / 2, 0, -1 / 2, -1 / 2),
    bias=(0, 0, -1 / 2, -1 / 2),
)
_MUP_SGD = _roles(
    input=(0, 0, 1, 0), weight=(0, -1 / 2, 0, 0), readout=(0, -1, -1, 0), bias=(0, 0, 1, 0)
)
_MUP_ADAM = _roles(
    input=(0, 0, 0, -1), weight=(0, -1 / 2, -1, -1), readout=(0, -1, -1, 0), bias=(0, 0, 0, -1)
)
_FIELD_SGD = _roles(
    input=(0, 0, 1, 0), weight=(-1 / 2, 0, 1, 0), readout=(-1, 0, 1, 0), bias=(0, 0, 1, 0)
)
_FIELD_ADAM = _roles(
    input=(0, 0, 0, -1),
    weight=(-1 / 2, 0, -1 / 2, -3 / 2),
    readout=(-1, 0, 0, -1),
    bias=(0, 0, 0, -1),
)
_UNIT_ADAM = MappingProxyType({**_FIELD_ADAM, **_roles(embedding=(0, 0, -1 / 2, -1))})


def _with_signs(sgd: Roles, adam: Roles, orthogonal: float) -> dict[Optimizer, Roles]:
    """Rows of all optimizers: signs are Adam's without an epsilon; matrices of Muon have their own.

    Args:
      sgd: its rows.
      adam: its rows.
      orthogonal: the learning rate's power for the hidden matrices of Muon.
    """
    signs = {role: row._replace(epsilon=0) for role, row in adam.items()}
    weight = signs[Role.WEIGHT]._replace(learning_rate=orthogonal, weight_decay=0 - orthogonal)
    muon = {**adam, Role.INPUT: signs[Role.INPUT], Role.WEIGHT: weight}
    # Its embeddings are Adam's, whose input weights may differ from them by the epsilon.
    muon.setdefault(Role.EMBEDDING, adam[Role.INPUT])
    return {
        Optimizer.SGD: sgd,
        Optimizer.ADAM: adam,
        Optimizer.SIGN: MappingProxyType(signs),
        Optimizer.MUON: MappingProxyType(muon),
    }


_MUP = _with_signs(_MUP_SGD, _MUP_ADAM, 0)

_WIDTH = {
    Parametrization.STANDARD: _with_signs(_STANDARD, _STANDARD, 0),
    Parametrization.NTK: _with_signs(
        _roles(
            input=(0, 0, 0, 0),
            weight=(-1 / 2, 0, 0, 0),
            readout=(-1 / 2, 0, 0, 0),
            bias=(0, 0, 0, 0),
        ),
        _NTK_ADAM,
        0,
    ),
    Parametrization.MEAN_FIELD: _with_signs(_FIELD_SGD, _FIELD_ADAM, 1 / 2),
    Parametrization.MUP: _MUP,
    Parametrization.DEPTH_MUP: _MUP,
    Parametrization.COMPLETE_P: _MUP,
    Parametrization.U_MUP: _with_signs(_FIELD_SGD, _UNIT_ADAM, 1 / 2),
    # At the powers of width that follow from sqrt(fan_out / fan_in): the paper's own result.
    Parametrization.SPECTRAL: _MUP,
}

EXPONENTS = MappingProxyType(
    {(way, optimizer): rows for way, table in _WIDTH.items() for optimizer, rows in table.items()}
)
"""Powers of width by parametrization and optimizer, then by role."""

ALIKE = {
    Role.EMBEDDING: Role.INPUT,
    Role.RESIDUAL: Role.WEIGHT,
    Role.NORM_SCALE: Role.BIAS,
    Role.NORM_BIAS: Role.BIAS,
}
"""Roles that scale as another does: one input for each unit, or as many as there are units."""

_BATCH = {
    Optimizer.SGD: Exponents(0, 0, 1),
    Optimizer.ADAM: Exponents(0, 0, 1 / 2, -1 / 2),
}
"""Powers of the batch size, of every parametrization and role."""

OUTSIDE = {Role.INPUT, Role.READOUT, Role.EMBEDDING}
"""Roles that are never within a block."""

NOTHING = Exponents(0, 0, 0)


@checks.checked
def exponents(
    parametrization: Parametrization,
    optimizer: Optimizer,
    role: Role,
    *,
    of: str = "width",
    alpha: float = 1.0,
) -> Exponents:
    """The powers of width, depth or batch of one kind of parameter.

    Args:
      parametrization: which.
      optimizer: what the learning rate is for.
      role: what the parameter does. Embeddings scale as input weights do, whose inputs do not grow
        with the network; norms as biases. Of depth, what the parameter does within a block.
      of: "width"; "depth", the number of residual blocks; or "batch", the examples of a step.
      alpha: of CompleteP, between 1/2 and 1: branches are multiplied by depth^-alpha.

    Returns:
      The exponents. Without residual branches depth has no exponents. Of a branch the multiplier is
      that of its last layer, with its bias.

    Raises:
      TypeError: if an argument is not of its enumeration, or alpha not a number.
      ValueError: for a gate's width, which it has not; for batches of an optimizer without a
        published rule; if `of` is none of the three.

    Source: width: Yang and Hu 2021, arXiv:2011.14522, table 1 (SGD; mean-field there for one hidden
    layer, here deep, as in Bordelon and Pehlevan 2022, arXiv:2205.09653); Yang et al. 2022,
    arXiv:2203.03466, table 3 (maximal update); Blake et al. 2024, arXiv:2407.17465 (u-muP under
    Adam; under SGD it is maximal update by the symmetry above); Yang, Simon and Bernstein 2023,
    arXiv:2310.17813. The neural tangent kernel's learning rates under Adam and Muon are the largest
    for which `growth` predicts an output that does not grow. Epsilons follow the size of the
    gradient (Everett et al. 2024, arXiv:2407.05872), but for the standard parametrization. Depth:
    Yang et al. 2023, arXiv:2310.02244; Dey et al. 2025, arXiv:2505.01618, table 1; SGD's rate
    Bordelon et al. 2024, arXiv:2405.15712. Batch: Goyal et al. 2017, arXiv:1706.02677 (SGD),
    Malladi et al. 2022, arXiv:2205.10287 (Adam, whose 1 - beta_1 and 1 - beta_2 are to be
    multiplied by the batch's factor too).

    >>> exponents(Parametrization.MUP, Optimizer.ADAM, Role.WEIGHT)
    Exponents(multiplier=0, std=-0.5, learning_rate=-1, epsilon=-1, weight_decay=1)
    >>> way = Parametrization.COMPLETE_P, Optimizer.ADAM
    >>> exponents(*way, Role.RESIDUAL, of="depth", alpha=0.5)
    Exponents(multiplier=-0.5, std=0, learning_rate=-0.5, epsilon=-0.5, weight_decay=0)
    """
    for given, enumeration in (
        (parametrization, Parametrization),
        (optimizer, Optimizer),
        (role, Role),
    ):
        if not isinstance(given, enumeration):
            raise TypeError(f"{given!r} must be one of {', '.join(map(str, enumeration))}")
    if of == "width":
        return _of_width(parametrization, optimizer, role)
    if of == "depth":
        return _of_depth(parametrization, optimizer, role, branch_power(parametrization, alpha))
    if of != "batch":
        raise ValueError(f'of must be "width", "depth" or "batch", got {of!r}')
    if optimizer not in _BATCH:
        raise ValueError(f"batch has published rules for {list(map(str, _BATCH))}, got {optimizer}")
    return _BATCH[optimizer]


def branch_power(parametrization: Parametrization, alpha: float) -> float | None:
    """The power of 1 / depth that multiplies branches; None where depth has no rule."""
    checks.check_number("alpha", alpha)
    if not 0.5 <= alpha <= 1:
        raise ValueError(f"alpha must be between 0.5 and 1, got {alpha}")
    if parametrization is Parametrization.COMPLETE_P:
        return float(alpha)
    is_half = parametrization in (Parametrization.DEPTH_MUP, Parametrization.U_MUP)
    return 0.5 if is_half else None


def _of_width(parametrization: Parametrization, optimizer: Optimizer, role: Role) -> Exponents:
    table = EXPONENTS[parametrization, optimizer]
    kind = role if role in table else ALIKE.get(role, role)
    if kind not in table:
        raise ValueError(
            f"{role} has no width to scale with; these have: {', '.join(map(str, table))}"
        )
    return table[kind]


def _of_depth(
    parametrization: Parametrization, optimizer: Optimizer, role: Role, power: float | None
) -> Exponents:
    if power is None or role in OUTSIDE:
        return NOTHING
    # All blocks move the stream the same way, so that their changes add up as depth^1: times the
    # branches' factor and the rate, and under SGD the factor that is in the gradient too.
    rate = 2 * power - 1 if optimizer is Optimizer.SGD else power - 1
    has_epsilon = optimizer is Optimizer.ADAM or (
        optimizer is Optimizer.MUON and role not in (Role.WEIGHT, Role.RESIDUAL)
    )
    multiplier = -power if role is Role.RESIDUAL else 0
    return Exponents(multiplier, 0, rate, -power if has_epsilon else 0)
