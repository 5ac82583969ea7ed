"""A run's data as arrays of its network's dtype, and its description in plain values."""

import hashlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.networks.convolutions import count_convolved
from initlab.types import Network, Probe, Task

__all__ = ["cast_inputs", "convolved", "describe", "dtype_of", "training_data"]


def training_data(network: Network, task: Task) -> tuple[jax.Array, jax.Array]:
    """The task's x and y as arrays; raises unless the network's logits for them fit the labels."""
    x = _fitting("x", task.x, cast_inputs(task.x, dtype_of(network)))
    with checks.calling("network.apply", "(params, task.x)"):
        logits = jax.eval_shape(network.apply, _abstract_params(network), x)
    required = task.objective.outputs(task.y)
    if logits.ndim != 2:
        raise ValueError(f"the network must give logits [B, K], got {logits.shape}")
    if logits.shape[1] < required or (required == 1 and logits.shape[1] != 1):
        raise ValueError(
            f"the task's labels require {required} logits, and the network gives {logits.shape[1]}"
        )
    return x, _fitting("y", task.y, jnp.asarray(task.y))


def convolved(network: Network, x: jax.Array, examples: int) -> int:
    """How many numbers the network's convolutions give for so many examples like x's."""
    batch = jax.ShapeDtypeStruct((examples, *x.shape[1:]), x.dtype)
    return count_convolved(jax.make_jaxpr(network.apply)(_abstract_params(network), batch))


def _abstract_params(network: Network) -> Any:
    return jax.tree.map(lambda spec: jax.ShapeDtypeStruct(spec.shape, spec.dtype), network.specs)


def _fitting(name: str, given: np.ndarray, cast: jax.Array) -> jax.Array:
    """What was cast; ValueError where a number became infinite by it."""
    if not np.isfinite(np.asarray(cast, np.float64)).all():
        largest = np.abs(np.asarray(given)).max()
        raise ValueError(f"task.{name} must fit {cast.dtype}, got {largest}")
    return cast


def cast_inputs(x: np.ndarray, dtype: Any) -> jax.Array:
    """Real inputs in the network's dtype; integers are tokens and stay integers."""
    return jnp.asarray(x, None if np.issubdtype(x.dtype, np.integer) else dtype)


def dtype_of(network: Network) -> Any:
    """The dtype of a network's params."""
    return jax.tree.leaves(network.specs)[0].dtype


def describe(
    network: Network,
    task: Task,
    probes: Sequence[Probe],
    steps: int,
    every: int,
    batch_size: int | None,
) -> dict[str, Any]:
    """What the run is, in plain values that are stored with its results and compared on resume."""
    return {
        "steps": int(steps),
        "every": int(every),
        "batch_size": None if batch_size is None else int(batch_size),
        "probes": [getattr(probe, "__name__", type(probe).__name__) for probe in probes],
        "parameters": _shapes(network),
        "dtype": np.dtype(dtype_of(network)).name,
        "examples": len(task.x),
        "task_sha256": _digest(task),
    }


def _shapes(network: Network) -> dict[str, list[int]]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(network.specs)
    return {checks.path_name(path): list(spec.shape) for path, spec in leaves}


def _digest(task: Task) -> str:
    digest = hashlib.sha256()
    for array in (task.x, task.y, task.x_test, task.y_test):
        if array is None:
            digest.update(b"none")
        else:
            array = np.ascontiguousarray(array)
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()
