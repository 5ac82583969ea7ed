"""Learning rates that change with width as a parametrization says."""

from typing import Any

import jax
import optax

from initlab import checks, optimizers, theory

__all__ = ["scale_by_width"]


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
    were chosen and stay what they are. Chain it after the optimizer. It is the learning rates of
    `theory.scaling` alone; `optimizers.parametrized` has epsilons and decays too.

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

    >>> import numpy as np
    >>> from initlab.theory import Optimizer, Parametrization
    >>> from initlab.types import ParamSpec
    >>> wide, base = ({"w": ParamSpec((n, n), n, n)} for n in (8, 2))
    >>> scale = scale_by_width(wide, base, Parametrization.MUP, Optimizer.ADAM)
    >>> updates, _ = scale.update({"w": np.ones((8, 8), np.float32)}, scale.init(None))
    >>> updates["w"][0, 0].item()
    0.25
    """
    if jax.tree.structure(specs) != jax.tree.structure(base_specs):
        raise ValueError("specs and base_specs must be of the same network, and their trees differ")
    found = theory.scaling(specs, base_specs, parametrization, optimizer).factors
    return optimizers.scale_leaves({path: each.learning_rate for path, each in found.items()})
