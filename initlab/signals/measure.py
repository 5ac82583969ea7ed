"""What is measured of a signal in a random network: lengths, correlation, gradient, layer by layer.

Nothing is trained: a run draws a network and two inputs, sends them through, and one gradient back.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.initializers import initialize
from initlab.keys import path_key
from initlab.networks.layer_params import layer_leaves
from initlab.training import Point, Run
from initlab.types import (
    Array,
    History,
    Initializer,
    LayerState,
    Network,
    Number,
    Params,
    Role,
)

__all__ = ["draw_pair", "signal_run", "variances"]

WEIGHTS = {Role.INPUT: "input", Role.WEIGHT: "weight", Role.RESIDUAL: "residual"}
"""Weights whose variances the recursions take, and what they are called in the results."""


def signal_run(
    network: Network,
    initializer: Callable[[Point], Initializer],
    inputs: int,
    *,
    length: float | None,
    correlation: float,
) -> Run:
    """`point -> length, decorrelation and gradient of each hidden layer`, as a run for a sweep.

    Of a layer it looks at the pre-activations z, or at a residual network's stream, over all units
    and positions: `length`, `|z|^2 / n`, of either input; `decorrelation`, `1 - c` of the two, half
    the squared distance of `z / |z|`, which keeps its digits where c is nearly 1; `gradient`, the
    mean squared gradient with respect to the layer over that of the last hidden one, into which a
    random vector, independent of the weights, is sent back. A gradient with respect to z is the one
    with respect to the layer's bias (of a block: the bias that is added to the stream), summed over
    positions where there are any.

    Args:
      network: one of the lab's own.
      initializer: of its params, from the point.
      inputs: n_0, entries of an input, at least 2.
      length: `|x|^2 / n_0` of both inputs, exactly; None: the point's "input_length".
      correlation: cosine of the angle between them, exactly.

    Returns:
      The run. Beside the layers its values hold what `variances` measures of the weights drawn.
    """
    names = tuple(network.activations)[:-1]
    dtype = jax.tree.leaves(network.specs)[0].dtype

    def measure(point: Point) -> History:
        key = jax.random.key(point["seed"])
        params = initialize(path_key(key, "params"), network.specs, initializer(point))
        size = point["input_length"] if length is None else length
        x = draw_pair(path_key(key, "inputs"), inputs, size, correlation).astype(dtype)

        def send(biases: Params) -> tuple[jax.Array, Any]:
            states = network.layers(_with_biases(network, params, biases), x)
            signals = [_signal(states[name]) for name in names]
            last = signals[-1]
            back = jax.random.normal(path_key(key, "gradient"), last[0].shape, dtype)
            measured = jnp.stack([jnp.stack(_compare(*signal)) for signal in signals], axis=1)
            return jnp.sum(back * last[0]), measured

        biases = _biases(network, params)
        gradient, (first, second, decorrelation) = jax.grad(send, has_aux=True)(biases)
        squares = _mean_squares(network, _with_biases(network, params, gradient), names)
        values = {
            "length": first,
            "length_of_second": second,
            "decorrelation": decorrelation,
            "gradient": squares / squares[-1],
            **variances(network, params),
        }
        values = {name: value[None] for name, value in values.items()}
        return History(jnp.zeros(1, jnp.int32), values, jnp.int32(-1), ())

    parameters = {
        checks.path_name(path): spec.shape
        for path, spec in jax.tree_util.tree_flatten_with_path(network.specs)[0]
    }
    description = {
        "steps": 0,
        "every": 1,
        "parameters": parameters,
        "dtype": np.dtype(dtype).name,
        "examples": 2,
        "inputs": inputs,
        "length": length,
        "correlation": correlation,
    }
    return Run(jax.jit(measure), lambda point: None, names, description)


def draw_pair(key: jax.Array, inputs: int, length: Number, correlation: float) -> jax.Array:
    """Two inputs in random directions, of one exact length and one exact angle between them.

    Args:
      key: a JAX key.
      inputs: n_0, at least 2.
      length: `|x|^2 / n_0`.
      correlation: the cosine, in [-1, 1].

    Returns:
      [2, n_0].

    >>> first, second = draw_pair(jax.random.key(0), 5, 2.0, 0.5)
    >>> round(float(first @ first / 5), 5), round(float(first @ second / 5), 5)
    (2.0, 1.0)
    """
    first, second = jax.random.normal(key, (2, inputs))
    first = first / jnp.linalg.norm(first)
    second = second - (first @ second) * first
    second = second / jnp.linalg.norm(second)
    other = correlation * first + (1 - correlation**2) ** 0.5 * second
    return jnp.stack([first, other]) * (length * inputs) ** 0.5


def variances(network: Network, params: Params) -> dict[str, Array]:
    """`sigma_w2 = fan_in E w^2` and `sigma_b2 = E b^2`, by the role of a layer's weights.

    Args:
      network: whose params they are.
      params: as drawn.

    Returns:
      `{"sigma_w2_input": ..., "sigma_b2_input": ..., "sigma_w2_weight": ..., ...}` for the roles
      that it has of input, weight and residual.
    """
    params_by_path = {
        checks.path_name(path): leaf
        for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]
    }
    sums: dict[str, list] = {}
    for path, spec in jax.tree_util.tree_flatten_with_path(network.specs)[0]:
        name = checks.path_name(path)
        if spec.role not in WEIGHTS:
            continue
        role, home = WEIGHTS[spec.role], name.rpartition("/")[0]
        bias = params_by_path[f"{home}/bias"]
        for kind, squares in (
            ("sigma_w2", spec.fan_in * params_by_path[name] ** 2),
            ("sigma_b2", bias**2),
        ):
            # Row by row: one float32 sum of a million terms is off in its fourth digit.
            mean = jnp.mean(jnp.mean(squares, axis=-1))
            sums.setdefault(f"{kind}_{role}", []).append((mean, squares.size))
    return {
        name: jnp.asarray(sum(mean * size for mean, size in parts) / sum(size for _, size in parts))
        for name, parts in sums.items()
    }


def _signal(state: LayerState) -> jax.Array:
    """[2, n]: the stream of a residual block, else z."""
    values = state.z if state.stream is None else state.stream
    return values.reshape(2, -1)


def _compare(first: jax.Array, second: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    lengths = jnp.mean(first**2), jnp.mean(second**2)
    apart = first / jnp.sqrt(lengths[0]) - second / jnp.sqrt(lengths[1])
    return *lengths, jnp.mean(apart**2) / 2


def _biases(network: Network, params: Params) -> Mapping[str, Array]:
    """By path, those of every layer."""
    specs, _ = jax.tree_util.tree_flatten_with_path(network.specs)
    return {
        checks.path_name(path): leaf
        for (path, spec), leaf in zip(specs, jax.tree.leaves(params), strict=True)
        if spec.role is Role.BIAS
    }


def _with_biases(network: Network, params: Params, biases: Mapping[str, Array]) -> Params:
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: biases.get(checks.path_name(path), leaf), params
    )


def _mean_squares(network: Network, gradient: Params, names: tuple[str, ...]) -> jax.Array:
    """Of the last bias of each layer: of a block, the one at the end of its last branch."""
    leaves = layer_leaves(network, gradient)
    last = [[leaf for spec, leaf in leaves[name] if spec.role is Role.BIAS][-1] for name in names]
    return jnp.stack([jnp.mean(leaf**2) for leaf in last])
