"""Initializers `(key, spec) -> array`: schemes, combinators, and `initialize` that applies one.

What other libraries call them. Where a mean is given, `shifted(..., mean)`; an interval [a, b) is
`shifted(uniform((b - a) / 2), (a + b) / 2)`.

torch.nn.init:

  - uniform_, normal_, constant_, ones_, zeros_: `uniform`, `normal`, `constant`, `ones`, `zeros`
  - trunc_normal_(t, 0, std, a, b): `truncated_normal(std, a / std, b / std)`
  - eye_, dirac_, orthogonal_: `identity`, `dirac`, `orthogonal`
  - sparse_: `sparse`, which counts what is not zero, into each unit
  - xavier_normal_, xavier_uniform_: `glorot_normal`, `glorot_uniform`; with a gain,
    `variance_scaling(gain**2, fan_avg, unit_normal or unit_uniform)`
  - kaiming_normal_, kaiming_uniform_: `he_normal`, `he_uniform`; with a slope or a mode,
    `variance_scaling(2 / (1 + a**2), fan_in or fan_out, unit_normal or unit_uniform)`

jax.nn.initializers, and flax:

  - normal, truncated_normal, constant, ones, zeros, orthogonal, delta_orthogonal: the same names
  - uniform(scale), on [0, scale): `shifted(uniform(scale / 2), scale / 2)`
  - variance_scaling(scale, mode, law): `variance_scaling(scale, fan_..., unit_...)`
  - lecun_uniform, glorot_uniform, he_uniform (xavier, kaiming): the same names
  - lecun_normal, glorot_normal, he_normal are truncated there:
    `variance_scaling(1 or 2, fan_in or fan_avg, unit_truncated_normal)`

keras.initializers:

  - Zeros, Ones, Constant: `zeros`, `ones`, `constant`
  - Identity, Orthogonal: `identity`, `orthogonal`
  - RandomNormal, RandomUniform, TruncatedNormal: `normal`, `uniform`, `truncated_normal`
  - VarianceScaling, LecunUniform, GlorotUniform, HeUniform: as in jax
  - LecunNormal, GlorotNormal, HeNormal: truncated, as in jax

haiku.initializers: UniformScaling(scale): `variance_scaling(scale**2, fan_in, unit_uniform)`
"""

from initlab.initializers.adapters import (
    Adapted,
    adapted_params,
    lora,
    lora_scale,
    olora,
    pissa,
)
from initlab.initializers.branch_ends import depth_indexed, layer_scale, zero_branch_ends
from initlab.initializers.choice import choice
from initlab.initializers.class_priors import log_prior
from initlab.initializers.combinators import by_path, by_role, scaled, shifted
from initlab.initializers.criticality import critical
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
from initlab.initializers.experts import mixture_of_experts, small_router
from initlab.initializers.fans import fan_avg, fan_in, fan_out
from initlab.initializers.identities import dirac, identity, zero_hadamard
from initlab.initializers.initialize import initialize
from initlab.initializers.laws import bias_law, weight_law
from initlab.initializers.looks_linear import looks_linear
from initlab.initializers.memory import chrono, forget_bias, mamba
from initlab.initializers.mimetic import mimetic
from initlab.initializers.normalized import normalized
from initlab.initializers.orthogonality import (
    delta_orthogonal,
    modular_orthogonal,
    orthogonal,
    scaled_uniform_orthogonal,
)
from initlab.initializers.parametrized import parametrized
from initlab.initializers.recognition import Recognition, RecognizedWeight, recognize
from initlab.initializers.residual import fixup, gpt2, rezero, skipinit
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
from initlab.initializers.width import mean_field, mup, ntk, small_readout, spectral, u_mup

__all__ = [
    "Adapted",
    "Recognition",
    "RecognizedWeight",
    "adapted_params",
    "bias_law",
    "by_path",
    "by_role",
    "choice",
    "chrono",
    "constant",
    "critical",
    "deepnorm",
    "delta_orthogonal",
    "depth_indexed",
    "dirac",
    "fan_avg",
    "fan_in",
    "fan_out",
    "fixup",
    "flax_default",
    "forget_bias",
    "glorot_normal",
    "glorot_uniform",
    "gpt2",
    "he_normal",
    "he_uniform",
    "identity",
    "initialize",
    "keras_default",
    "layer_scale",
    "lecun_normal",
    "lecun_uniform",
    "log_prior",
    "looks_linear",
    "lora",
    "lora_scale",
    "mamba",
    "mean_field",
    "mimetic",
    "mixture_of_experts",
    "modular_orthogonal",
    "mup",
    "mup_transformer",
    "nanogpt_speedrun",
    "normal",
    "normalized",
    "ntk",
    "olora",
    "ones",
    "orthogonal",
    "parametrized",
    "pissa",
    "recognize",
    "rezero",
    "scaled",
    "scaled_uniform_orthogonal",
    "shifted",
    "sinusoidal",
    "siren",
    "skipinit",
    "small_init",
    "small_readout",
    "small_router",
    "sparse",
    "spectral",
    "t_fixup",
    "torch_default",
    "truncated_normal",
    "u_mup",
    "uniform",
    "unit_normal",
    "unit_truncated_normal",
    "unit_uniform",
    "variance_scaling",
    "weight_law",
    "zero_branch_ends",
    "zero_hadamard",
    "zeros",
]
