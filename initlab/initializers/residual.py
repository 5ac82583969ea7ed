"""Residual networks: the stream's mean square is bounded whatever the number of branches.

Each is an initializer of a whole network, and takes what it scales by role: RESIDUAL, the last
weights of a branch; GATE, a scalar that multiplies one; WEIGHT, the other weights of a branch.
"""

from initlab import checks, theory
from initlab.initializers.combinators import by_role, scaled
from initlab.initializers.distributions import constant, normal, zeros
from initlab.initializers.variance import he_normal
from initlab.types import Initializer, Number

__all__ = ["fixup", "gpt2", "rezero", "skipinit"]


@checks.checked
def gpt2(branches: int, std: Number = 0.02) -> Initializer:
    """`w ~ N(0, std^2)`, the last weights of each residual branch `N(0, std^2/branches)`.

    Args:
      branches: how many branches the stream sums; a transformer of L layers has 2 L.
      std: standard deviation of weights and embeddings; may be traced.

    Returns:
      The initializer of a whole network: biases 0, norm scales 1.

    Raises:
      TypeError: if branches is not an integer or std not a number.
      ValueError: if branches is under 1, or std negative, NaN or infinite.

    Source: Radford et al. 2019, Language models are unsupervised multitask learners, section 2.3.

    >>> import jax
    >>> from initlab.types import ParamSpec, Role
    >>> w = gpt2(4)(jax.random.key(0), ParamSpec((100, 100), 100, 100, Role.RESIDUAL))
    >>> round(float(w.std()), 3)
    0.01
    """
    checks.check_count("branches", branches, 1)
    return by_role(weight=normal(std), residual=scaled(normal(std), branches**-0.5))


@checks.checked
def fixup(branches: int, branch_layers: int = 2) -> Initializer:
    """`w ~ N(0, 2/fan_in) L^(-1/(2m-2))` inside branches, 0 at their ends and in the last layer.

    L is `branches` and m is `branch_layers`. A step of gradient descent then changes the
    network's function by a number of the order of the learning rate, whatever L, without
    normalisation. The first layer is `N(0, 2/fan_in)`, biases 0, gates 1. Weights outside of the
    branches that are neither the first nor the last layer's (projections in shortcuts) are for
    `by_path`: their role does not distinguish them.

    Args:
      branches: L, how many residual branches the network has.
      branch_layers: m, weights in each branch, at least 2.

    Returns:
      The initializer of a whole network.

    Raises:
      TypeError: if one of them is not an integer.
      ValueError: if branches is under 1, or branch_layers under 2.

    Source: Zhang, Dauphin and Ma 2019, arXiv:1901.09321, section 3.

    >>> import jax
    >>> from initlab.types import ParamSpec, Role
    >>> fixup(8)(jax.random.key(0), ParamSpec((1, 2), 1, 2, Role.RESIDUAL)).tolist()
    [[0.0, 0.0]]
    """
    checks.check_count("branches", branches, 1)
    checks.check_count("branch_layers", branch_layers, 2)
    return by_role(
        weight=scaled(he_normal(), theory.fixup_scale(branches, branch_layers)),
        input=he_normal(),
        embedding=he_normal(),
        residual=zeros(),
        readout=zeros(),
    )


@checks.checked
def skipinit(weight: Initializer, alpha: Number = 0.0) -> Initializer:
    """`x + alpha f(x)`: the gate of each residual branch starts at alpha.

    Args:
      weight: for the weights, as `he_normal()`.
      alpha: the gate, 0 or at most `branches^(-1/2)`; may be traced.

    Returns:
      The initializer of a whole network; it requires one with gates.

    Raises:
      TypeError: if weight is not callable or alpha not a number.
      ValueError: if alpha is NaN or infinite.

    Source: De and Smith 2020, arXiv:2002.10444.

    >>> import jax
    >>> from initlab.initializers import ones
    >>> from initlab.types import ParamSpec, Role
    >>> skipinit(ones(), 0.5)(jax.random.key(0), ParamSpec((), 1, 1, Role.GATE)).item()
    0.5
    """
    checks.check_number("alpha", alpha)
    return by_role(weight, gate=constant(alpha))


@checks.checked
def rezero(weight: Initializer) -> Initializer:
    """`x + 0 f(x)`: every gate starts at 0, so that the network starts as the identity.

    The start of `skipinit(weight, 0)`, found independently.

    Args:
      weight: for the weights: `he_normal()` in relu networks, `glorot_uniform()` in transformers.

    Returns:
      The initializer of a whole network; it requires one with gates.

    Raises:
      TypeError: if weight is not callable.

    Source: Bachlechner et al. 2020, arXiv:2003.04887.

    >>> import jax
    >>> from initlab.initializers import ones
    >>> from initlab.types import ParamSpec, Role
    >>> rezero(ones())(jax.random.key(0), ParamSpec((), 1, 1, Role.GATE)).item()
    0.0
    """
    return skipinit(weight, 0.0)
