"""One optimizer step, with the minibatch it is taken on."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from initlab.training.gradients import loss_gradient
from initlab.types import Batch, Network, Params

__all__ = ["State", "all_finite", "apply_updates", "make_step"]


class State(NamedTuple):
    """What a run carries from step to step.

    Attributes:
      params: the current ones.
      memory: the optimizer's state.
      order: this epoch's order of the examples [B], int32; empty for a full batch.
      first_nonfinite: after which step a parameter was first NaN or infinite; -1 so far.
    """

    params: Params
    memory: Any
    order: jax.Array
    first_nonfinite: jax.Array


def apply_updates(params: Params, updates: Params) -> Params:
    """`params + updates`, each entry rounded alike wherever it lies.

    Args:
      params: a pytree of arrays.
      updates: what an optax optimizer gives, of the same tree.

    Returns:
      The new params.

    >>> apply_updates({"w": jnp.ones(2)}, {"w": -jnp.ones(2)})["w"].tolist()
    [0.0, 0.0]
    """
    # Without the barrier XLA (from JAX 0.12 on, on a CPU) contracts `params - rate * gradient` to
    # one rounding for the units left over from a full vector and rounds the others twice, so that
    # units that start identical part at the first step. A GPU's threads are all alike, and there
    # it would make the update of every leaf two kernels.
    barrier = jax.lax.optimization_barrier
    if jax.default_backend() == "gpu":
        updates = jax.lax.platform_dependent(updates, cuda=lambda same: same, default=barrier)
    else:
        updates = barrier(updates)
    return optax.apply_updates(params, updates)


def make_step(
    network: Network,
    batch: Batch,
    descent: optax.GradientTransformation,
    minibatches: tuple[jax.Array, int] | None,
    invariants: Sequence[Callable[[Params], None]],
) -> Callable[[jax.Array, State], State]:
    """`(number of the step, state) -> state`: one optimizer step on the loss.

    minibatches is the key of the examples' orders and the examples in one; None is full batch.
    """
    x, y = batch.x, batch.y
    gradient_of = loss_gradient(network, batch.objective)

    def step(number: jax.Array, state: State) -> State:
        params, memory, order, first_nonfinite = state
        if minibatches is None:
            gradient = gradient_of(params, x, y)
        else:
            key, size = minibatches
            order, rows = _next_rows(key, order, number, x.shape[0], size)
            gradient = gradient_of(params, x[rows], y[rows])
        updates, memory = descent.update(gradient, memory, params)
        params = apply_updates(params, updates)
        for invariant in invariants:
            invariant(params)
        # Divergence is data: the run goes on, so that its neighbours under vmap are not disturbed.
        broke = ~all_finite(params) & (first_nonfinite < 0)
        return State(params, memory, order, jnp.where(broke, number + 1, first_nonfinite))

    return step


def _next_rows(
    key: jax.Array, order: jax.Array, number: jax.Array, examples: int, batch_size: int
) -> tuple[jax.Array, jax.Array]:
    """This step's rows, and the epoch's order, drawn anew at the first step of each epoch."""
    batches = examples // batch_size
    # The step's number is the same for all runs under vmap, so that the branch remains one: no run
    # draws an order that it does not use.
    order = jax.lax.cond(
        number % batches == 0,
        lambda: jax.random.permutation(jax.random.fold_in(key, number // batches), order),
        lambda: order,
    )
    rows = jax.lax.dynamic_slice_in_dim(order, (number % batches) * batch_size, batch_size)
    return order, rows


def all_finite(params: Params) -> jax.Array:
    """Whether no parameter is NaN or infinite."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(params)]))
