"""Learning rates that change with width as a parametrization says."""

import math
from typing import Any

import jax
import numpy as np
import optax

from initlab import checks, theory
from initlab.types import ParamSpec, Role

__all__ = ["scale_by_width"]

OWN_UNITS = {Role.BIAS, Role.NORM_SCALE, Role.NORM_BIAS}
"""Vectors with an entry for each unit."""

FROM_DATA = {Role.INPUT, Role.EMBEDDING}
"""What leads from the data, whose size does not change, to the units."""


@checks.checked
def scale_by_width(
    specs: Any,
    base_specs: Any,
    parametrization: theory.Parametrization,
    optimizer: theory.Optimizer,
) -> optax.GradientTransformation:
    """`update * (n / n_0)^e`: e the parametrization's exponent of the learning rate, by role.

    n is the width that the parameter sees: units for biases, norms, embeddings and the input's
    weights, inputs for all other weights; n_0 is that of the base network, at which learning rates
    were chosen and stay what they are. Chain it after the optimizer.

    Args:
      specs: the network's specs.
      base_specs: those of the same network at its base width: the same tree.
      parametrization: which.
      optimizer: what the exponents are for.

    Returns:
      The transformation, without a state. Gates, which have no width, keep their rate.

    Raises:
      TypeError: if an argument is not of its enumeration.
      ValueError: if the two trees differ.

    Source: Yang et al. 2022, arXiv:2203.03466, table 3 and appendix B.

    >>> from initlab.theory import Optimizer, Parametrization
    >>> wide, base = ({"w": ParamSpec((n, n), n, n)} for n in (8, 2))
    >>> scale = scale_by_width(wide, base, Parametrization.MUP, Optimizer.ADAM)
    >>> updates, _ = scale.update({"w": np.ones((8, 8), np.float32)}, scale.init(None))
    >>> updates["w"][0, 0].item()
    0.25
    """
    if jax.tree.structure(specs) != jax.tree.structure(base_specs):
        raise ValueError("specs and base_specs must be of the same network, and their trees differ")

    def factor(spec: ParamSpec, base: ParamSpec) -> np.ndarray:
        if spec.role is Role.GATE:
            return np.ones((), spec.dtype)
        exponent = theory.exponents(parametrization, optimizer, spec.role).learning_rate
        return np.asarray((_width(spec) / _width(base)) ** exponent, spec.dtype)

    factors = jax.tree.map(factor, specs, base_specs)
    return optax.stateless(lambda updates, _: jax.tree.map(_multiply, updates, factors))


def _multiply(update: jax.Array, factor: np.ndarray) -> jax.Array:
    return update * factor


def _width(spec: ParamSpec) -> int:
    if spec.role in OWN_UNITS:
        return math.prod(spec.shape[bool(spec.stack) :])
    return spec.fan_out if spec.role in FROM_DATA else spec.fan_in
