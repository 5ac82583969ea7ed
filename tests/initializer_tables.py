"""Every scheme with its variance and kurtosis, and how its tests draw it."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import initializers as I  # noqa: N812
from initlab.types import ParamSpec, Role

TRUNCATED_STD = 0.87962566103423978  # of N(0, 1) cut at -2 and 2

# Programs that draw take long to compile, so that few shapes and the generator that compiles
# fastest serve most tests.
GENERATOR = "rbg"
KEY = jax.random.key(7, impl=GENERATOR)
SMALL = (20, 30)
LARGE = (300, 200)

# Kurtosis E[w^4] / E[w^2]^2 of each distribution: it gives the standard error of a variance.
NORMAL, UNIFORM, TRUNCATED = 3.0, 9 / 5, 2.365537
# Of N(0, 1) cut at -3 and 3.
SQUARE_AT_3, TRUNCATED_AT_3 = 0.973337, 2.828882


def weight_spec(*shape: int, dtype: Any = np.float32, role=Role.WEIGHT, path=""):
    """The spec of a dense or convolutional weight, units last."""
    space = math.prod(shape[:-2])
    return ParamSpec(shape, space * shape[-2], space * shape[-1], role, dtype, path)


def in_role(role, initializer):
    """What it draws for a parameter of another role."""
    return lambda key, spec: initializer(key, dataclasses.replace(spec, role=role))


def in_path(path, initializer):
    """What it draws for a parameter of another path."""
    return lambda key, spec: initializer(key, dataclasses.replace(spec, path=path))


def critical(key, spec):
    """The critical scheme of tanh with biases; it computes its scale when it is drawn."""
    return I.critical(jnp.tanh, 0.05)(key, spec)


# scheme, its variance by fan_in and fan_out, its kurtosis; after a colon, the role it draws for
RANDOM = {
    "normal": (I.normal(0.3), lambda i, o: 0.3**2, NORMAL),
    "truncated_normal": (
        I.truncated_normal(0.3),
        lambda i, o: (0.3 * TRUNCATED_STD) ** 2,
        TRUNCATED,
    ),
    "uniform": (I.uniform(0.6), lambda i, o: 0.6**2 / 3, UNIFORM),
    "unit_normal": (I.unit_normal, lambda i, o: 1.0, NORMAL),
    "unit_truncated_normal": (I.unit_truncated_normal, lambda i, o: 1.0, TRUNCATED),
    "unit_uniform": (I.unit_uniform, lambda i, o: 1.0, UNIFORM),
    "lecun_normal": (I.lecun_normal(), lambda i, o: 1 / i, NORMAL),
    "lecun_uniform": (I.lecun_uniform(), lambda i, o: 1 / i, UNIFORM),
    "glorot_normal": (I.glorot_normal(), lambda i, o: 2 / (i + o), NORMAL),
    "glorot_uniform": (I.glorot_uniform(), lambda i, o: 2 / (i + o), UNIFORM),
    "he_normal": (I.he_normal(), lambda i, o: 2 / i, NORMAL),
    "he_uniform": (I.he_uniform(), lambda i, o: 2 / i, UNIFORM),
    "variance_scaling": (I.variance_scaling(1.5), lambda i, o: 1.5 / i, NORMAL),
    "by fan_out": (I.variance_scaling(2.0, I.fan_out), lambda i, o: 2 / o, NORMAL),
    "own fan": (
        I.variance_scaling(3.0, lambda spec: spec.fan_in * spec.fan_out, I.unit_uniform),
        lambda i, o: 3 / (i * o),
        UNIFORM,
    ),
    "scaled": (I.scaled(I.lecun_normal(), -2.0), lambda i, o: 4 / i, NORMAL),
    "shifted": (I.shifted(I.normal(0.3), 0.0), lambda i, o: 0.3**2, NORMAL),
    "gpt2": (I.gpt2(8), lambda i, o: 0.02**2, NORMAL),
    "gpt2: residual": (in_role(Role.RESIDUAL, I.gpt2(8)), lambda i, o: 0.02**2 / 8, NORMAL),
    # 16 branches of 3 layers: 16^(-1/4) is half, of a variance a quarter.
    "fixup": (I.fixup(16, 3), lambda i, o: 2 / i / 4, NORMAL),
    "fixup: input": (in_role(Role.INPUT, I.fixup(16, 3)), lambda i, o: 2 / i, NORMAL),
    "depth_indexed": (
        I.depth_indexed(0.03),
        lambda i, o: 0.03**2 * SQUARE_AT_3,
        TRUNCATED_AT_3,
    ),
    "depth_indexed: readout": (
        in_role(Role.READOUT, I.depth_indexed()),
        lambda i, o: SQUARE_AT_3 / i,
        TRUNCATED_AT_3,
    ),
    "small_init": (I.small_init(4), lambda i, o: 0.4 / i, NORMAL),
    "mixture_of_experts": (I.mixture_of_experts(), lambda i, o: 0.1 / i, TRUNCATED),
    "small_router": (I.small_router(I.he_normal()), lambda i, o: 2 / i, NORMAL),
    "small_router: router": (
        in_path("block_1/router/weight", I.small_router(I.he_normal(), 0.3)),
        lambda i, o: 0.3**2,
        NORMAL,
    ),
    "spectral": (I.spectral(1.5), lambda i, o: 1.5**2 * min(1, o / i) / i, NORMAL),
    "skipinit": (I.skipinit(I.he_normal()), lambda i, o: 2 / i, NORMAL),
    "rezero": (I.rezero(I.glorot_uniform()), lambda i, o: 2 / (i + o), UNIFORM),
    "small_readout": (I.small_readout(I.lecun_normal()), lambda i, o: 1 / i, NORMAL),
    "small_readout: readout": (
        in_role(Role.READOUT, I.small_readout(I.lecun_normal())),
        lambda i, o: 1e-4 / i,
        NORMAL,
    ),
    # sigma_w2 as published (Poole 2016's line, by quadrature in float64).
    "critical": (critical, lambda i, o: 1.76095464 / i, NORMAL),
    "critical: readout": (in_role(Role.READOUT, critical), lambda i, o: 1.76095464 / i, NORMAL),
    "critical: bias": (in_role(Role.BIAS, critical), lambda i, o: 0.05, NORMAL),
    "ntk": (I.ntk(1.5, 0.2), lambda i, o: 1.5 / i, NORMAL),
    "ntk: readout": (in_role(Role.READOUT, I.ntk(1.5)), lambda i, o: 1.5 / i, NORMAL),
    "ntk: bias": (in_role(Role.BIAS, I.ntk(1.5, 0.2)), lambda i, o: 0.2, NORMAL),
    "mup": (I.mup(1.5), lambda i, o: 1.5**2 / i, NORMAL),
    "mup: readout": (in_role(Role.READOUT, I.mup(1.5)), lambda i, o: (1.5 / i) ** 2, NORMAL),
    "u_mup": (I.u_mup(), lambda i, o: 1.0, NORMAL),
    "u_mup: readout": (in_role(Role.READOUT, I.u_mup()), lambda i, o: 1.0, NORMAL),
    "mean_field": (I.mean_field(1.5), lambda i, o: 1.5**2 / i, NORMAL),
    "mean_field: readout": (
        in_role(Role.READOUT, I.mean_field(1.5)),
        lambda i, o: (1.5 / i) ** 2,
        NORMAL,
    ),
    "siren": (I.siren(), lambda i, o: 6 / i / 30**2 / 3, UNIFORM),
    "siren: input": (in_role(Role.INPUT, I.siren()), lambda i, o: 1 / i**2 / 3, UNIFORM),
    "siren: bias": (in_role(Role.BIAS, I.siren()), lambda i, o: 1 / i / 3, UNIFORM),
    "torch_default": (I.torch_default(), lambda i, o: 1 / i / 3, UNIFORM),
    "torch_default: bias": (
        in_role(Role.BIAS, I.torch_default()),
        lambda i, o: 1 / i / 3,
        UNIFORM,
    ),
    "torch_default: embedding": (
        in_role(Role.EMBEDDING, I.torch_default()),
        lambda i, o: 1.0,
        NORMAL,
    ),
    "keras_default": (I.keras_default(), lambda i, o: 2 / (i + o), UNIFORM),
    "keras_default: embedding": (
        in_role(Role.EMBEDDING, I.keras_default()),
        lambda i, o: 0.05**2 / 3,
        UNIFORM,
    ),
    "flax_default": (I.flax_default(), lambda i, o: 1 / i, TRUNCATED),
    "flax_default: embedding": (
        in_role(Role.EMBEDDING, I.flax_default()),
        lambda i, o: 1 / o,
        NORMAL,
    ),
}

# what whole-network schemes start at one number, and the number
CONSTANT = {
    "fixup: residual": (in_role(Role.RESIDUAL, I.fixup(4)), 0.0),
    "fixup: readout": (in_role(Role.READOUT, I.fixup(4)), 0.0),
    "fixup: gate": (in_role(Role.GATE, I.fixup(4)), 1.0),
    "skipinit: gate": (in_role(Role.GATE, I.skipinit(I.he_normal(), 0.25)), 0.25),
    "rezero: gate": (in_role(Role.GATE, I.rezero(I.he_normal())), 0.0),
    "zero_branch_ends: residual": (
        in_role(Role.RESIDUAL, I.zero_branch_ends(I.ones())),
        0.0,
    ),
    "zero_branch_ends": (I.zero_branch_ends(I.ones()), 1.0),
    "layer_scale: gate": (in_role(Role.GATE, I.layer_scale(I.ones(), 24)), float(np.float32(1e-5))),
    "mup_transformer: readout": (in_role(Role.READOUT, I.mup_transformer()), 0.0),
    "nanogpt_speedrun: residual": (in_role(Role.RESIDUAL, I.nanogpt_speedrun()), 0.0),
    # Their factors and their own biases are in test_initializer_parts.
    "deepnorm: bias": (in_role(Role.BIAS, I.deepnorm(2)), 0.0),
    "t_fixup: bias": (in_role(Role.BIAS, I.t_fixup(2)), 0.0),
    "normalized: bias": (in_role(Role.BIAS, I.normalized(I.ones())), 0.0),
    "forget_bias": (I.forget_bias(I.ones()), 1.0),
    "chrono": (I.chrono(I.ones(), 9), 1.0),
    "mamba": (I.mamba(I.ones()), 1.0),
    "log_prior": (I.log_prior(I.ones(), [0.5]), 1.0),
    "gpt2: bias": (in_role(Role.BIAS, I.gpt2(8)), 0.0),
    "critical: norm_bias": (in_role(Role.NORM_BIAS, critical), 0.0),
    "mup: bias": (in_role(Role.BIAS, I.mup()), 0.0),
    "ntk: norm_bias": (in_role(Role.NORM_BIAS, I.ntk(1.0, 0.2)), 0.0),
    "torch_default: norm_scale": (in_role(Role.NORM_SCALE, I.torch_default()), 1.0),
    "torch_default: norm_bias": (in_role(Role.NORM_BIAS, I.torch_default()), 0.0),
    "keras_default: bias": (in_role(Role.BIAS, I.keras_default()), 0.0),
    "flax_default: bias": (in_role(Role.BIAS, I.flax_default()), 0.0),
}

# scheme of one number, the power of that number which its draw is proportional to
SWEPT = {
    "constant": (I.constant, 1),
    "normal": (I.normal, 1),
    "truncated_normal": (I.truncated_normal, 1),
    "uniform": (I.uniform, 1),
    "orthogonal": (I.orthogonal, 1),
    "scaled_uniform_orthogonal": (I.scaled_uniform_orthogonal, 1),
    "modular_orthogonal": (I.modular_orthogonal, 1),
    "delta_orthogonal": (I.delta_orthogonal, 1),
    "identity": (I.identity, 1),
    "dirac": (I.dirac, 1),
    "zero_hadamard": (I.zero_hadamard, 1),
    "sinusoidal": (I.sinusoidal, 1),
    "sparse": (lambda std: I.sparse(3, std), 1),
    "looks_linear": (lambda gain: I.looks_linear(I.orthogonal(gain)), 1),
    "scaled": (lambda factor: I.scaled(I.unit_uniform, factor), 1),
    "shifted": (lambda offset: I.shifted(I.zeros(), offset), 1),
    "variance_scaling": (I.variance_scaling, 0.5),
    "gpt2": (lambda std: I.gpt2(8, std), 1),
    "skipinit: gate": (lambda alpha: in_role(Role.GATE, I.skipinit(I.zeros(), alpha)), 1),
    "small_readout: readout": (
        lambda factor: in_role(Role.READOUT, I.small_readout(I.unit_uniform, factor)),
        1,
    ),
    "ntk": (I.ntk, 0.5),
    "ntk: bias": (lambda sigma_b2: in_role(Role.BIAS, I.ntk(1.0, sigma_b2)), 0.5),
    "mup": (I.mup, 1),
    "mean_field": (I.mean_field, 1),
    "siren": (I.siren, -1),
}

ALL = {
    **{name: row[0] for name, row in RANDOM.items()},
    **{name: row[0] for name, row in CONSTANT.items()},
    **{f"{name}(0.3)": row[0](0.3) for name, row in SWEPT.items()},
    "zeros": I.zeros(),
    "ones": I.ones(),
    "by_role": I.by_role(I.unit_normal),
    "by_path": I.by_path({"*": I.unit_normal}),
}
DETERMINISTIC = {
    *CONSTANT,
    "constant(0.3)",
    "shifted(0.3)",
    "identity(0.3)",
    "dirac(0.3)",
    "zero_hadamard(0.3)",
    "sinusoidal(0.3)",
    "skipinit: gate(0.3)",
    "zeros",
    "ones",
}
# Schemes for convolutions only; the others are drawn for a dense weight.
WINDOWED = {"dirac", "delta_orthogonal"}


def scheme_of(name):
    """The scheme that a row is about."""
    return name.split("(")[0].split(":")[0]


def small_spec(name, dtype: Any = np.float32):
    """A small weight that the scheme of this row serves."""
    return weight_spec(*((3, 8, 12) if scheme_of(name) in WINDOWED else SMALL), dtype=dtype)


def draw_wide(initializer, spec, seed=7):
    """What it draws, in float64."""
    return np.asarray(initializer(jax.random.key(seed, impl=GENERATOR), spec), np.float64)
