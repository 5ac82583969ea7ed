"""The lecture's induction on any model and any update: base, step, and what follows from them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.keys import path_key
from initlab.programs.precision import computed_dtypes
from initlab.symmetry.arrays import permute, symmetric_part
from initlab.symmetry.assertions import groups_differing
from initlab.symmetry.groups import UnitGroup, check_names
from initlab.symmetry.optimizer_states import is_real, is_under, params_prefix, state_groups
from initlab.types import Params

__all__ = ["Induction", "Step", "check_induction"]

Update = Callable[[Any, Any], Any]
"""`(params, batch) -> params`, pure; params may be any state that holds them."""

SETTLING = 2
"""Updates that fill an optimizer's state before the step is tried on it."""


class Step(NamedTuple):
    """Whether an update commutes with the exchanges of a group: `u(pi p, b) = pi u(p, b)`.

    Attributes:
      error: the largest difference of the two sides over all draws, relative to the largest entry
        of the leaf that it lies in.
      place: that leaf.
      tolerance: up to which error the two sides count as equal.
      broken_by: how far apart one update of the given params, their units made identical first,
        sets the units: the largest entry of the part that exchanges move.
    """

    error: float
    place: str
    tolerance: float
    broken_by: float

    @property
    def holds(self) -> bool:
        """Whether the two sides are equal but for rounding."""
        return self.error <= self.tolerance


class Induction(NamedTuple):
    """An induction over training steps, for each group of units.

    Attributes:
      base: whether all exchanges of the group leave the given params alone, to the last bit.
      apart: the largest entry of the part of the given params that exchanges move; 0 at the base.
      step: whether the update commutes with them.
      dtype: the coarsest that the step was computed in.
    """

    base: Mapping[str, bool]
    apart: Mapping[str, float]
    step: Mapping[str, Step]
    dtype: np.dtype

    @property
    def symmetric(self) -> Mapping[str, bool]:
        """The conclusion: which groups keep identical units indefinitely, in exact arithmetic."""
        return {name: self.base[name] and self.step[name].holds for name in self.base}

    def __str__(self) -> str:
        return "\n".join(f"{name}: {self._said_of(name)}" for name in self.base)

    def _said_of(self, name: str) -> str:
        step = self.step[name]
        commutes = f"the update commutes with exchanges (error {step.error:.1g}, {self.dtype})"
        differs = (
            f"the update does not commute with exchanges: {step.place} differs by {step.error:.2g} "
            f"of its largest entry; identical units are {step.broken_by:.2g} apart after one update"
        )
        if self.symmetric[name]:
            return f"symmetric indefinitely: the units are identical and {commutes}"
        if self.base[name]:
            return f"broken by the update: {differs}"
        start = f"broken from the start: the units are {self.apart[name]:.2g} apart"
        return f"{start}; {commutes if step.holds else differs}"


@checks.checked
def check_induction(
    update: Update,
    params: Params,
    groups: Sequence[UnitGroup],
    batch: Any,
    *,
    key: jax.Array | None = None,
    draws: int = 8,
    tolerance: float | None = None,
) -> Induction:
    """Base: `pi p = p`. Step: `u(pi p, b) = pi u(p, b)` for all p, b. Then `pi u^t(p) = u^t(p)`.

    The base is read off the given params. The step is tried on random params, permutations and
    batches, in float64 where the update takes it, else in the params' own dtype. Both together
    prove that units stay identical under exact arithmetic; whether rounding keeps it is a question
    of its own (`transverse_growth`).

    Args:
      update: a pure function `(params, batch) -> params`. What it carries along (an optimizer's
        state, a step count) may stand beside the params in one pytree: exchanges permute every
        subtree of it that is shaped like the params.
      params: where training starts.
      groups: the units, as `find_groups` finds them in the model.
      batch: a pytree; its real numbers are jittered by their own standard deviation, integers and
        keys are left as they are.
      key: of the draws; `jax.random.key(0)` when absent.
      draws: how many params, permutations and batches are tried.
      tolerance: largest error that counts as rounding; when absent eps^0.6 (4e-10 in float64,
        7e-5 in float32) of the coarsest dtype that the update computes in: a model may have one of
        its own, whatever its params are.

    Returns:
      An `Induction`; printed, it says what holds and what breaks it by how much.

    Raises:
      ValueError: if params do not fit the groups, two of these have one name, or draws is under 1.

    >>> from initlab.symmetry.groups import UnitAxis
    >>> group = UnitGroup("hidden", 2, (UnitAxis("w", 0),))
    >>> start = {"w": jnp.ones((2,))}
    >>> print(check_induction(lambda p, b: {"w": 0.9 * p["w"]}, start, [group], None))
    hidden: symmetric indefinitely: the units are identical and the update commutes with exchanges
    (error 0, float64)
    """
    checks.check_callable("update", update)
    checks.check_count("draws", draws, 1)
    if tolerance is not None:
        checks.check_scale("tolerance", tolerance)
    carried = state_groups(params, check_names(groups))
    key = jax.random.key(0) if key is None else key
    differing = jax.jit(lambda params: groups_differing(params, carried))(params)
    base = {name: not differs for name, differs in differing.items()}
    with jax.enable_x64(True):
        double = _cast((params, batch), np.dtype(np.float64))
        try:
            program = jax.make_jaxpr(update)(*double)
            started, given = double
        except (TypeError, ValueError):
            # A model of a fixed dtype: its own error would come again below, if it is another.
            started, given = params, batch
            with checks.calling("update", "(params, batch)"):
                program = jax.make_jaxpr(update)(started, given)
        prefix = params_prefix(params, groups)
        errors, apart, broken_by = _try_step(update, started, prefix, carried, given, key, draws)
    # Half precision that an update merely takes in is exact; what it computes in it is rounded.
    dtypes = [leaf.dtype for leaf in jax.tree.leaves(started) if is_real(leaf)]
    dtype = max((*dtypes, *computed_dtypes(program)), key=lambda each: jnp.finfo(each).eps)
    limit = float(jnp.finfo(dtype).eps ** 0.6) if tolerance is None else tolerance
    paths = list(checks.leaves_by_path("params", params))
    steps = {}
    for number, group in enumerate(groups):
        worst = int(np.argmax(errors[number]))
        steps[group.name] = Step(
            float(errors[number, worst]), paths[worst], limit, float(broken_by[number])
        )
    return Induction(
        base,
        {group.name: float(each) for group, each in zip(groups, apart, strict=True)},
        steps,
        dtype,
    )


def _try_step(
    update: Update,
    params: Params,
    prefix: str,
    groups: Sequence[UnitGroup],
    batch: Any,
    key: jax.Array,
    draws: int,
) -> tuple[np.ndarray, list[jax.Array], list[jax.Array]]:
    """Errors [groups, leaves]; how far apart units are; and how far after one update from 0."""
    # Compiled once and called often; its neighbours are small.
    update = jax.jit(update)

    @jax.jit
    def draw(key: jax.Array) -> tuple[Params, list[Any], list[jax.Array]]:
        key, *keys = jax.random.split(key, 2 + SETTLING)
        orders = [
            jax.random.permutation(jax.random.fold_in(key, number), group.size)
            for number, group in enumerate(groups)
        ]
        return _draw(key, params, prefix), [_jitter(each, batch) for each in keys], orders

    @jax.jit
    def exchange(state: Params, orders: list[jax.Array]) -> list[Params]:
        return [permute(state, *each) for each in zip(groups, orders, strict=True)]

    @jax.jit
    def compare(ours: list[Params], theirs: list[Params]) -> jax.Array:
        return jnp.stack([_differences(*each) for each in zip(ours, theirs, strict=True)])

    @jax.jit
    def apart(params: list[Params]) -> list[jax.Array]:
        return [_apart(*each) for each in zip(params, groups, strict=True)]

    @jax.jit
    def average(params: Params) -> list[Params]:
        return [symmetric_part(params, [group]) for group in groups]

    errors = []
    for each in jax.random.split(key, draws):
        state, batches, orders = draw(each)
        *settling, last = batches
        for drawn in settling if prefix else []:
            state = update(state, drawn)
        ours = [update(exchanged, last) for exchanged in exchange(state, orders)]
        errors.append(compare(ours, exchange(update(state, last), orders)))
    after = [update(each, batch) for each in average(params)]
    # A difference that is not a number is no agreement.
    worst = np.max(np.nan_to_num(np.asarray(errors), nan=np.inf), axis=0)
    return worst, apart([params] * len(groups)), apart(after)


def _draw(key: jax.Array, params: Params, prefix: str) -> Params:
    def drawn(path: tuple[Any, ...], leaf: jax.Array) -> jax.Array:
        if not is_under(checks.path_name(path), prefix) or not is_real(leaf):
            return leaf
        # keystr, not path_name: a draw depends on its name, and stored results on the draws.
        name = jax.tree_util.keystr(path)
        normal = jax.random.normal(path_key(key, name), leaf.shape, leaf.dtype)
        # A spread that neither saturates nor vanishes, whichever axis is the incoming one.
        fan = max(leaf.shape[-2:]) if leaf.ndim > 1 else 4
        return normal / np.sqrt(fan).astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(drawn, params)


def _jitter(key: jax.Array, batch: Any) -> Any:
    def jittered(path: tuple[Any, ...], leaf: Any) -> Any:
        if not is_real(leaf):
            return leaf
        noise = jax.random.normal(path_key(key, jax.tree_util.keystr(path)), leaf.shape, leaf.dtype)
        return leaf + jnp.std(leaf) * noise

    return jax.tree_util.tree_map_with_path(jittered, batch)


def _differences(ours: Params, theirs: Params) -> jax.Array:
    """For each leaf the largest difference, relative to its largest entry."""

    def difference(one: jax.Array, other: jax.Array) -> jax.Array:
        if not is_real(one):
            return jnp.zeros((), jnp.float32)
        largest = jnp.max(jnp.abs(other))
        return (jnp.max(jnp.abs(one - other)) / jnp.where(largest > 0, largest, 1)).astype(
            jnp.float32
        )

    return jnp.stack(jax.tree.leaves(jax.tree.map(difference, ours, theirs)))


def _apart(params: Params, group: UnitGroup) -> jax.Array:
    """The largest entry of what exchanges move."""
    rest = jax.tree.map(_distance, params, symmetric_part(params, [group]))
    return jnp.max(jnp.stack(jax.tree.leaves(rest)))


def _distance(one: Any, other: Any) -> jax.Array:
    if not is_real(one):
        return jnp.zeros((), jnp.float32)
    return jnp.max(jnp.abs(one - other)).astype(jnp.float32)


def _cast(tree: Any, dtype: np.dtype) -> Any:
    def cast(leaf: Any) -> Any:
        return jnp.asarray(leaf, dtype) if is_real(leaf) else leaf

    return jax.tree.map(cast, tree)
