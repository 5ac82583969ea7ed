"""Mixtures of experts: their weights, and their routers."""

from collections.abc import Sequence

from initlab import checks
from initlab.initializers.combinators import by_path, by_role
from initlab.initializers.distributions import normal, unit_truncated_normal, zeros
from initlab.initializers.fans import fan_in
from initlab.initializers.variance import variance_scaling
from initlab.types import Initializer, Number

__all__ = ["mixture_of_experts", "small_router"]


@checks.checked
def mixture_of_experts(scale: Number = 0.1) -> Initializer:
    """`w ~ N(0, scale/fan_in)` cut at 2 std, routers too: a tenth of the usual variance.

    Large switched transformers diverge less with it. Fans are those of one expert, which a spec's
    `members` tell.

    Args:
      scale: the variance of a weight times its fan_in, over 0; may be traced.

    Returns:
      The initializer of a whole network: biases 0, embeddings N(0, 1), which the paper leaves open.

    Raises:
      TypeError: if scale is not a number.
      ValueError: if scale is negative, NaN or infinite.

    Source: Fedus, Zoph and Shazeer 2021, Switch transformers, arXiv:2101.03961, section 2.4.

    >>> import jax
    >>> from initlab.types import ParamSpec
    >>> w = mixture_of_experts()(jax.random.key(0), ParamSpec((100, 100), 100, 100))
    >>> round(float(w.var() * 100), 2), bool(abs(w).max() < 0.0727)  # 2.28 times 0.0316
    (0.1, True)
    """
    checks.check_scale("scale", scale)
    weight = variance_scaling(scale, fan_in, unit_truncated_normal)
    return by_role(weight, embedding=normal(1.0))


@checks.checked
def small_router(
    inside: Initializer, std: Number = 0.02, *, routers: Sequence[str] = ("*router*",)
) -> Initializer:
    """`w ~ N(0, std^2)` and biases 0 in the routers of a mixture of experts; `inside` elsewhere.

    A router's logits are then of order `std sqrt(fan_in)` or less, and its probabilities nearly
    equal.

    Args:
      inside: draws all other parameters.
      std: of the routers' weights, at least 0; may be traced. 0 is a tie of all experts.
      routers: patterns of routers' paths. "*gate*" too in some networks, in others that is a
        factor within each expert.

    Returns:
      The initializer of a whole network.

    Raises:
      TypeError: if inside is not callable, std not a number, or routers not strings.
      ValueError: if std is negative, NaN or infinite, or there are no routers; when a network is
        drawn, if it has none of that name.

    Source: flaxformer (google/flaxformer, architectures/moe/routing.py), which found it slightly
    better than Switch's own (`mixture_of_experts`). OLMo-core: 0.02 too, cut at 3 std.

    >>> import jax
    >>> from initlab.initializers import he_normal
    >>> from initlab.types import ParamSpec
    >>> init = small_router(he_normal(), 0.0)
    >>> spec = ParamSpec((2, 3), 2, 3, path="block_1/router/weight")
    >>> float(abs(init(jax.random.key(0), spec)).max())
    0.0
    """
    checks.check_callable("inside", inside)
    if not routers or "*" in routers:
        raise ValueError(f"routers must be patterns of some paths, got {routers!r}")
    router = by_role(normal(std), bias=zeros())
    return by_path({**dict.fromkeys(routers, router), "*": inside})
