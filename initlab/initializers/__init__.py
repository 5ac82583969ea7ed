"""Initializers `(key, spec) -> array`: schemes, combinators, and `initialize` that applies one."""

from initlab.initializers.combinators import (
    by_path,
    by_role,
    choice,
    scaled,
)
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
from initlab.initializers.identities import identity, zero_hadamard
from initlab.initializers.initialize import initialize
from initlab.initializers.orthogonality import orthogonal
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

__all__ = [
    "by_path",
    "by_role",
    "choice",
    "constant",
    "fan_avg",
    "fan_in",
    "fan_out",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "initialize",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "scaled",
    "sparse",
    "truncated_normal",
    "uniform",
    "unit_normal",
    "unit_truncated_normal",
    "unit_uniform",
    "variance_scaling",
    "zero_hadamard",
    "zeros",
]
