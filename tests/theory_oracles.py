"""Closed forms of Gaussian expectations, and networks drawn in NumPy."""

import math

import jax
import jax.numpy as jnp
import numpy as np

SLOPE = 0.2


def arc_cosine(c):
    """`E relu(u) relu(v)` of unit variances (Cho and Saul 2009, arXiv:1112.3712)."""
    return (np.sqrt(1 - c * c) + (np.pi - np.arccos(c)) * c) / (2 * np.pi)


def leaky(c):
    """`max(z, a z) = a z + (1 - a) relu(z)`, and `E u relu(v) = c / 2`."""
    return SLOPE**2 * c + SLOPE * (1 - SLOPE) * c + (1 - SLOPE) ** 2 * arc_cosine(c)


def leaky_relu(z):
    return jax.nn.leaky_relu(z, SLOPE)


# function, E f(u) f(v) by variance q and correlation c, the largest q at which panels resolve it
CLOSED = {
    "relu": (jax.nn.relu, lambda q, c: q * arc_cosine(c), 50),
    "leaky_relu": (leaky_relu, lambda q, c: q * leaky(c), 50),
    "erf": (jax.lax.erf, lambda q, c: 2 / np.pi * np.arcsin(2 * q * c / (1 + 2 * q)), 50),
    "sin": (jnp.sin, lambda q, c: np.exp(-q) * np.sinh(q * c), 1),
}


def elu(z):
    """In NumPy."""
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


def correlated(rng, q, c, draws):
    """Draws of (u, v)."""
    first, second = rng.standard_normal((2, draws))
    return math.sqrt(q) * first, math.sqrt(q) * (c * first + math.sqrt(1 - c * c) * second)


def within(measured, expected, errors=4.0, shift: float | np.ndarray = 0.0):
    """Whether a mean over the first axis is the expected one, to so many standard errors."""
    standard_error = measured.std(0, ddof=1) / math.sqrt(len(measured))
    return np.all(np.abs(measured.mean(0) - expected) <= errors * standard_error + shift)


def squared_lengths(rng, phi, sigma_w2, sigma_b2, q0, width, depth, networks):
    """`|z_l|^2 / n` of random networks, [networks, depth + 1]; the first z is N(0, q0).

    A Gaussian matrix times a given vector has independent Gaussian entries, so that no matrix need
    be drawn.
    """
    z = math.sqrt(q0) * rng.standard_normal((networks, width))
    lengths = [(z**2).mean(1)]
    for _ in range(depth):
        variance = sigma_w2 * (phi(z) ** 2).mean(1, keepdims=True) + sigma_b2
        z = np.sqrt(variance) * rng.standard_normal((networks, width))
        lengths.append((z**2).mean(1))
    return np.stack(lengths, axis=1)
