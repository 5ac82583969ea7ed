"""Runs from a symmetric start that lose their symmetry, and the prediction of when they do."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import initlab
from initlab import symmetry
from initlab.checks import path_name
from initlab.initializers import by_role, constant
from initlab.keys import path_key
from initlab.types import Activation, Array, LayerState, Network, Params, ParamSpec, Task

__all__ = ["ARITHMETICS", "Escape", "escape_run", "growth_of"]


class Escape(NamedTuple):
    """One run from a symmetric start.

    Attributes:
      first_difference: the first step after which two units differ in a bit; -1 if none does.
      first_spread: how far apart they were then.
      escape: the first step after which they are of order one apart; -1 if they never are.
      spread: the Euclidean norm of what exchanges of units move, at every snapshot [S].
      loss: at every snapshot [S].
    """

    first_difference: jax.Array
    first_spread: jax.Array
    escape: jax.Array
    spread: jax.Array
    loss: jax.Array


def _plain_mlp(sizes: tuple[int, ...], activation: Activation, *, dtype: Any) -> Network:
    """The mlp as a JAX user writes it, `h @ w + b` on [examples, units]: no order of sums is kept.

    Args:
      sizes: `(n_0, ..., n_L)`.
      activation: of the hidden layers.
      dtype: of params and activations.

    Returns:
      A network with the lab's params.
    """
    ordered = initlab.networks.mlp(sizes, activation, dtype=dtype)

    def layers(params: Params, x: Array) -> dict[str, LayerState]:
        states, h = {}, jnp.asarray(x, dtype)
        for name, function in ordered.activations.items():
            z = h @ params[name]["weight"] + params[name]["bias"][None]
            h = function(z)
            states[name] = LayerState(z, h)
        return states

    def apply(params: Params, x: Array) -> jax.Array:
        return list(layers(params, x).values())[-1].z

    return Network(ordered.specs, apply, layers, ordered.activations)


ARITHMETICS = {"ordered": initlab.networks.mlp, "plain": _plain_mlp}
"""The lab's layers, which sum every unit in one order, and the plain matrix product."""


def escape_run(
    network: Network, task: Task, *, steps: int, every: int, order_one: float
) -> Callable[[jax.Array, jax.Array, jax.Array], Escape]:
    """Gradient descent from constant weights, with a difference between units planted.

    Args:
      network: an mlp.
      task: data and loss.
      steps: of full-batch gradient descent, a multiple of every.
      every: steps between snapshots.
      order_one: how far apart units are said to have escaped.

    Returns:
      `(constant, perturbation, learning_rate) -> Escape`. The perturbation is the Euclidean norm of
      the difference planted, in the direction that `growth_of` follows.
    """
    groups = symmetry.mlp_groups(network.specs)
    dtype = network.specs["layer_1"]["weight"].dtype
    # bfloat16 has 8 bits: a mean over units and a norm, summed in it, would be mostly rounding.
    measured_in = dtype if jnp.finfo(dtype).bits >= 32 else np.dtype(np.float32)
    update, loss_of = _update(network, task, dtype)

    def run(constant: jax.Array, perturbation: jax.Array, learning_rate: jax.Array) -> Escape:
        def spread_of(params: Params) -> jax.Array:
            wide = jax.tree.map(lambda leaf: leaf.astype(measured_in), params)
            return optax.tree.norm(symmetry.transverse_part(wide, groups))

        def step(carry: Any, number: jax.Array) -> tuple[Any, None]:
            params, seen = carry
            params = update(params, learning_rate)
            spread = spread_of(params)
            differs = ~symmetry.units_identical(params, groups)
            first = (seen.first_difference < 0) & differs
            out = (seen.escape < 0) & (spread >= order_one)
            seen = _Seen(
                jnp.where(first, number, seen.first_difference),
                jnp.where(first, spread, seen.first_spread),
                jnp.where(out, number, seen.escape),
            )
            return (params, seen), None

        # A scan in a scan: every step is watched, and only snapshots are stored.
        def snapshot(carry: Any, numbers: jax.Array) -> tuple[Any, Any]:
            carry, _ = jax.lax.scan(step, carry, numbers)
            return carry, (spread_of(carry[0]), loss_of(carry[0]))

        start = _start(network, constant, perturbation, groups)
        differs = ~symmetry.units_identical(start, groups)
        never = jnp.full((), -1, jnp.int32)
        spread = spread_of(start)
        seen = _Seen(
            jnp.where(differs, 0, never),
            jnp.where(differs, spread, 0).astype(spread.dtype),
            jnp.where(spread >= order_one, 0, never),
        )
        numbers = jnp.arange(1, steps + 1, dtype=jnp.int32).reshape(-1, every)
        (_, seen), (spreads, losses) = jax.lax.scan(snapshot, (start, seen), numbers)
        return Escape(
            seen.first_difference,
            seen.first_spread,
            seen.escape,
            jnp.concatenate([spread[None], spreads]),
            jnp.concatenate([loss_of(start)[None], losses]),
        )

    return run


def growth_of(
    network: Network, task: Task, *, steps: int
) -> Callable[[jax.Array, jax.Array], symmetry.TransverseGrowth]:
    """The prediction: how the planted difference grows, by the linearised update.

    Args:
      network: an mlp, in float64.
      task: data and loss.
      steps: of full-batch gradient descent.

    Returns:
      `(constant, learning_rate) -> TransverseGrowth`.
    """
    groups = symmetry.mlp_groups(network.specs)
    dtype = network.specs["layer_1"]["weight"].dtype
    update, _ = _update(network, task, dtype)

    def growth(constant: jax.Array, learning_rate: jax.Array) -> symmetry.TransverseGrowth:
        start = _start(network, constant, jnp.zeros((), dtype), groups)
        direction = _direction(network, groups)
        return symmetry.transverse_growth(
            update, start, groups, steps, learning_rate, direction=direction
        )

    return growth


class _Seen(NamedTuple):
    first_difference: jax.Array
    first_spread: jax.Array
    escape: jax.Array


def _update(
    network: Network, task: Task, dtype: Any
) -> tuple[Callable[[Params, Array], Params], Callable[[Params], jax.Array]]:
    x, y = jnp.asarray(task.x, dtype), jnp.asarray(task.y)

    def loss(params: Params) -> jax.Array:
        return task.loss(network.apply(params, x), y)

    def update(params: Params, learning_rate: Array) -> Params:
        rate = jnp.asarray(learning_rate, dtype)
        return jax.tree.map(lambda p, g: p - rate * g, params, jax.grad(loss)(params))

    return update, loss


def _start(network: Network, value: jax.Array, perturbation: jax.Array, groups: Any) -> Params:
    def planted(p: jax.Array, d: jax.Array) -> jax.Array:
        return p + jnp.asarray(perturbation, p.dtype) * d.astype(p.dtype)

    init = by_role(weight=constant(value))
    start = initlab.initialize(jax.random.key(0), network.specs, init)
    return jax.tree.map(planted, start, _direction(network, groups))


def _direction(network: Network, groups: Any) -> Params:
    """A random difference between units, of norm 1, the same for every dtype."""

    def drawn(path: tuple[Any, ...], spec: ParamSpec) -> jax.Array:
        return jax.random.normal(path_key(jax.random.key(1), path_name(path)), spec.shape, float)

    part = symmetry.transverse_part(jax.tree_util.tree_map_with_path(drawn, network.specs), groups)
    size = optax.tree.norm(part)
    return jax.tree.map(lambda leaf: leaf / size, part)
