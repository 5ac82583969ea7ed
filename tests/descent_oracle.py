"""What plain gradient descent does: the oracle of every claim that a parameter moves or trains."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks

__all__ = ["STEPS", "gradients_seen", "moves", "trains"]

STEPS = 300
RATES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.001)


def moves(
    apply: Callable[[Any, Any], Any], params: Any, batch: Any, loss: Any = None, rate: float = 0.05
) -> dict[str, bool]:
    """Whether each parameter gets a gradient at any of 300 steps, by its path."""
    seen = gradients_seen(apply, params, batch, loss, rate)
    return {path: bool(each.any()) for path, each in seen.items()}


def gradients_seen(
    apply: Callable[[Any, Any], Any], params: Any, batch: Any, loss: Any = None, rate: float = 0.05
) -> dict[str, np.ndarray]:
    """Which entries of each parameter get a gradient that is not zero at any of 300 steps.

    So one can ask about a slice of a stacked parameter: `gradients_seen(...)["blocks/w"][3].any()`.
    """
    _, seen = _descend(apply, params, batch, loss, (rate,))
    leaves, _ = jax.tree_util.tree_flatten_with_path(seen)
    return {checks.path_name(path): np.asarray(leaf[0]) for path, leaf in leaves}


def trains(
    apply: Callable[[Any, Any], Any],
    params: Any,
    batch: Any,
    loss: Any = None,
    *,
    share: float = 0.1,
) -> bool:
    """Whether 300 steps at some learning rate reduce the loss by a share of what it started at."""
    losses, _ = _descend(apply, params, batch, loss, RATES)
    first, last = losses[:, 0], losses[:, -1]
    return bool((np.isfinite(last) & (last < first - share * abs(first))).any())


def _descend(apply: Any, params: Any, batch: Any, loss: Any, rates: tuple[float, ...]) -> Any:
    """`(losses [rates, steps + 1], flags of entries [rates, ...])` of descent at each rate."""
    params, batch = jax.tree.map(jnp.asarray, (params, batch))

    def value(params: Any) -> jax.Array:
        outputs = apply(params, batch)
        return (_distance if loss is None else loss)(outputs).astype(jnp.float32)

    def step(rate: jax.Array, carry: Any, _: None) -> Any:
        params, seen = carry
        at, gradients = jax.value_and_grad(value)(params)
        square = sum(jnp.sum(jnp.square(g.astype(jnp.float32))) for g in jax.tree.leaves(gradients))
        # Clipped at norm 1, as is usual: a step too wide would say nothing of what descent does.
        factor = rate / jnp.maximum(1.0, jnp.sqrt(square))
        moved = jax.tree.map(
            lambda p, g: (p - factor * g.astype(jnp.float32)).astype(p.dtype), params, gradients
        )
        return (moved, jax.tree.map(lambda s, g: s | (g != 0), seen, gradients)), at

    def run(rate: jax.Array) -> Any:
        seen = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, bool), params)
        (end, seen), losses = jax.lax.scan(
            lambda c, _: step(rate, c, None), (params, seen), length=STEPS
        )
        return jnp.append(losses, value(end)), seen

    losses, seen = jax.jit(jax.vmap(run))(jnp.asarray(rates, jnp.float32))
    return np.asarray(losses), seen


def _distance(outputs: Any) -> jax.Array:
    """Half the mean squared distance from targets drawn from N(0, 1)."""
    real = [y for y in jax.tree.leaves(outputs) if jnp.issubdtype(y.dtype, jnp.floating)]
    keys = jax.random.split(jax.random.key(1234), len(real))
    terms = [
        jnp.mean(jnp.square(y.astype(jnp.float32) - jax.random.normal(key, y.shape)))
        for key, y in zip(keys, real, strict=True)
    ]
    return 0.5 * sum(terms[1:], start=terms[0])
