"""A root between two points: as fast as interpolation where it works, never slower than halving."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

__all__ = ["bracketed_root", "differentiable_root"]

Scalar = Callable[[jax.Array], jax.Array]

STEPS = 200
"""More than halving ever needs from bracket to neighbouring floats."""


class _State(NamedTuple):
    """The last two points a and b enclose the root; c is the one before."""

    a: jax.Array
    at_a: jax.Array
    b: jax.Array
    at_b: jax.Array
    share: jax.Array
    steps: jax.Array
    done: jax.Array


def bracketed_root(function: Scalar, low: jax.Array, high: jax.Array) -> jax.Array:
    """`x` in [low, high] with `function(x) = 0`, to neighbouring floats; not differentiable.

    Inverse quadratic interpolation where three points say that it is safe, else halving.

    Args:
      function: from a scalar to a scalar.
      low: one end.
      high: the other; function has another sign there, or the root is taken to be the end where it
        is smaller.

    Returns:
      The root.

    Source: Chandrupatla 1997, A new hybrid quadratic/bisection algorithm for finding the zero of a
    nonlinear function without using derivatives.

    >>> float(bracketed_root(lambda x: x * x - 4, jnp.float32(0), jnp.float32(3)))
    2.0
    """
    eps = jnp.finfo(low.dtype).eps
    half, nothing = jnp.asarray(0.5, low.dtype), jnp.zeros_like(low)

    def step(state: _State) -> _State:
        # The ends are seen by the loop as well: a second instance of the function would cost as
        # much to compile as the first.
        first, second = state.steps == 0, state.steps == 1
        x = jnp.where(first, low, state.a + state.share * (state.b - state.a))
        x = jnp.where(second, high, x)
        at_x = function(x)
        same = jnp.sign(at_x) == jnp.sign(state.at_a)
        c, at_c = jnp.where(same, state.a, state.b), jnp.where(same, state.at_a, state.at_b)
        b, at_b = jnp.where(same, state.b, state.a), jnp.where(same, state.at_b, state.at_a)
        best = jnp.where(jnp.abs(at_x) < jnp.abs(at_b), x, b)
        # The distance to the neighbouring float as a share of the bracket. A bracket of no width
        # makes it infinite or NaN, which must end the loop too: hence the negated comparison.
        tolerance = eps * jnp.abs(best) / jnp.abs(b - x)
        done = (jnp.minimum(jnp.abs(at_x), jnp.abs(at_b)) == 0) | ~(tolerance < 0.5)
        xi, phi = (x - b) / (c - b), (at_x - at_b) / (at_c - at_b)
        # Chandrupatla's criterion: the parabola through the three points is monotonic there.
        safe = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi)
        quadratic = at_x / (at_b - at_x) * at_c / (at_b - at_c) + (c - x) / (b - x) * (
            at_x / (at_c - at_x)
        ) * (at_b / (at_c - at_b))
        share = jnp.clip(jnp.where(safe, quadratic, half), tolerance, 1 - tolerance)
        after = _State(x, at_x, b, at_b, share, state.steps + 1, done)
        seen_low = _State(low, at_x, high, nothing, half, after.steps, jnp.asarray(False))
        enclosed = jnp.sign(state.at_a) * jnp.sign(at_x) < 0
        seen_high = _State(low, state.at_a, high, at_x, half, after.steps, ~enclosed)

        def by_step(low: jax.Array, high: jax.Array, x: jax.Array) -> jax.Array:
            return jnp.where(first, low, jnp.where(second, high, x))

        return jax.tree.map(by_step, seen_low, seen_high, after)

    start = _State(low, nothing, high, nothing, half, jnp.asarray(0), jnp.asarray(False))
    end = jax.lax.while_loop(lambda state: ~state.done & (state.steps < STEPS), step, start)
    return jnp.where(jnp.abs(end.at_a) <= jnp.abs(end.at_b), end.a, end.b)


def differentiable_root(function: Scalar, solution: jax.Array) -> jax.Array:
    """A known root, `f(x, p) = 0`, with the derivative `dx / dp = -(df / dp) / (df / dx)`.

    Args:
      function: f, from a scalar x to a scalar; 0 at the solution. p is whatever it closes over.
      solution: the root x.

    Returns:
      The solution, differentiable in p by the implicit function theorem; its derivative is infinite
      where the root is double.

    >>> def square_root(y):
    ...     return differentiable_root(lambda x: x * x - y, jnp.sqrt(y))
    >>> float(jax.grad(square_root)(4.0))
    0.25
    """
    # The loop that found the root has no reverse-mode derivative, and needs none: near a root all
    # that x owes to p is in f itself, whatever steps led there.
    solution = jax.lax.stop_gradient(solution)

    def solve(_: Scalar, start: jax.Array) -> jax.Array:
        return start

    def tangent_solve(linear: Scalar, y: jax.Array) -> jax.Array:
        # linear(y) = f'(x) y: its value at 1 is the slope.
        return y / linear(jnp.ones_like(y))

    return jax.lax.custom_root(function, solution, solve, tangent_solve)
