"""Attention at initialization, as far as theory goes: uniform attention and the collapse of rank.

With queries and keys of small weights, or scaled by `1 / d` instead of `1 / sqrt(d)`, every token
attends to all tokens alike, and the maps below are exact for many features. Beyond that there is no
closed recursion: with weights of variance `1 / d` the logits are of order 1, attention depends on
the tokens, and only bounds are known (Dong et al. 2021). Masks and depth at finite width are not
covered either.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.theory.evaluation import evaluate
from initlab.types import Array, Numbers

__all__ = ["Tokens", "propagate_uniform_attention", "rank_collapse_bound"]


class Tokens(NamedTuple):
    """The tokens of one sequence layer by layer, arrays [..., depth + 1].

    Attributes:
      q: mean squared entry of a token.
      c: correlation of two tokens, the mean over pairs; 1 is rank collapse.
    """

    q: Array
    c: Array


@checks.checked
def propagate_uniform_attention(
    sigma_w2: Numbers,
    q0: Numbers,
    c0: Numbers,
    tokens: int,
    depth: int,
    *,
    branch_scale: Numbers = 1.0,
    skip: bool = True,
) -> Tokens:
    """`x_i <- x_i + s mean_j W x_j`: `q <- q + s^2 sigma_w2 k`, `k = q (1 + (T - 1) c) / T`.

    k is the covariance averaged over all pairs of the T tokens. Without the skip connection one
    layer makes all tokens the same. With it, c goes to 1 with depth unless s is of the order of
    `1 / sqrt(depth)`.

    Args:
      sigma_w2: fan_in times the variance of the value projection times that of the output's.
      q0: mean squared entry of a token where it starts.
      c0: correlation of two tokens there, in [-1 / (T - 1), 1].
      tokens: T, how many there are, at least 2.
      depth: how many layers follow.
      branch_scale: s; numbers or arrays that broadcast.
      skip: whether the input is added.

    Returns:
      The tokens, NumPy float64; traced in the dtype of traced arguments.

    Raises:
      TypeError: if a count is not an integer or a number not real.
      ValueError: if a count is too small, a number negative, q0 is 0, or c0 no correlation of T
        tokens.

    Source: Noci et al. 2022, arXiv:2206.03126, section 3, in the limit of uniform attention.

    >>> collapsed = propagate_uniform_attention(1.0, 1.0, 0.5, 8, 1, skip=False)
    >>> round(float(collapsed.c[1]), 9)
    1.0
    """
    checks.check_count("tokens", tokens, 2)
    checks.check_count("depth", depth, 1)
    if checks.is_concrete(c0) and (np.asarray(c0) * (tokens - 1) < -1 - 1e-9).any():
        raise ValueError(f"c0 of {tokens} tokens must be at least {-1 / (tokens - 1)}, got {c0}")
    if checks.is_concrete(q0) and (np.asarray(q0) == 0).any():
        raise ValueError("q0 must be over 0, got 0: tokens of 0 have no correlation")
    numbers = {"sigma_w2": sigma_w2, "q0": q0, "c0": c0, "branch_scale": branch_scale}
    return evaluate(_layers, (tokens, depth, bool(skip)), numbers)


def _layers(
    tokens: int,
    depth: int,
    skip: bool,
    sigma_w2: jax.Array,
    q0: jax.Array,
    c0: jax.Array,
    branch_scale: jax.Array,
) -> Tokens:
    def layer(state: tuple[jax.Array, jax.Array], _: None) -> Any:
        q, covariance = state
        kept = 1 if skip else 0
        # The mean over tokens is the same vector for each: it adds as much to the covariance as to
        # the variance.
        added = branch_scale**2 * sigma_w2 * (q + (tokens - 1) * covariance) / tokens
        after = kept * q + added, kept * covariance + added
        # Tokens of 0 are all the same.
        correlation = jnp.where(q > 0, covariance / jnp.where(q > 0, q, 1), 1)
        return after, Tokens(q, correlation)

    return jax.lax.scan(layer, (q0, q0 * c0), length=depth + 1)[1]


@checks.checked
def rank_collapse_bound(residual: Numbers, factor: Numbers, depth: int) -> Array:
    """`r_L <= factor^((3^L - 1) / 2) r_0^(3^L)`: attention alone collapses doubly exponentially.

    r is the distance, in the norm of Dong et al., of the tokens from having all the same value;
    `factor = 4 beta / sqrt(d)` for one head, beta a bound of the norms of its weights. It says
    nothing where `factor r_0^2 >= 1`, and nothing about networks with skip connections.

    Args:
      residual: r_0, at least 0.
      factor: as above, at least 0; numbers or arrays that broadcast.
      depth: L, how many layers of attention alone.

    Returns:
      The bound, NumPy float64; traced in the dtype of traced arguments.

    Raises:
      TypeError: if depth is not an integer or a number not real.
      ValueError: if depth is under 1, a number negative, or the bound beyond float64.

    Source: Dong, Cordonnier and Loukas 2021, arXiv:2103.03404, theorem 2.2.

    >>> round(float(rank_collapse_bound(0.5, 1.0, 2)), 9)
    0.001953125
    """
    checks.check_count("depth", depth, 1)
    bound = evaluate(_bound, (depth,), {"residual": residual, "factor": factor})
    if checks.is_concrete(bound) and not np.isfinite(bound).all():
        raise ValueError(
            "residual and factor must have a bound that float64 holds, got "
            f"residual = {residual}, factor = {factor}: it says nothing where "
            "factor residual^2 >= 1"
        )
    return bound


def _bound(depth: int, residual: jax.Array, factor: jax.Array) -> jax.Array:
    power = 3.0**depth
    # By one power of the product: a large factor and a small residual are no infinity times 0.
    return (factor * residual * residual) ** ((power - 1) / 2) * residual
