"""How fast units that are nearly identical separate: growth across the plane of symmetry."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from initlab import checks
from initlab.keys import path_key
from initlab.symmetry.arrays import symmetric_part
from initlab.symmetry.groups import UnitGroup
from initlab.symmetry.optimizer_states import is_real, is_under, params_prefix, state_groups
from initlab.types import Params

__all__ = ["TransverseGrowth", "escape_step", "transverse_growth", "transverse_part"]

LARGEST = float(np.finfo(np.float32).max)
"""A size that float32 makes infinite has no logarithm to add growth to."""


class TransverseGrowth(NamedTuple):
    """What becomes of a small difference between units, along one training run.

    Attributes:
      log_growth: natural logarithm of the difference's size, over that at the start [steps + 1].
      rate: growth of the logarithm in one step, over the second half of the run: of the fastest
        direction, to which every difference turns.
      direction: where the difference points at the end, a tangent of params of size 1.
      params: the run's end on the plane, whose units are identical.
      loss: along the run on the plane [steps + 1], the start's first; None where it is not asked.
    """

    log_growth: jax.Array
    rate: jax.Array
    direction: Params
    params: Params
    loss: jax.Array | None = None


@checks.checked
def transverse_growth(
    update: Callable[[Any, Any], Any],
    params: Params,
    groups: Sequence[UnitGroup],
    steps: int,
    batch: Any = None,
    *,
    direction: Params | None = None,
    key: jax.Array | None = None,
    loss: Callable[[Any, Any], Any] | None = None,
) -> TransverseGrowth:
    """`v_(t+1) = T u'(p_t) v_t` along `p_(t+1) = S u(p_t)`: u linearised across the plane.

    S takes the mean over all exchanges of units and T = 1 - S is what it leaves. A symmetric start
    stays on the plane under exact arithmetic; a difference of one last bit between two units is
    multiplied by `exp(log_growth)`. Power iteration along the trajectory: v is scaled to size 1
    after each step, so that it turns to the fastest direction (the first Lyapunov vector; Benettin
    et al. 1980).

    Args:
      update: a pure function `(params, batch) -> params`; params may be a state that holds them.
      params: the start; its units are made identical first.
      groups: the units.
      steps: how many updates.
      batch: given to every update.
      direction: the difference at the start, a tangent of params; random in the params when absent.
      key: of the random direction; `jax.random.key(0)` when absent.
      loss: `(params, batch) -> scalar`, recorded along the run: growth stops where the loss does.

    Returns:
      A `TransverseGrowth`; jit-able, and vmap-able over params.

    Raises:
      TypeError: if steps is not an integer, update raises or returns no params like its own, or
        loss raises or gives no number.
      ValueError: if steps is under 1, or params do not fit the groups.

    >>> from initlab.symmetry.groups import UnitAxis
    >>> group = UnitGroup("hidden", 2, (UnitAxis("w", 0),))
    >>> double = lambda p, batch: {"w": 2 * p["w"]}
    >>> growth = transverse_growth(double, {"w": jnp.ones((2,))}, [group], 4)
    >>> (growth.log_growth / jnp.log(2.0)).round().tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    checks.check_callable("update", update)
    checks.check_count("steps", steps, 1)
    if not groups:
        raise ValueError("groups must hold at least one group, got none")
    carried = state_groups(params, groups)
    params = symmetric_part(jax.tree.map(jnp.asarray, params), carried)
    if direction is None:
        key = jax.random.key(0) if key is None else key
        direction = _random_direction(key, params, params_prefix(params, groups))
    if jax.tree.structure(direction) != jax.tree.structure(params):
        raise ValueError("direction must be a tangent of params, with their tree")
    direction, _ = _scaled(transverse_part(_tangent(direction), carried))

    def measured(now: Params) -> jax.Array | None:
        if loss is None:
            return None
        with checks.calling("loss", "(params, batch)"):
            value = jnp.asarray(loss(now, batch))
        if value.shape != ():
            raise TypeError(f"loss must give a number, got an array of shape {value.shape}")
        return value

    def step(carry: tuple[Params, Params], _: None) -> tuple[tuple[Params, Params], Any]:
        now, tangent = carry
        with checks.calling("update", "(params, batch)"):
            after, moved = jax.jvp(lambda p: update(p, batch), (now,), (tangent,))
        _check_like(after, now)
        moved, size = _scaled(transverse_part(moved, carried))
        return (symmetric_part(after, carried), moved), (jnp.log(size), measured(now))

    (end, direction), (logs, losses) = jax.lax.scan(step, (params, direction), length=steps)
    log_growth = jnp.concatenate([jnp.zeros_like(logs[:1]), jnp.cumsum(logs)])
    half = steps // 2
    rate = (log_growth[-1] - log_growth[half]) / (steps - half)
    last = measured(end)
    losses = None if last is None else jnp.append(losses, last)
    return TransverseGrowth(log_growth, rate, direction, end, losses)


@checks.checked
def transverse_part(params: Params, groups: Sequence[UnitGroup]) -> Params:
    """What exchanges of units move: `p - S p`; leaves that no exchange moves become 0.

    Args:
      params: the pytree that the groups were made for, or a tangent of it.
      groups: the units.

    Returns:
      A tangent of params.
    """
    return jax.tree.map(
        lambda leaf, mean: leaf - mean if is_real(leaf) else leaf,
        params,
        symmetric_part(params, groups),
    )


@checks.checked
def escape_step(
    growth: TransverseGrowth, size: Any, order_one: Any = 1.0, *, since: Any = 0
) -> jax.Array:
    """The first step t at which `size exp(log_growth[t] - log_growth[since]) >= order_one`.

    Args:
      growth: of the run.
      size: of the difference at step `since`: the Euclidean norm of its transverse part. A
        difference of size 0 never grows.
      order_one: of the difference at which it counts as no longer small.
      since: the step at which the difference arose: 0 for one planted in the start, later for one
        that rounding made. From there on it grows as any other does, because the rate belongs to
        the trajectory of the symmetric run and not to the difference.

    Returns:
      An int32, the step counted from the start of the run; -1 if the run ends before. vmap-able
      over size, order_one and since.

    Raises:
      TypeError: if a size or since is not one number.
      ValueError: if since is not a step of the run, or a size not in [0, 3.4e38].

    >>> grown = TransverseGrowth(jnp.arange(40.0), jnp.ones(()), None, None)
    >>> escape_step(grown, 1e-8, 0.1).item(), escape_step(grown, 1e-8, 0.1, since=3).item()
    (17, 20)
    """
    for name, value in (("size", size), ("order_one", order_one)):
        checks.check_scale(name, value)
        if checks.is_concrete(value) and float(value) > LARGEST:
            raise ValueError(f"{name} must be at most {LARGEST:.4g}, got {value}")
    checks.check_real("since", since)
    if checks.is_concrete(since) and int(since if abs(since) < np.inf else -1) != since:
        raise ValueError(f"since must be a whole step, got {since}")
    log_growth = jnp.asarray(growth.log_growth)
    steps = log_growth.shape[-1] - 1
    if checks.is_concrete(since) and not ((np.asarray(since) >= 0) & (since <= steps)).all():
        raise ValueError(f"since must be a step of the run, 0 to {steps}, got {since}")
    since = jnp.asarray(since, jnp.int32)
    grown = log_growth - log_growth[since] + jnp.log(size)
    # Before it arose there was no difference, though log_growth may have been larger there.
    beyond = (grown >= jnp.log(order_one)) & (jnp.arange(steps + 1, dtype=jnp.int32) >= since)
    return jnp.where(jnp.any(beyond), jnp.argmax(beyond), -1).astype(jnp.int32)


def _check_like(after: Params, before: Params) -> None:
    """Raises TypeError unless an update has returned the tree, shapes and dtypes that it took."""
    given, taken = jax.tree.structure(after), jax.tree.structure(before)
    if given != taken:
        raise TypeError(
            f"update must return params of its tree, {taken!s:.200}, got {given!s:.200}"
        )
    leaves = checks.leaves_by_path("params", before).items()
    for (path, one), other in zip(leaves, jax.tree.leaves(after), strict=True):
        wanted, got = (f"{jnp.result_type(leaf)}{list(jnp.shape(leaf))}" for leaf in (one, other))
        if got != wanted:
            raise TypeError(f"update must return params[{path!r}] as it is, {wanted}, got {got}")


def _random_direction(key: jax.Array, params: Params, prefix: str) -> Params:
    def drawn(path: tuple[Any, ...], leaf: jax.Array) -> jax.Array:
        if not is_under(checks.path_name(path), prefix) or not is_real(leaf):
            return jnp.zeros_like(leaf)
        # keystr, not path_name: a draw depends on its name, and stored results on the draws.
        name = jax.tree_util.keystr(path)
        return jax.random.normal(path_key(key, name), leaf.shape, leaf.dtype)

    return jax.tree_util.tree_map_with_path(drawn, params)


def _tangent(tree: Params) -> Params:
    """Integers do not move: their tangents have a dtype of their own."""
    return jax.tree.map(
        lambda leaf: leaf if is_real(leaf) else np.zeros(jnp.shape(leaf), jax.dtypes.float0), tree
    )


def _scaled(tangent: Params) -> tuple[Params, jax.Array]:
    """The tangent at size 1, and its size; one of size 0 is left as it is."""
    leaves = [leaf for leaf in jax.tree.leaves(tangent) if is_real(leaf)]
    size = optax.tree.norm(leaves)
    unit = jnp.where(size > 0, size, 1)
    return jax.tree.map(lambda leaf: leaf / unit if is_real(leaf) else leaf, tangent), size
