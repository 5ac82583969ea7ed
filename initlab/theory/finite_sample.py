"""The exact law of a finite network's signals, drawn without its weights."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.activations import check_activation
from initlab.theory.existence import check_holds
from initlab.types import Activation, Number

__all__ = ["FiniteSample", "sample_finite_width"]


class FiniteSample(NamedTuple):
    """Signals of one random network, by layer, [depth + 1] each.

    Attributes:
      q: `|z_l|^2 / n` of the first input.
      cosine_distance: `1 - c_l`, c_l the cosine of both inputs' z_l.
    """

    q: jax.Array
    cosine_distance: jax.Array


@checks.checked
def sample_finite_width(
    key: jax.Array,
    activation: Activation,
    sigma_w2: Number,
    sigma_b2: Number,
    q0: Number,
    c0: Number,
    width: int,
    depth: int,
) -> FiniteSample:
    """`z_(l+1) | z_l ~ N(0, sigma_b2 + sigma_w2 <a_l a_l>)`, unit by unit: no weight is drawn.

    Given the layer before, n pairs of pre-activations are independent, with the 2 x 2 kernel of
    means over its units. So the signals of two inputs in a network of Gaussian weights have exactly
    this law, at any width and depth, at the cost of n numbers a layer in place of n^2. Means over
    keys have no error but their spread: they show what `finite_width_variance` and
    `finite_width_correlation`, of the first order in depth / width, leave out.

    Args:
      key: a JAX key; `vmap` over keys for many networks.
      activation: elementwise function phi.
      sigma_w2: fan_in times the variance of the Gaussian weights.
      sigma_b2: variance of the biases.
      q0: variance of either input's pre-activations of the first layer, over 0.
      c0: their correlation, in [-1, 1].
      width: n, units of each layer.
      depth: how many layers follow.

    Returns:
      What one network shows, traced in JAX's own floating dtype. The distance is NaN where all
      units of a layer are 0 for either input, as in a dead layer of relu: 0 has no direction.

    Raises:
      TypeError: if activation is not a function of one array, width or depth not an integer, or a
        number not real.
      ValueError: if activation is not elementwise, width or depth under 1, a number negative, c0
        outside [-1, 1], q0 or both of sigma_w2 and sigma_b2 0, or q beyond the dtype.

    Source: Neal 1996, Bayesian learning for neural networks, chapter 2, for one layer; Roberts,
    Yaida and Hanin 2021, arXiv:2106.10165, section 4.1, for many.

    >>> keys = jax.random.split(jax.random.key(0), 2000)
    >>> draw = lambda key: sample_finite_width(key, jax.nn.relu, 2.0, 0.0, 1.0, 0.0, 10, 5)
    >>> q = jax.vmap(draw)(keys).q
    >>> [bool(abs(float(each) - 1) < 0.15) for each in q.mean(axis=0)]
    [True, True, True, True, True, True]
    """
    checks.check_count("width", width, 1)
    checks.check_count("depth", depth, 1)
    dtype = jnp.result_type(float)
    largest = float(jnp.finfo(dtype).max)
    for name, value in (("sigma_w2", sigma_w2), ("sigma_b2", sigma_b2), ("q0", q0)):
        checks.check_scale(name, value)
        if checks.is_concrete(value) and float(value) > largest:
            raise ValueError(f"{name} must be at most {largest:.0e}, got {value}")
    checks.check_number("c0", c0)
    if checks.is_concrete(c0) and abs(float(c0)) > 1:
        raise ValueError(f"c0 must be in [-1, 1], got {c0}")
    check_activation("activation", activation, dtype, mixing=ValueError)
    # Its square roots' squares are to have all digits.
    least = float(jnp.finfo(dtype).tiny / jnp.finfo(dtype).eps)
    if checks.is_concrete(q0) and float(q0) < least:
        raise ValueError(f"q0 must be at least {least:.0e}, got {q0}: signals of 0 have no cosine")
    sigmas = (sigma_w2, sigma_b2)
    if all(map(checks.is_concrete, sigmas)) and max(map(float, sigmas)) < least:
        raise ValueError(
            f"sigma_w2 or sigma_b2 must be at least {least:.0e}, got {sigma_w2} and {sigma_b2}: "
            "signals of 0 have no cosine"
        )
    sigma_w2, sigma_b2, q0, c0 = (jnp.asarray(x, dtype) for x in (sigma_w2, sigma_b2, q0, c0))

    def layer(
        kernel: tuple[jax.Array, ...], key: jax.Array
    ) -> tuple[tuple[jax.Array, ...], FiniteSample]:
        # z_2 is a multiple of z_1 and a rest of its own, which keeps its digits where c nears 1.
        size, slope, rest = kernel
        first, own = jax.random.normal(key, (2, width), dtype)
        z = jnp.stack([size * first, slope * size * first + rest * own])
        unit = z / jnp.sqrt(jnp.sum(jnp.square(z), axis=1, keepdims=True))
        seen = FiniteSample(jnp.mean(jnp.square(z[0])), jnp.sum(jnp.square(unit[0] - unit[1])) / 2)
        a, b = activation(z[0]), activation(z[1])
        square = sigma_w2 * jnp.mean(jnp.square(a)) + sigma_b2
        slope = (sigma_w2 * jnp.mean(a * b) + sigma_b2) / square
        apart = sigma_w2 * jnp.mean(jnp.square(b - slope * a)) + sigma_b2 * jnp.square(1 - slope)
        return (jnp.sqrt(square), slope, jnp.sqrt(apart)), seen

    start: Any = (jnp.sqrt(q0), c0, jnp.sqrt(q0 * (1 - c0) * (1 + c0)))
    found = jax.lax.scan(layer, start, jax.random.split(key, depth + 1))[1]
    check_holds("q", found.q, ("activation", "sigma_w2", "sigma_b2", "q0"))
    return found
