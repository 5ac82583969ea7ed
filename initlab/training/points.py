"""A run's point: its numbers, and what a caller's functions make of them."""

import math
import numbers
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.types import Array, LayerState, Network, Params, ParamSpec

__all__ = ["Point", "Recorded", "as_array", "check_point", "made", "network_at", "outline"]

Point = Mapping[str, Any]
"""The scalars of one run by name; "seed" is always one of them."""


class Recorded(Mapping):
    """A point that records which of its names were read: one that is not read is an error."""

    def __init__(self, point: Point) -> None:
        self.point = dict(point)
        self.read = {"seed"}

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        if name not in self.point:
            raise ValueError(f"the run uses {name!r}, and its point has only {sorted(self.point)}")
        return self.point[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.point)

    def __len__(self) -> int:
        return len(self.point)

    def check_all_used(self) -> None:
        """Raises ValueError for names that were not read."""
        if unused := sorted(set(self.point) - self.read):
            raise ValueError(f"the run does not use {unused}; it uses {sorted(self.read)}")


class _Any(Mapping):
    """A point whose names and numbers are not known yet: any name has a traced number."""

    def __getitem__(self, name: str) -> jax.Array:
        return jnp.zeros((), jnp.int32) if name == "seed" else jnp.ones(())

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def made(name: str, function: Callable[[Point], Any], point: Point) -> Any:
    """What a caller's function makes of a point; raises unless it is what it should be."""
    with checks.calling(name, f"({sorted(point)})"):
        value = function(point)
    if name == "optimizer":
        checks.check_optimizer("optimizer(point)", value)
    elif name == "network":
        checks.check_kind("network(point)", value, Network)
    elif callable(value):
        checks.check_function("init(point)", value, (jax.Array, ParamSpec))
    elif not jax.tree.leaves(value):
        raise TypeError(f"init(point) must be an initializer or params, got {value!r:.80}")
    return value


def outline(network: Network | Callable[[Point], Network]) -> Network:
    """The network as far as it does not depend on a point; one that is given is itself.

    Its `apply` makes the network anew in each trace, since what one made in another holds numbers
    that are traced there; of its activations, which may too, only the names can be used.
    """
    if not callable(network):
        checks.check_kind("network", network, Network)
    if isinstance(network, Network):
        return network
    checks.check_function("network", network, (Mapping,))
    given = "(point), whose numbers no structure may depend on: that is `sweep(structure=)`,"

    def any_network() -> Network:
        with checks.calling("network", given):
            value = network(_Any())
        checks.check_kind("network(point)", value, Network)
        return value

    found: list[Network] = []
    jax.eval_shape(lambda: found.append(any_network()))

    def apply(params: Params, x: Array) -> jax.Array:
        return any_network().apply(params, x)

    def layers(params: Params, x: Array) -> dict[str, LayerState]:
        return any_network().layers(params, x)

    return found[0]._replace(apply=apply, layers=layers, multipliers={})


def network_at(
    network: Network | Callable[[Point], Network], whole: Network, point: Point
) -> Network:
    """The network of a point; ValueError unless it has the parameters and layers of the outline."""
    if isinstance(network, Network):
        return network
    here = made("network", network, point)
    if here.specs != whole.specs or list(here.activations) != list(whole.activations):
        raise ValueError(
            "network(point) must have the same parameters and layers at every point, got "
            f"{_shapes(here)} beside {_shapes(whole)}: what shapes it is `sweep(structure=)`"
        )
    return here


def _shapes(network: Network) -> dict[str, tuple[int, ...]]:
    leaves = checks.leaves_by_path("specs", network.specs)
    return {path: spec.shape for path, spec in leaves.items()}


def check_point(point: Point, dtype: Any) -> None:
    """Raises unless a point holds a seed and numbers that the run's dtype can hold."""
    for name, value in point.items():
        checks.check_number(name, value)
        _check_fits(name, value, dtype)
    _check_seed(point)


def _check_fits(name: str, value: Any, dtype: Any) -> None:
    """Raises ValueError for a number that the run's dtype makes infinite or 0."""
    if isinstance(value, numbers.Integral) or jnp.issubdtype(jnp.asarray(value).dtype, jnp.integer):
        return
    with np.errstate(over="ignore", under="ignore"):
        cast = float(np.asarray(value, np.float64).astype(dtype))
    if not math.isfinite(cast) or (cast == 0) != (float(value) == 0):
        raise ValueError(f"{name} must fit {np.dtype(dtype)}, in which {value!r} is {cast}")


def _check_seed(point: Point) -> None:
    if "seed" not in point:
        raise ValueError(f"a point must hold 'seed', got {sorted(point)}")
    seed = np.asarray(point["seed"])
    if seed.dtype.kind not in "iu" or not 0 <= seed < 2**31:
        raise ValueError(f"seed must be an integer from 0 to 2^31 - 1, got {point['seed']!r}")


def as_array(value: Any, dtype: Any) -> jax.Array:
    """Real numbers in the network's dtype, whole ones as they are."""
    array = jnp.asarray(value)
    return array.astype(dtype) if jnp.issubdtype(array.dtype, jnp.floating) else array
