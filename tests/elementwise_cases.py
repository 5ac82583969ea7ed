"""Each elementwise primitive between two layers: `(z [2, 4], b [4, 2]) -> outputs`."""

import jax
import jax.numpy as jnp
from jax import lax


def _beside(z, b):
    """Another array [2, 4] whose units are the rows of b."""
    return jnp.broadcast_to(b[:, 0][None], z.shape)


def _one(function):
    return lambda z, b: function(z).astype(z.dtype) @ b


def _whole(function):
    return lambda z, b: function(z.astype(int)).astype(z.dtype) @ b


def _two(function):
    return lambda z, b: jnp.sum(function(z, _beside(z, b)).astype(z.dtype), 1)


def _two_whole(function):
    def case(z, b):
        return jnp.sum(function(z.astype(int), _beside(z, b).astype(int)).astype(z.dtype), 1)

    return case


ONE = """
    abs acos acosh asin asinh atan atanh bessel_i0e bessel_i1e cbrt ceil cos cosh digamma erf
    erf_inv erfc exp exp2 expm1 floor is_finite lgamma log log1p logistic neg round rsqrt sign sin
    sinh sqrt square tan tanh
"""
TWO = """
    add atan2 complex div eq ge gt igamma igamma_grad_a igammac le lt max min mul ne nextafter
    polygamma pow rem sub zeta
"""
TWO_WHOLE = "mulhi shift_left shift_right_arithmetic shift_right_logical"

# By primitives that JAX has from 0.12 on: tanh's derivative is one there.
NEWER = {
    "log2": _one(jnp.log2),
    "one_minus_square": _one(jax.grad(lambda z: jnp.sum(jnp.tanh(z)))),
    "polynomial": _two(lambda z, y: vars(lax)["polynomial"](z, (y, z, 1.0))),
}
LACKING = {name for name in NEWER if not hasattr(lax, f"{name}_p")}
"""Primitives with a rule that the installed JAX does not have."""

ELEMENTWISE_CASES = {
    **{name: case for name, case in NEWER.items() if name not in LACKING},
    **{name: _two(getattr(lax, f"{name}_p").bind) for name in ("eq_to", "le_to", "lt_to")},
    **{name: _one(getattr(lax, name)) for name in ONE.split()},
    **{name: _two(getattr(lax, name)) for name in TWO.split()},
    **{name: _two_whole(getattr(lax, name)) for name in TWO_WHOLE.split()},
    "add_any": _one(jax.grad(lambda z: jnp.sum(jnp.tanh(z) * jnp.sin(z)))),
    "and": _two_whole(lax.bitwise_and),
    "clamp": _two(lambda z, y: lax.clamp(y, z, 1 + y)),
    "clz": _whole(lax.clz),
    "complex": _two(lambda z, y: lax.real(lax.complex(z, y))),
    "conj": _one(lambda z: lax.real(lax.conj(lax.complex(z, z)))),
    "convert_element_type": _one(lambda z: z.astype(jnp.bfloat16)),
    "imag": _one(lambda z: lax.imag(lax.complex(z, z))),
    "integer_pow": _one(lambda z: z**3),
    "not": _whole(lax.bitwise_not),
    "or": _two_whole(lax.bitwise_or),
    "population_count": _whole(lax.population_count),
    "real": _one(lambda z: lax.real(lax.complex(z, z))),
    "reduce_precision": _one(lambda z: lax.reduce_precision(z, 8, 7)),
    "regularized_incomplete_beta": _two(lambda z, y: lax.betainc(z, y, z)),
    "select_n": _two(lambda z, y: lax.select(z > 0, z, y)),
    "xor": _two_whole(lax.bitwise_xor),
}
