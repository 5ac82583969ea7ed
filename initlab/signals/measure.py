"""Signals in random networks: mean squares, cosine distance and gradient, layer by layer.

Nothing is trained: a run draws a network and two inputs, propagates them, and backpropagates one
random cotangent from the last hidden layer.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.initializers import initialize
from initlab.keys import path_key
from initlab.networks.layer_params import layer_leaves
from initlab.signals.variances import by_name, variances
from initlab.training import Point, Run
from initlab.types import (
    Array,
    History,
    Initializer,
    LayerState,
    Network,
    Number,
    Params,
    ParamSpec,
    Role,
)

__all__ = ["draw_pair", "signal_run"]


@checks.checked
def signal_run(
    network: Network,
    initializer: Callable[[Point], Initializer],
    inputs: int,
    *,
    length: float | None,
    correlation: float,
) -> Run:
    """`point -> mean square, cosine distance and gradient of each hidden layer`, for a sweep.

    Of a layer it takes the pre-activations z, or a residual network's stream, over all units and
    positions. The results' names are those that `compare` reads:

    - `length`, `length_of_second`: the mean squares `q = |z|^2 / n` of the two inputs;
    - `decorrelation`: their cosine distance `1 - c`;
    - `gradient`: the mean squared gradient with respect to the layer, over that of the last hidden
      one, into which a random cotangent, independent of the weights, is backpropagated;
    - `sigma_w2_ROLE`, `sigma_b2_ROLE`: what `variances` measures of the params drawn.

    A gradient with respect to z is the one with respect to the layer's bias (of a block: the bias
    that is added to the stream), summed over positions where there are any.

    Args:
      network: one whose hidden layers have biases, with `activations`: any of the lab's own.
      initializer: of its params, from the point, which holds a "seed".
      inputs: n_0, entries of an input, at least 2.
      length: `|x|^2 / n_0` of both inputs, exactly; None: the point's "input_length".
      correlation: cosine of the angle between them, exactly, in [-1, 1].

    Returns:
      The run; `initlab.sweep(run, {"seed": range(n)})` has each quantity over (seed, step, layer),
      with one step. "gradient" is NaN of a layer without a bias whose input is zero, as behind a
      relu layer that is off.

    Raises:
      TypeError: if a number is not one, or initializer cannot be called.
      ValueError: if a number is out of its range, or the network has no hidden layer, or one
        without a bias that is more than a dense weight, or length is 0 and the first hidden layer
        has no bias.

    >>> from initlab import initializers, networks
    >>> network = networks.mlp((6, 400, 400, 1), jnp.tanh)
    >>> initializer = initializers.by_role(initializers.orthogonal())
    >>> run = signal_run(network, lambda point: initializer, 6, length=1.0, correlation=0.5)
    >>> distance = run({"seed": 0}).values["decorrelation"]
    >>> distance.shape, round(float(distance[0, 0]), 4)  # orthogonal weights keep the angle
    ((1, 2), 0.5)
    """
    checks.check_callable("initializer", initializer)
    checks.check_count("inputs", inputs, 2)
    if length is not None:
        checks.check_scale("length", length)
    _check_correlation(correlation)
    names = tuple(network.activations)[:-1]
    _check_layers(network, names, length)
    dtype = jax.tree.leaves(network.specs)[0].dtype

    def measure(point: Point) -> History:
        key = jax.random.key(point["seed"])
        params = initialize(path_key(key, "params"), network.specs, initializer(point))
        size = point["input_length"] if length is None else length
        x = draw_pair(path_key(key, "inputs"), inputs, size, correlation).astype(dtype)

        def propagate(leaves: Params) -> tuple[jax.Array, Any]:
            states = network.layers(_with_leaves(params, leaves), x)
            signals = [_signal(states[name]) for name in names]
            last = signals[-1]
            cotangent = jax.random.normal(path_key(key, "gradient"), last[0].shape, dtype)
            measured = jnp.stack([jnp.stack(_compare(*signal)) for signal in signals], axis=1)
            taken = [x[0], *(states[name].a[0] for name in names[:-1])]
            taken = jnp.stack([jnp.sum(each.astype(dtype) ** 2) for each in taken])
            return jnp.sum(cotangent * last[0]), (measured, taken)

        # One backward pass gives all layers' gradients: a bias is added to z, so that its gradient
        # is that of z, and no layer must be cut out of the network. Of one example, that of a
        # weight alone is z's times the inputs.
        leaves = _measured_leaves(network, params, names)
        gradient, aux = jax.grad(propagate, has_aux=True)(leaves)
        (first, second, distance), taken = aux
        # Of a leaf that is multiplied the gradient is too.
        gradient = {
            path: leaf / network.multipliers[path] if path in network.multipliers else leaf
            for path, leaf in gradient.items()
        }
        squares = _mean_squares(network, _with_leaves(params, gradient), names, taken)
        values = {
            "length": first,
            "length_of_second": second,
            "decorrelation": distance,
            "gradient": squares / squares[-1],
            **by_name(variances(network, params)),
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


@checks.checked
def draw_pair(key: jax.Array, inputs: int, length: Number, correlation: float) -> jax.Array:
    """Two inputs in random directions, of one exact mean square and one exact angle between them.

    Exact and not in the mean, so that no seed's inputs add to the spread that the weights make.

    Args:
      key: a JAX key.
      inputs: n_0, at least 2.
      length: `|x|^2 / n_0`.
      correlation: the cosine, in [-1, 1].

    Returns:
      [2, n_0].

    Raises:
      TypeError: if a number is not one.
      ValueError: if a number is out of its range.

    >>> first, second = draw_pair(jax.random.key(0), 5, 2.0, 0.5)
    >>> round(float(first @ first / 5), 5), round(float(first @ second / 5), 5)
    (2.0, 1.0)
    """
    checks.check_count("inputs", inputs, 2)
    checks.check_scale("length", length)
    _check_correlation(correlation)
    first, second = jax.random.normal(key, (2, inputs))
    first = first / jnp.linalg.norm(first)
    second = second - (first @ second) * first
    second = second / jnp.linalg.norm(second)
    other = correlation * first + (1 - correlation**2) ** 0.5 * second
    return jnp.stack([first, other]) * (length * inputs) ** 0.5


def _check_correlation(correlation: Any) -> None:
    checks.check_number("correlation", correlation)
    if not -1 <= correlation <= 1:
        raise ValueError(f"correlation must be in [-1, 1], got {correlation}")


def _check_layers(network: Network, names: tuple[str, ...], length: float | None) -> None:
    if not names:
        raise ValueError("network must have a hidden layer, named in its activations")
    zeros = jax.tree.map(lambda spec: np.zeros(spec.shape, spec.dtype), network.specs)
    leaves = layer_leaves(network, zeros)
    for name in names:
        if not _has_bias(leaves[name]) and not _is_dense(leaves[name]):
            raise ValueError(
                f"network must have a bias in {name!r}, by which its gradient is measured, or "
                "nothing but a dense weight"
            )
    # A zero input leaves its weight without a gradient to measure by.
    if length == 0 and not _has_bias(leaves[names[0]]):
        raise ValueError(f"length must be above 0 where {names[0]!r} has no bias, got {length}")


def _has_bias(leaves: Sequence[tuple[ParamSpec, Any]]) -> bool:
    return any(spec.role is Role.BIAS for spec, _ in leaves)


def _is_dense(leaves: Sequence[tuple[ParamSpec, Any]]) -> bool:
    return [(spec.fan_in, spec.fan_out) for spec, _ in leaves] == [
        np.shape(leaf) for _, leaf in leaves[:1]
    ]


def _signal(state: LayerState) -> jax.Array:
    """[2, n]: the stream of a residual block, else z."""
    values = state.z if state.stream is None else state.stream
    return values.reshape(2, -1)


def _compare(first: jax.Array, second: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Mean squares of both, and their cosine distance."""
    squares = jnp.mean(first**2), jnp.mean(second**2)
    # Half the squared distance of unit vectors, where 1 - cosine would lose its digits near c = 1.
    apart = first / jnp.sqrt(squares[0]) - second / jnp.sqrt(squares[1])
    return *squares, jnp.mean(apart**2) / 2


def _measured_leaves(
    network: Network, params: Params, names: tuple[str, ...]
) -> Mapping[str, Array]:
    """By path, the biases of every layer, and the weights of those that have none."""
    by_layer = layer_leaves(network, params)
    alone = [spec for name in names if not _has_bias(by_layer[name]) for spec, _ in by_layer[name]]
    specs, _ = jax.tree_util.tree_flatten_with_path(network.specs)
    return {
        checks.path_name(path): leaf
        for (path, spec), leaf in zip(specs, jax.tree.leaves(params), strict=True)
        if spec.role is Role.BIAS or any(spec is each for each in alone)
    }


def _with_leaves(params: Params, leaves: Mapping[str, Array]) -> Params:
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaves.get(checks.path_name(path), leaf), params
    )


def _mean_squares(
    network: Network, gradient: Params, names: tuple[str, ...], taken: jax.Array
) -> jax.Array:
    """Of z: from the last bias, of a block the one at the end of its last branch; or the weight."""
    leaves = layer_leaves(network, gradient)
    found = []
    for name, inputs in zip(names, taken, strict=True):
        biases = [leaf for spec, leaf in leaves[name] if spec.role is Role.BIAS]
        if biases:
            found.append(jnp.mean(biases[-1] ** 2))
        else:
            ((_, weight),) = leaves[name]
            found.append(jnp.sum(weight**2) / (weight.shape[-1] * inputs))
    return jnp.stack(found)
