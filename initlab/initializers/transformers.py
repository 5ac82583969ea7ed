"""Transformers, part by part: schemes that tell queries, keys, values and mlps apart by path.

Their paths are those of `networks.transformer`; for another model's, `by_path` puts the same
pieces together.
"""

import jax

from initlab import checks
from initlab.initializers.combinators import by_path, by_role, scaled
from initlab.initializers.distributions import normal, unit_uniform, zeros
from initlab.initializers.fans import fan_in, fan_out
from initlab.initializers.variance import glorot_normal, lecun_normal, variance_scaling
from initlab.types import Initializer, Number, ParamSpec

__all__ = ["deepnorm", "mup_transformer", "nanogpt_speedrun", "small_init", "t_fixup"]

QUERY, KEY = "*query/weight", "*key/weight"


@checks.checked
def deepnorm(depth: int) -> Initializer:
    """`w ~ N(0, 2 beta^2/(fan_in + fan_out))`, beta = (8 L)^(-1/4); queries and keys with beta 1.

    For `norm(alpha h + branch(h))`, alpha = (2 L)^(1/4), of a decoder of L blocks; a norm forgets
    the scale of what it takes, so that `transformer(norm_at="post", branch_scale=1 / alpha)` is
    that network (but for the norm's epsilon).

    Args:
      depth: L, how many blocks, at least 1.

    Returns:
      The initializer of a whole network. Readout and input as queries; embeddings are
      `N(0, 1/width)`, which the paper leaves open.

    Raises:
      TypeError: if depth is not an integer.
      ValueError: if depth is under 1.

    Source: Wang et al. 2022, arXiv:2203.00555, figure 2; their code, torchscale, draws uniforms.

    >>> spec = ParamSpec((99, 99), 99, 99, path="block_1/attention/value/weight")
    >>> ratio = deepnorm(2)(jax.random.key(0), spec) / glorot_normal()(jax.random.key(0), spec)
    >>> round(float(ratio[0, 0]), 3)
    0.5
    """
    checks.check_count("depth", depth, 1)
    plain = glorot_normal()
    inside = scaled(plain, (8 * depth) ** -0.25)
    rest = by_role(inside, input=plain, readout=plain, embedding=_over_width)
    return by_path({QUERY: plain, KEY: plain, "*": rest})


@checks.checked
def t_fixup(depth: int) -> Initializer:
    """Glorot's normal, `0.67 L^(-1/4)` times smaller in values, mlps and branch ends; no norms.

    A transformer of self-attention and mlps, which the paper calls an encoder, then trains without
    layer norm and warm-up: `transformer(norm=None)`. Embeddings are `N(0, 1/width)` times
    `(9 L)^(-1/4)`, queries and keys are not scaled.

    Args:
      depth: L, how many blocks, at least 1.

    Returns:
      The initializer of a whole network.

    Raises:
      TypeError: if depth is not an integer.
      ValueError: if depth is under 1.

    Source: Huang, Perez, Ba and Volkovs 2020, Improving transformer optimization through better
      initialization, section 3.3, and its code; of the factors the encoder's.

    >>> spec = ParamSpec((99, 99), 99, 99, path="block_1/attention/value/weight")
    >>> ratio = t_fixup(16)(jax.random.key(0), spec) / glorot_normal()(jax.random.key(0), spec)
    >>> round(float(ratio[0, 0]), 3)
    0.335
    """
    checks.check_count("depth", depth, 1)
    factor = 0.67 * depth**-0.25
    plain = glorot_normal()
    table = scaled(_over_width, (9 * depth) ** -0.25)
    rest = by_role(scaled(plain, factor), input=plain, readout=plain, embedding=table)
    return by_path({QUERY: plain, KEY: plain, "*": rest})


def _over_width(key: jax.Array, spec: ParamSpec) -> jax.Array:
    return variance_scaling(1.0, fan_out)(key, spec)


@checks.checked
def mup_transformer(gain: Number = 1.0) -> Initializer:
    """`w ~ N(0, gain^2/fan_in)`, queries and readout 0, embeddings `N(0, gain^2)`: maximal update.

    With `transformer(attention_scale="1/d")` and muP's learning rates. At 0 queries and readout
    have the start that they have at infinite width, so that widths agree from the first step on.

    Args:
      gain: a factor of every weight, at least 0; may be traced.

    Returns:
      The initializer of a whole network: biases 0.

    Raises:
      TypeError: if gain is not a number.
      ValueError: if gain is negative, NaN or infinite.

    Source: Yang et al. 2022, arXiv:2203.03466, tables 3 and 8, appendix D.2.

    >>> spec = ParamSpec((2, 2), 2, 2, path="block_1/attention/query/weight")
    >>> mup_transformer()(jax.random.key(0), spec).tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    checks.check_scale("gain", gain)
    weight = scaled(lecun_normal(), gain)
    rest = by_role(weight, readout=zeros(), embedding=normal(gain))
    return by_path({QUERY: zeros(), "*": rest})


@checks.checked
def small_init(depth: int) -> Initializer:
    """`w ~ N(0, 2/(5 d))`, ends of residual branches `N(0, (2/L)^2/d)`; d is the width.

    Args:
      depth: L, how many blocks, at least 1.

    Returns:
      The initializer of a whole network: embeddings and readout as weights, biases 0.

    Raises:
      TypeError: if depth is not an integer.
      ValueError: if depth is under 1.

    Source: Nguyen and Salazar 2019, arXiv:1910.05895 (SmallInit); the ends are Wang and
      Komatsuzaki's of mesh-transformer-jax, together Black et al. 2022, GPT-NeoX, arXiv:2204.06745.

    >>> from initlab.types import Role
    >>> spec = ParamSpec((400, 100), 400, 100, Role.RESIDUAL)
    >>> round(float(small_init(4)(jax.random.key(0), spec).std()), 3)
    0.05
    """
    checks.check_count("depth", depth, 1)
    return by_role(
        variance_scaling(0.4),
        residual=variance_scaling((2 / depth) ** 2, fan_out),
        embedding=variance_scaling(0.4, fan_out),
    )


@checks.checked
def nanogpt_speedrun() -> Initializer:
    """q, k, v `U(sqrt(3/i))`, mlps 0.4 times that, branch ends 0, embeddings 0.8, readout 0.001.

    Variances: 1/i of queries, keys and values, 0.16/i of the first weights of an mlp, 0.64 of
    embeddings and 1e-6 of the readout; the last two normal. i is fan_in, the width.

    Returns:
      The initializer of a whole network: biases 0, norm scales 1.

    Source: Karpathy 2025, nanochat (`GPT.init_weights`), after Jordan et al. 2024,
      modded-nanogpt, which has half of these uniforms' scale.

    >>> spec = ParamSpec((3, 400), 3, 400, path="block_1/attention/query/weight")
    >>> round(float(abs(nanogpt_speedrun()(jax.random.key(0), spec)).max()), 1)
    1.0
    """
    uniform = variance_scaling(1.0, fan_in, unit_uniform)
    rest = by_role(uniform, residual=zeros(), embedding=normal(0.8), readout=normal(0.001))
    patterns = {"*mlp/layer_1/weight": scaled(uniform, 0.4)}
    return by_path(patterns | {"*": rest})
