"""A parametrization on one network: each parameter's factors over those of a base network."""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from initlab import checks
from initlab.theory.parametrizations.table import (
    OUTSIDE,
    Exponents,
    Optimizer,
    Parametrization,
    exponents,
)
from initlab.types import ParamSpec, Role

__all__ = ["Factors", "Scaling", "scaling"]

OWN_UNITS = {Role.BIAS, Role.NORM_SCALE, Role.NORM_BIAS}
"""Vectors with an entry for each unit."""

FROM_DATA = {Role.INPUT, Role.EMBEDDING}
"""What leads from the data, whose size does not change, to the units."""


class Factors(NamedTuple):
    """What one parameter's numbers are, over those of the same parameter of the base network.

    Attributes:
      multiplier: of what it is multiplied by in the forward pass.
      std: of its standard deviation at the start.
      learning_rate: of its learning rate.
      epsilon: of its epsilon.
      weight_decay: of its weight decay.
    """

    multiplier: float
    std: float
    learning_rate: float
    epsilon: float
    weight_decay: float


@dataclasses.dataclass(frozen=True)
class Scaling:
    """A parametrization on one network, beside the base network at which numbers were chosen.

    `initializers.parametrized` draws by it, `optimizers.parametrized` trains by it, and
    `networks.with_multipliers(network, scaling.multipliers)` computes by it.

    Attributes:
      optimizer: what the learning rates are for.
      specs: the network's, pytree of ParamSpec.
      base: of each parameter by path the one of the base network that it is compared with.
      factors: of each parameter by path.
    """

    optimizer: Optimizer
    specs: Any
    base: Mapping[str, ParamSpec]
    factors: Mapping[str, Factors]

    @property
    def multipliers(self) -> dict[str, float]:
        """The forward pass' factors by path, of those parameters whose factor is not 1."""
        return {
            path: each.multiplier for path, each in self.factors.items() if each.multiplier != 1
        }


@checks.checked
def scaling(
    specs: Any,
    base_specs: Any,
    parametrization: Parametrization,
    optimizer: Optimizer,
    *,
    alpha: float = 1.0,
    batch: float = 1.0,
) -> Scaling:
    """`(width / base width)^e (depth / base depth)^e' batch^e''` for each parameter and number.

    A parameter's width is what it sees: units for biases, norms, embeddings and the input's
    weights, inputs for all other weights. Depth counts residual branches by the weights that end
    them; what lies in the tree where such a layer lies is within a block. So both are read off the
    specs of any model, as `networks.adopt` gives them.

    Args:
      specs: the network's.
      base_specs: those of the network at which learning rates and all else were chosen, of any
        width and depth; parameters are matched by path, blocks by role and path without the number.
      parametrization: which.
      optimizer: what the network is trained with.
      alpha: of CompleteP, between 1/2 and 1.
      batch: examples of a step over those of the base, over 0.

    Returns:
      The scaling. Gates have no width; where the two networks are the same every factor is 1.
      Attention has a factor of its own that is no parameter's: maximal update asks for
      `transformer(attention_scale="1/d")` where a head's features grow with the width.

    Raises:
      TypeError: if an argument is not of its kind.
      ValueError: if a parameter has no counterpart in the base network, or several that differ; if
        alpha or batch is out of range, or batch is not 1 and the optimizer has no rule for it.

    Source: as for `exponents`; base shapes: Yang et al. 2022, arXiv:2203.03466, appendix B.

    >>> wide, base = ({"w": ParamSpec((n, n), n, n)} for n in (8, 2))
    >>> scaling(wide, base, Parametrization.MUP, Optimizer.ADAM).factors["w"]
    Factors(multiplier=1.0, std=0.5, learning_rate=0.25, epsilon=0.25, weight_decay=4.0)
    """
    checks.check_number("batch", batch)
    if not float(batch) > 0:
        raise ValueError(f"batch must be over 0, got {batch}")
    own = _by_path("specs", specs)
    base = _matched(own, _by_path("base_specs", base_specs))
    depth = _branches(own) / _branches(_by_path("base_specs", base_specs))
    blocks = _blocks(own)
    factors = {}
    for path, spec in own.items():
        rule = Optimizer.ADAM if _is_left_to_adam(spec, optimizer) else optimizer
        powers = [
            (
                _width(spec) / _width(base[path]),
                Exponents(0, 0, 0)
                if spec.role is Role.GATE
                else exponents(parametrization, rule, spec.role),
            )
        ]
        if path.startswith(blocks) and spec.role not in OUTSIDE:
            role = Role.RESIDUAL if _ends_branch(path, own) else spec.role
            powers.append((depth, exponents(parametrization, rule, role, of="depth", alpha=alpha)))
        if batch != 1:
            powers.append(
                (float(batch), exponents(parametrization, optimizer, spec.role, of="batch"))
            )
        factors[path] = _factors(powers)
    return Scaling(optimizer, specs, base, factors)


def _factors(powers: list[tuple[float, Exponents]]) -> Factors:
    columns = zip(*(each for _, each in powers), strict=True)
    sizes = [size for size, _ in powers]
    return Factors(
        *(
            math.prod(size**power for size, power in zip(sizes, column, strict=True))
            for column in columns
        )
    )


def _by_path(name: str, specs: Any) -> dict[str, ParamSpec]:
    found = checks.leaves_by_path(name, specs)
    for path, spec in found.items():
        checks.check_kind(f"{name}[{path!r}]", spec, ParamSpec)
    return found


def _matched(own: Mapping[str, ParamSpec], base: Mapping[str, ParamSpec]) -> dict[str, ParamSpec]:
    """Of each parameter the one of the base: by path, else of another block or layer like its."""
    alike: dict[tuple[Role, str], list[ParamSpec]] = {}
    for path, spec in base.items():
        alike.setdefault((spec.role, _without_number(path)), []).append(spec)
    matched = {}
    for path, spec in own.items():
        if path in base and base[path].role is spec.role:
            matched[path] = base[path]
            continue
        found = alike.get((spec.role, _without_number(path)), [])
        if len({(each.fan_in, each.fan_out) for each in found}) != 1:
            what = "none" if not found else "several that differ"
            raise ValueError(
                f"base_specs must hold a parameter like specs[{path!r}], {spec.role}, got {what}"
            )
        matched[path] = found[0]
    return matched


def _without_number(path: str) -> str:
    return re.sub(r"\d+", "#", path, count=1)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _blocks(specs: Mapping[str, ParamSpec]) -> tuple[str, ...]:
    """What the paths of all parameters within a block begin with: what holds a branch's last layer.

    The top of the tree is no block; where a layer is a leaf, and not a node, its parent is.
    """
    layers = {_parent(path) for path, spec in specs.items() if spec.role is Role.RESIDUAL} - {""}
    return tuple(sorted({f"{_parent(layer) or layer}/" for layer in layers}))


def _ends_branch(path: str, specs: Mapping[str, ParamSpec]) -> bool:
    """Whether a branch's factor is this parameter's: of its last weight, and the bias beside it."""
    beside = {spec.role for other, spec in specs.items() if _parent(other) == _parent(path)}
    is_bias = specs[path].role is Role.BIAS and beside == {Role.RESIDUAL, Role.BIAS}
    return specs[path].role is Role.RESIDUAL or is_bias


def _branches(specs: Mapping[str, ParamSpec]) -> int:
    ends = [spec for spec in specs.values() if spec.role is Role.RESIDUAL]
    return sum(len(spec.stack) or 1 for spec in ends) or 1


def _is_left_to_adam(spec: ParamSpec, optimizer: Optimizer) -> bool:
    return optimizer is Optimizer.MUON and not is_orthogonalized(spec)


def is_orthogonalized(spec: ParamSpec) -> bool:
    """Whether Muon takes the parameter, or each slice of it: a matrix between layers."""
    is_matrix = len(spec.shape) - bool(spec.stack) == 2 and not spec.members
    return is_matrix and spec.role in (Role.INPUT, Role.WEIGHT, Role.RESIDUAL)


def _width(spec: ParamSpec) -> float:
    if spec.role in OWN_UNITS:
        return math.prod(spec.shape[bool(spec.stack) :])
    return spec.fan_out if spec.role in FROM_DATA else spec.fan_in
