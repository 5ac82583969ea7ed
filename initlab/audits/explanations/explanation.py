"""What there is to say about a code beyond one finding of it."""

from typing import NamedTuple

__all__ = ["SETUP", "Explanation"]

SETUP = """\
import jax
import jax.numpy as jnp
from initlab import audit

x = jax.random.normal(jax.random.key(0), (16, 8))

def draw(seed, fan_in, fan_out):
    return jax.random.normal(jax.random.key(seed), (fan_in, fan_out)) / fan_in**0.5

def tanh_net(params, x):
    for w in params[:-1]:
        x = jnp.tanh(x @ w)
    return x @ params[-1]
"""
"""What every example is run after."""


class Explanation(NamedTuple):
    """A code in words.

    Attributes:
      cause: what is wrong, and what it does to training; one or two sentences.
      remedy: what ends it; one or two sentences.
      threshold: which number is compared with what, severity by severity. Fields of `Thresholds`
        stand in braces, "{max_efolds:g}", and are filled with their values.
      reason: why the threshold lies there, with its source.
      example: Python that runs after `SETUP` and leaves a report that has the code in `report`.
    """

    cause: str
    remedy: str
    threshold: str
    reason: str
    example: str
