"""Initializers `(key, spec) -> array`: schemes, combinators, and `initialize` that applies one."""

from initlab.initializers.combinators import (
    by_path,
    by_role,
    choice,
    scaled,
    shifted,
)
from initlab.initializers.defaults import flax_default, keras_default, torch_default
from initlab.initializers.distributions import (
    constant,
    normal,
    ones,
    truncated_normal,
    uniform,
    unit_normal,
    unit_truncated_normal,
    unit_uniform,
    zeros,
)
from initlab.initializers.fans import fan_avg, fan_in, fan_out
from initlab.initializers.identities import dirac, identity, zero_hadamard
from initlab.initializers.initialize import initialize
from initlab.initializers.mirrored import looks_linear
from initlab.initializers.orthogonality import (
    delta_orthogonal,
    orthogonal,
    scaled_uniform_orthogonal,
)
from initlab.initializers.periodic import siren
from initlab.initializers.residual import (
    fixup,
    gpt2,
    rezero,
    skipinit,
)
from initlab.initializers.sparsity import sparse
from initlab.initializers.variance import (
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    variance_scaling,
)
from initlab.initializers.width import (
    mean_field,
    mup,
    ntk,
    small_readout,
)

__all__ = [
    "by_path",
    "by_role",
    "choice",
    "constant",
    "delta_orthogonal",
    "dirac",
    "fan_avg",
    "fan_in",
    "fan_out",
    "fixup",
    "flax_default",
    "glorot_normal",
    "glorot_uniform",
    "gpt2",
    "he_normal",
    "he_uniform",
    "identity",
    "initialize",
    "keras_default",
    "lecun_normal",
    "lecun_uniform",
    "looks_linear",
    "mean_field",
    "mup",
    "normal",
    "ntk",
    "ones",
    "orthogonal",
    "rezero",
    "scaled",
    "scaled_uniform_orthogonal",
    "shifted",
    "siren",
    "skipinit",
    "small_readout",
    "sparse",
    "torch_default",
    "truncated_normal",
    "uniform",
    "unit_normal",
    "unit_truncated_normal",
    "unit_uniform",
    "variance_scaling",
    "zero_hadamard",
    "zeros",
]
