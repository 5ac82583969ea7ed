"""Identity and Hadamard weights: deterministic, the same at every seed."""

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.initializers.fans import at_centre, check_window, kernel_shape
from initlab.types import Initializer, Number, ParamSpec

__all__ = ["dirac", "identity", "zero_hadamard"]


@checks.checked
def identity(gain: Number = 1.0) -> Initializer:
    """`w[i, j] = gain` where i = j, else 0: the (partial) identity.

    Args:
      gain: the diagonal; may be traced.

    Returns:
      The initializer; an attention weight is one matrix, split by its fans.

    Raises:
      TypeError: if gain is not a number.
      ValueError: if gain is NaN or infinite; when drawn, if the spec is not a matrix.

    Source: Le, Jaitly and Hinton 2015, arXiv:1504.00941, for recurrent weights.

    >>> identity()(jax.random.key(0), ParamSpec((2, 3), 2, 3)).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    checks.check_number("gain", gain)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        del key
        window, inputs, units = kernel_shape("identity", spec)
        if window:
            raise ValueError(
                f"identity requires a matrix, got shape {spec.shape} for {spec.path!r}"
            )
        matrix = jnp.eye(inputs, units, dtype=spec.dtype) * jnp.asarray(gain, spec.dtype)
        return matrix.reshape(spec.shape)

    return init


@checks.checked
def dirac(gain: Number = 1.0, *, groups: int = 1) -> Initializer:
    """`w[centre, i, j] = gain` where i = j, else 0: a convolution that copies its input.

    Args:
      gain: the value; may be traced.
      groups: into how many groups the channels fall; unit j copies input j of its own group.

    Returns:
      The initializer of a convolution's weights [*window, inputs of a group, units].

    Raises:
      TypeError: if gain is not a number or groups not an integer.
      ValueError: if gain is NaN or infinite or groups under 1; when drawn, if the spec is not a
        convolution's, or its units do not fall into so many groups.

    Source: Zagoruyko and Komodakis 2017, DiracNets, arXiv:1706.00388.

    >>> w = dirac()(jax.random.key(0), ParamSpec((3, 2, 2), 6, 6))
    >>> w[1].tolist(), float(abs(w[0]).max())
    ([[1.0, 0.0], [0.0, 1.0]], 0.0)
    """
    checks.check_number("gain", gain)
    checks.check_count("groups", groups, 1)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        del key
        window, inputs, units = kernel_shape("dirac", spec)
        check_window("dirac", spec, window)
        if units % groups:
            raise ValueError(
                f"dirac requires units in {groups} equal groups, got shape {spec.shape} for "
                f"{spec.path!r}"
            )
        matrix = jnp.tile(jnp.eye(inputs, units // groups, dtype=spec.dtype), groups)
        return at_centre(matrix * jnp.asarray(gain, spec.dtype), window)

    return init


@checks.checked
def zero_hadamard(gain: Number = 1.0) -> Initializer:
    """`w = gain I`, or `gain 2^-((m-1)/2) H_m` where the width grows, `2^m >= units`: ZerO.

    I is the (partial) identity and H_m the Hadamard matrix of size 2^m, m the least that fits,
    `H_m[i, j] = (-1)^(ones in the binary digits of i & j)`, cut to the weight's rows and columns.
    Cut to few rows its columns repeat: `min(units, 2^ceil(log2(inputs)))` of them differ, and the
    units of the others are copies until their outgoing weights break the tie. In a convolution
    the matrix is the window's centre.

    Args:
      gain: a factor of the whole; may be traced. `2**-0.5` gives the scale of the authors' code,
        `2^-(m/2)`, with orthonormal rows where the width grows to a power of two.

    Returns:
      The initializer.

    Raises:
      TypeError: if gain is not a number.
      ValueError: if gain is NaN or infinite; when drawn, if the spec's rank is under two.

    Source: Zhao, Schaefer and Anandkumar 2021, arXiv:2110.12661, algorithms 1 and 2.

    >>> zero_hadamard()(jax.random.key(0), ParamSpec((3, 2), 3, 2)).tolist()
    [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    >>> zero_hadamard()(jax.random.key(0), ParamSpec((1, 2), 1, 2)).tolist()
    [[1.0, 1.0]]
    """
    checks.check_number("gain", gain)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        del key
        window, inputs, units = kernel_shape("zero_hadamard", spec)
        matrix = jnp.eye(inputs, units, dtype=spec.dtype)
        if inputs < units:
            rows, columns = (jnp.arange(n, dtype=jnp.uint32) for n in (inputs, units))
            odd = jax.lax.population_count(rows[:, None] & columns[None]) % 2 == 1
            exponent = (units - 1).bit_length()
            matrix = jnp.where(odd, -1.0, 1.0).astype(spec.dtype)
            matrix *= jnp.asarray(2 ** (-(exponent - 1) / 2), spec.dtype)
        matrix *= jnp.asarray(gain, spec.dtype)
        return at_centre(matrix, window).reshape(spec.shape)

    return init
