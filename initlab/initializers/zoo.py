"""The schemes by name, as initializers of whole networks with the numbers of their sources."""

from collections.abc import Callable

from initlab.initializers.branch_ends import depth_indexed, layer_scale
from initlab.initializers.combinators import by_role
from initlab.initializers.defaults import flax_default, keras_default, torch_default
from initlab.initializers.distributions import (
    normal,
    ones,
    truncated_normal,
    unit_normal,
    unit_truncated_normal,
    zeros,
)
from initlab.initializers.experts import mixture_of_experts
from initlab.initializers.fans import fan_avg, fan_in
from initlab.initializers.identities import dirac, identity, zero_hadamard
from initlab.initializers.looks_linear import looks_linear
from initlab.initializers.memory import forget_bias, mamba
from initlab.initializers.normalized import normalized
from initlab.initializers.orthogonality import (
    delta_orthogonal,
    modular_orthogonal,
    orthogonal,
    scaled_uniform_orthogonal,
)
from initlab.initializers.residual import fixup, gpt2, rezero
from initlab.initializers.sinusoidal import sinusoidal
from initlab.initializers.siren import siren
from initlab.initializers.sparsity import sparse
from initlab.initializers.transformers import (
    deepnorm,
    mup_transformer,
    nanogpt_speedrun,
    small_init,
    t_fixup,
)
from initlab.initializers.variance import (
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    variance_scaling,
)
from initlab.initializers.width import mup, small_readout, spectral
from initlab.types import Initializer

__all__ = ["schemes"]

_PLAIN: dict[str, Callable[[], Initializer]] = {
    "zeros": zeros,
    "ones": ones,
    "unit_normal": lambda: by_role(unit_normal),
    "normal(0.01)": lambda: by_role(normal(0.01)),
    "normal(0.02)": lambda: by_role(normal(0.02)),
    "truncated_normal(0.02)": lambda: by_role(truncated_normal(0.02)),
    "lecun_normal": lambda: by_role(lecun_normal()),
    "lecun_uniform": lambda: by_role(lecun_uniform()),
    "glorot_normal": lambda: by_role(glorot_normal()),
    "glorot_uniform": lambda: by_role(glorot_uniform()),
    "he_normal": lambda: by_role(he_normal()),
    "he_uniform": lambda: by_role(he_uniform()),
    "glorot_truncated": lambda: by_role(variance_scaling(1.0, fan_avg, unit_truncated_normal)),
    "he_truncated": lambda: by_role(variance_scaling(2.0, fan_in, unit_truncated_normal)),
    # Its std is that before truncation.
    "haiku_default": lambda: by_role(variance_scaling(1.0, fan_in, truncated_normal(1.0))),
    "orthogonal": lambda: by_role(orthogonal()),
    "orthogonal(2**0.5)": lambda: by_role(orthogonal(2**0.5)),
    "modular_orthogonal": lambda: by_role(modular_orthogonal()),
    "scaled_uniform_orthogonal": lambda: by_role(scaled_uniform_orthogonal()),
    "delta_orthogonal": lambda: by_role(delta_orthogonal()),
    "identity": lambda: by_role(identity()),
    "dirac": lambda: by_role(dirac()),
    "zero_hadamard": lambda: by_role(zero_hadamard()),
    "sinusoidal": lambda: by_role(sinusoidal()),
    "sparse": lambda: by_role(sparse()),
    "looks_linear": lambda: by_role(looks_linear(orthogonal())),
    "spectral": lambda: by_role(spectral()),
    "normalized": lambda: normalized(lecun_normal()),
    "siren": siren,
    "mixture_of_experts": mixture_of_experts,
    "mup": mup,
    "mup_transformer": mup_transformer,
    "small_readout": lambda: small_readout(lecun_normal()),
    "depth_indexed": depth_indexed,
    "nanogpt_speedrun": nanogpt_speedrun,
    "rezero": lambda: rezero(glorot_uniform()),
    "forget_bias": lambda: forget_bias(lecun_normal()),
    "mamba": lambda: mamba(lecun_normal()),
    "torch_default": torch_default,
    "keras_default": keras_default,
    "flax_default": flax_default,
}


def _layer_scale(branches: int) -> Initializer:
    return layer_scale(truncated_normal(0.02), _blocks(branches))


def _blocks(branches: int) -> int:
    # A transformer's block is two branches.
    return max(1, branches // 2)


_OF_BRANCHES: dict[str, Callable[[int], Initializer]] = {
    "gpt2": gpt2,
    "fixup": fixup,
    "layer_scale": _layer_scale,
}
_OF_BLOCKS: dict[str, Callable[[int], Initializer]] = {
    "small_init": small_init,
    "deepnorm": deepnorm,
    "t_fixup": t_fixup,
}


def schemes(branches: int) -> dict[str, Initializer]:
    """Every scheme of the table, of a network with so many residual branches.

    >>> "he_normal" in schemes(1)
    True
    """
    branches = max(1, branches)
    return {
        **{name: make() for name, make in _PLAIN.items()},
        **{name: make(branches) for name, make in _OF_BRANCHES.items()},
        **{name: make(_blocks(branches)) for name, make in _OF_BLOCKS.items()},
    }
