"""The default initializers of other libraries' layers."""

from initlab.initializers.combinators import by_role
from initlab.initializers.distributions import (
    uniform,
    unit_normal,
    unit_truncated_normal,
    unit_uniform,
)
from initlab.initializers.fans import fan_in, fan_out
from initlab.initializers.variance import glorot_uniform, variance_scaling
from initlab.types import Initializer

__all__ = ["flax_default", "keras_default", "torch_default"]


def torch_default() -> Initializer:
    """`w, b ~ U[-r, r)`, `r = 1/sqrt(fan_in)`; embeddings N(0, 1), norms 1 and 0.

    torch's Linear and Conv call `kaiming_uniform_(w, a=sqrt(5))`, whose gain is `1/sqrt(3)`: a
    third of LeCun's variance. Its MultiheadAttention is another thing (`glorot_uniform`).

    Returns:
      The initializer of a whole network.

    Source: torch.nn.Linear, Conv1d to Conv3d, Embedding and LayerNorm, `reset_parameters`.

    >>> import jax
    >>> from initlab.types import ParamSpec, Role
    >>> b = torch_default()(jax.random.key(0), ParamSpec((100,), 4, 100, Role.BIAS))
    >>> bool(0.4 < abs(b).max() <= 0.5)
    True
    """
    third = variance_scaling(1 / 3, fan_in, unit_uniform)
    return by_role(third, bias=third, embedding=unit_normal)


def keras_default() -> Initializer:
    """`w ~ U[-r, r)`, `r = sqrt(6/(fan_in + fan_out))`, `b = 0`; embeddings U[-0.05, 0.05).

    Returns:
      The initializer of a whole network.

    Source: keras.layers.Dense, Conv1D to Conv3D, MultiHeadAttention and Embedding.

    >>> import jax
    >>> from initlab.types import ParamSpec, Role
    >>> keras_default()(jax.random.key(0), ParamSpec((2,), 4, 2, Role.BIAS)).tolist()
    [0.0, 0.0]
    """
    return by_role(glorot_uniform(), embedding=uniform(0.05))


def flax_default() -> Initializer:
    """`Var w = 1/fan_in`, a Gaussian cut at two std, `b = 0`; embeddings N(0, 1/features).

    Returns:
      The initializer of a whole network; an embedding's features are its spec's fan_out.

    Source: flax.linen.Dense, Conv, MultiHeadDotProductAttention and Embed; flax.nnx the same.

    >>> import jax
    >>> from initlab.types import ParamSpec, Role
    >>> flax_default()(jax.random.key(0), ParamSpec((2,), 4, 2, Role.BIAS)).tolist()
    [0.0, 0.0]
    """
    return by_role(
        variance_scaling(1.0, fan_in, unit_truncated_normal),
        embedding=variance_scaling(1.0, fan_out, unit_normal),
    )
