"""How a network's scales depend on its width: by role, for layers that get wider and wider.

A parametrization has three exponents of width: of a weight's standard deviation, of a multiplier in
the forward pass and of the learning rate. An initializer carries the first alone, so here
multipliers are 1 and what they would do to the start is in the weights: the functions at the start
are those of the parametrization, the training is only with its learning rates, which the theory
gives by role and optimizer. Embeddings have fan_in 1: what is looked up has size 1 at any width.
"""

from initlab import checks
from initlab.initializers.combinators import by_role, scaled
from initlab.initializers.distributions import unit_normal
from initlab.initializers.fans import fan_in
from initlab.initializers.variance import lecun_normal, variance_scaling
from initlab.types import Initializer, Number, ParamSpec

__all__ = ["mean_field", "mup", "ntk", "small_readout", "spectral", "u_mup"]


@checks.checked
def small_readout(weight: Initializer, factor: Number = 0.01) -> Initializer:
    """`w = factor * weight(key, spec)` in the last layer: first predictions are near constant.

    Args:
      weight: for all weights.
      factor: by how much the last layer is smaller; may be traced.

    Returns:
      The initializer of a whole network.

    Raises:
      TypeError: if weight is not callable or factor not a number.
      ValueError: if factor is NaN or infinite.

    Source: Andrychowicz et al. 2020, arXiv:2006.05990 (a last layer 100 times smaller).

    >>> import jax
    >>> from initlab.initializers import ones
    >>> from initlab.types import ParamSpec, Role
    >>> small_readout(ones())(jax.random.key(0), ParamSpec((1, 1), 1, 1, Role.READOUT)).item()
    0.009999999776482582
    """
    return by_role(weight, readout=scaled(weight, factor))


@checks.checked
def ntk(sigma_w2: Number = 1.0, sigma_b2: Number = 0.0) -> Initializer:
    """`w ~ N(0, sigma_w2/fan_in)`, `b ~ N(0, sigma_b2)`, the last layer too: the kernel's limit.

    The functions at the start are those of the standard parametrization; it is the learning rates
    that the NTK parametrization sets apart.

    Args:
      sigma_w2: variance of weights times fan_in, at least 0; may be traced.
      sigma_b2: variance of biases, at least 0; may be traced.

    Returns:
      The initializer of a whole network.

    Raises:
      TypeError: if one of them is not a number.
      ValueError: if one is negative, NaN or infinite.

    Source: Jacot, Gabriel and Hongler 2018, arXiv:1806.07572; with sigmas, Lee et al. 2019,
      arXiv:1902.06720, eq. 1.

    >>> import jax
    >>> from initlab.types import ParamSpec
    >>> w = ntk(4.0)(jax.random.key(0), ParamSpec((400, 100), 400, 100))
    >>> round(float(w.std()), 2)
    0.1
    """
    checks.check_scale("sigma_w2", sigma_w2)
    checks.check_scale("sigma_b2", sigma_b2)
    return by_role(variance_scaling(sigma_w2), bias=variance_scaling(sigma_b2, lambda spec: 1.0))


@checks.checked
def mup(gain: Number = 1.0) -> Initializer:
    """`w ~ N(0, gain^2/fan_in)`, in the last layer `N(0, gain^2/fan_in^2)`: maximal update.

    Features of every layer move in training at any width, with learning rates to match.

    Args:
      gain: a factor of every weight, at least 0; may be traced.

    Returns:
      The initializer of a whole network: biases 0.

    Raises:
      TypeError: if gain is not a number.
      ValueError: if gain is negative, NaN or infinite.

    Source: Yang and Hu 2021, arXiv:2011.14522, table 1; Yang et al. 2022, arXiv:2203.03466,
      table 3.

    >>> import jax
    >>> from initlab.types import ParamSpec, Role
    >>> w = mup()(jax.random.key(0), ParamSpec((100, 100), 100, 100, Role.READOUT))
    >>> round(float(w.std()), 3)
    0.01
    """
    checks.check_scale("gain", gain)
    weight = scaled(lecun_normal(), gain)
    average = scaled(variance_scaling(1.0, lambda spec: fan_in(spec) ** 2), gain)
    return by_role(weight, readout=average)


@checks.checked
def mean_field(gain: Number = 1.0) -> Initializer:
    """`w ~ N(0, gain^2/fan_in)`, in the last layer `N(0, gain^2/fan_in^2)`: the last one averages.

    The start of `mup`: the two differ in what they leave to multipliers and learning rates. Where
    every hidden layer is an average too, `N(0, 1/fan_in^2)`, as in other limits of deep networks,
    nothing passes a wide layer of weights with mean 0: that start is 0 for all that follows.

    Args:
      gain: a factor of every weight, at least 0; may be traced.

    Returns:
      The initializer of a whole network: biases 0.

    Raises:
      TypeError: if gain is not a number.
      ValueError: if gain is negative, NaN or infinite.

    Source: Mei, Montanari and Nguyen 2018, arXiv:1804.06561, for one hidden layer; Bordelon and
      Pehlevan 2022, arXiv:2205.09653, for many.

    >>> import jax
    >>> from initlab.types import ParamSpec, Role
    >>> w = mean_field()(jax.random.key(0), ParamSpec((100, 100), 100, 100, Role.READOUT))
    >>> round(float(w.std()), 3)
    0.01
    """
    return mup(gain)


def u_mup() -> Initializer:
    """`w ~ N(0, 1)`, biases 0, norms 1: the start of u-muP, whose scales are all multipliers.

    The initializer holds the least of it. Signals have unit scale only in a network that multiplies
    each weight by `fan_in^(-1/2)`, the readout by `1/fan_in`, embeddings by 1
    (`networks.with_multipliers`), and that scales its activations, attentions and residual sums
    too. Adam's learning rate is over `sqrt(fan_in)` of hidden weights, over `sqrt(fan_out)` of
    embeddings, and of residual branches over the root of their number too. Without multipliers
    this start explodes.

    Returns:
      The initializer of a whole network with multipliers.

    Source: Blake et al. 2024, arXiv:2407.17465, table 2; its library, unit-scaling (`Linear`,
      `LinearReadout`, `Embedding`, `lr_scale_func_adam`).

    >>> import jax
    >>> from initlab.types import ParamSpec
    >>> w = u_mup()(jax.random.key(0), ParamSpec((400, 100), 400, 100))
    >>> round(float(w.std()), 1)
    1.0
    """
    return by_role(unit_normal)


@checks.checked
def spectral(gain: Number = 1.0) -> Initializer:
    """`w ~ N(0, gain^2 min(1, o/i)/i)`: a largest singular value of the order of sqrt(o/i).

    i is fan_in and o fan_out: what keeps a signal's rms, and lets features move, at any shape. Of a
    layer with fewer outputs than inputs, as the readout, it is muP's start; of others 1/fan_in.

    Args:
      gain: a factor of every weight, at least 0; may be traced.

    Returns:
      The initializer of one weight.

    Raises:
      TypeError: if gain is not a number.
      ValueError: if gain is negative, NaN or infinite.

    Source: Yang, Simon and Bernstein 2023, arXiv:2310.17813, condition 1 and section 3.

    >>> import jax
    >>> from initlab.types import ParamSpec
    >>> w = spectral()(jax.random.key(0), ParamSpec((400, 100), 400, 100))
    >>> round(float(w.std()), 3)
    0.025
    """
    checks.check_scale("gain", gain)
    return scaled(variance_scaling(1.0, _spectral_fan), gain)


def _spectral_fan(spec: ParamSpec) -> float:
    return fan_in(spec) * max(1.0, spec.fan_in / spec.fan_out)
