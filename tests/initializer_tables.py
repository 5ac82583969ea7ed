"""Every scheme with its variance and kurtosis, and how its tests draw it."""

import math
from typing import Any

import jax
import numpy as np

from initlab import initializers as I  # noqa: N812
from initlab.types import ParamSpec, Role

TRUNCATED_STD = 0.87962566103423978  # of N(0, 1) cut at -2 and 2

# Programs that draw take long to compile, so that few shapes and the generator that compiles
# fastest serve most tests.
GENERATOR = "rbg"
KEY = jax.random.key(7, impl=GENERATOR)
SMALL = (20, 30)
LARGE = (600, 400)

# Kurtosis E[w^4] / E[w^2]^2 of each distribution: it gives the standard error of a variance.
NORMAL, UNIFORM, TRUNCATED = 3.0, 9 / 5, 2.365537

# scheme, its variance by fan_in and fan_out, its kurtosis
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
}

# scheme of one number, whether its draw is proportional to that number
SWEPT = {
    "constant": (I.constant, True),
    "normal": (I.normal, True),
    "truncated_normal": (I.truncated_normal, True),
    "uniform": (I.uniform, True),
    "orthogonal": (I.orthogonal, True),
    "identity": (I.identity, True),
    "zero_hadamard": (I.zero_hadamard, True),
    "sparse": (lambda std: I.sparse(3, std), True),
    "scaled": (lambda factor: I.scaled(I.unit_uniform, factor), True),
    "variance_scaling": (I.variance_scaling, False),
}

ALL = {
    **{name: row[0] for name, row in RANDOM.items()},
    **{f"{name}(0.5)": row[0](0.5) for name, row in SWEPT.items()},
    "zeros": I.zeros(),
    "ones": I.ones(),
    "by_role": I.by_role(I.unit_normal),
    "by_path": I.by_path({"*": I.unit_normal}),
}
DETERMINISTIC = {"constant(0.5)", "identity(0.5)", "zero_hadamard(0.5)", "zeros", "ones"}
# The QR decomposition behind it knows no half precision.
NO_HALF_PRECISION = {"orthogonal(0.5)"}


def weight_spec(*shape: int, dtype: Any = np.float32, role=Role.WEIGHT, path=""):
    """The spec of a dense or convolutional weight, units last."""
    space = math.prod(shape[:-2])
    return ParamSpec(shape, space * shape[-2], space * shape[-1], role, dtype, path)


def draw_wide(initializer, spec, seed=7):
    """What it draws, in float64."""
    return np.asarray(initializer(jax.random.key(seed, impl=GENERATOR), spec), np.float64)
