"""The lecture's induction as three facts that are checked on real numbers in float32.

Base: the start is fixed by every exchange of hidden units. Step: a gradient step from any params
that are fixed leads to params that are fixed. Conclusion: after any number of steps they still are,
watched after each step of a whole training run.
"""

from collections.abc import Sequence
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

import initlab
from initlab.initializers import by_role, constant
from initlab.symmetry import assert_units_identical, units_identical
from initlab.training import Run
from initlab.types import Array, Network, Params, ParamSpec, Probe, Role, Task

__all__ = ["alone_holds", "base_holds", "step_holds", "together_holds"]


def base_holds(network: Network, x: Array, constants: Sequence[float]) -> list[bool]:
    """Whether a constant start ties all units of each hidden layer, and all their activations.

    Args:
      network: an mlp.
      x: inputs [B, n_0].
      constants: the weights of each start; biases are zero.

    Returns:
      For each: whether its params are fixed by every exchange, and every example excites all units
      of a hidden layer equally (a_1 = a_2 = ..., to the last bit).
    """
    *hidden, _ = network.activations

    def holds(value: jax.Array) -> jax.Array:
        init = by_role(weight=constant(value))
        params = initlab.initialize(jax.random.key(0), network.specs, init)
        states = network.layers(params, x)
        equal = [jnp.all(states[name].a == states[name].a[:, :1]) for name in hidden]
        return jnp.all(jnp.stack([units_identical(params), *equal]))

    return jax.jit(jax.vmap(holds))(np.asarray(constants, np.float32)).tolist()


def step_holds(network: Network, task: Task, learning_rate: float, draws: int) -> bool:
    """Whether gradient and step keep units tied, from random params whose units are tied.

    Args:
      network: an mlp.
      task: data and loss.
      learning_rate: of the step.
      draws: how many random tied params, all under one vmap.

    Returns:
      True if dW has equal columns, db equal entries and the next dW equal rows, and params after
      the step too, to the last bit, in every draw.
    """
    gradient_of = jax.grad(initlab.make_loss(network, task))

    def holds(params: Params) -> jax.Array:
        gradient = gradient_of(params)
        after = jax.tree.map(lambda p, g: p - p.dtype.type(learning_rate) * g, params, gradient)
        return units_identical(gradient) & units_identical(after)

    # Drawn before, operation by operation: a program that draws takes twice as long to compile.
    keys = jax.random.split(jax.random.key(0), draws)
    params = jax.vmap(lambda key: _tied_params(key, network))(keys)
    return bool(jnp.all(jax.jit(jax.vmap(holds))(params)))


def alone_holds(
    network: Network,
    task: Task,
    steps: int,
    constants: Sequence[float],
    learning_rate: float,
) -> tuple[list[bool], list[bool]]:
    """Whether the units stay tied through training from each constant, after every step.

    A net that does not train keeps any symmetry, so each run also says whether it still moves.

    Args:
      network: an mlp.
      task: data and loss.
      steps: of full-batch gradient descent.
      constants: the starts.
      learning_rate: of the steps.

    Returns:
      A fact for each constant; and whether a hidden layer still has a gradient at the end.
    """
    run = _symmetric_run(network, task, steps, (initlab.probes.gradient_norm,))
    # A broken assertion must belong to the call that broke it: no asynchronous checks.
    asserting = chex.chexify(jax.jit(run), async_check=False)
    held, moving = [], []
    for value in constants:
        history = _unless_broken(asserting, _point(value, learning_rate))
        held.append(history is not None)
        moving.append(
            # The readout is left out: its gradient breaks no symmetry of the hidden units.
            history is not None and bool(np.any(history.values["gradient_norm"][-1, :-1] > 0))
        )
    return held, moving


def together_holds(
    network: Network,
    task: Task,
    steps: int,
    constants: Sequence[float],
    learning_rates: Sequence[float],
) -> bool:
    """Whether the units stay tied in all runs of one vmap: constants by learning rates.

    Args:
      network: an mlp.
      task: data and loss.
      steps: of full-batch gradient descent.
      constants: the starts.
      learning_rates: of the steps.

    Returns:
      Whether the invariant held in every run, after every step.
    """
    grid = np.meshgrid(
        np.asarray(constants, np.float32), np.asarray(learning_rates, np.float32), indexing="ij"
    )
    values, rates = (each.ravel() for each in grid)
    points = {"seed": np.zeros(values.size, int), "constant": values, "learning_rate": rates}
    run = _symmetric_run(network, task, steps)
    asserting = chex.chexify(jax.jit(jax.vmap(run)), async_check=False)
    return _unless_broken(asserting, points) is not None


def _tied_params(key: jax.Array, network: Network) -> Params:
    """Random params in which the units of each hidden layer are tied.

    The first layer's columns are one random column, the last layer's rows one random row, and all
    entries between one random number: what exchanges of hidden units leave alone, and nothing else.

    Args:
      key: a JAX key.
      network: an mlp.

    Returns:
      Its params.
    """
    first = next(iter(network.activations))

    def tied(key: jax.Array, spec: ParamSpec) -> jax.Array:
        if spec.role is Role.BIAS:
            free = (1,)
        else:
            rows, columns = spec.shape
            is_first, is_last = spec.path.startswith(f"{first}/"), spec.role is Role.READOUT
            free = (rows if is_first else 1, columns if is_last else 1)
        drawn = jax.random.normal(key, free, spec.dtype) / np.sqrt(spec.fan_in).astype(spec.dtype)
        return jnp.broadcast_to(drawn, spec.shape)

    return initlab.initialize(key, network.specs, tied)


def _symmetric_run(network: Network, task: Task, steps: int, probes: Sequence[Probe] = ()) -> Run:
    """A run of points {"seed", "constant", "learning_rate"}, to be chexified.

    It starts from constant weights and asserts the invariant before the first and after each step.
    """
    return initlab.make_run(
        network,
        lambda p: by_role(weight=constant(p["constant"])),
        task,
        optimizer=lambda p: optax.sgd(p["learning_rate"]),
        steps=steps,
        every=steps,
        probes=probes,
        invariants=(assert_units_identical,),
    )


def _point(value: float, learning_rate: float) -> dict[str, Any]:
    return {"seed": 0, "constant": value, "learning_rate": learning_rate}


def _unless_broken(run: Any, point: dict[str, Any]) -> Any:
    """The run's History, or None where its chex assertion broke, which is a result like others."""
    try:
        return run(point)
    except AssertionError:
        return None
