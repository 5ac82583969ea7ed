"""The sides of the throughput comparison: the lab, and the same training written in other ways.

A side is `(work, starts, steps) -> Program`: it trains every row of `starts` for `steps` steps. The
lab draws its own weights from the same seeds; the baselines are given them.
"""

import importlib.util
import math
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import threadpoolctl

import initlab
from experiments.throughput.workloads import Workload
from initlab.initializers import by_role, normal
from initlab.types import Params

__all__ = ["BATCHED", "LOOPS", "Program", "Timed", "installed", "prepare", "sides_of"]

BATCHED = ("lab", "plain_vmap", "torch_vmap")
"""Sides that compute all runs at once."""

LOOPS = ("jit_loop", "numpy", "torch_loop")
"""Sides that compute one run after the other."""

NUMPY_TRIAL = 10
"""Steps by which NumPy's number of threads is chosen."""


class Timed(NamedTuple):
    """One measurement.

    Attributes:
      losses: of every run, after its last step.
      run_seconds: without compilation.
      compile_seconds: of the program that ran; 0 where nothing is compiled.
    """

    losses: np.ndarray
    run_seconds: float
    compile_seconds: float


class Program(NamedTuple):
    """A side made ready.

    Attributes:
      measure: trains all runs from their start, once more at each call.
      memory_bytes: of the compiled program, by its own analysis; 0 where there is none.
    """

    measure: Callable[[], Timed]
    memory_bytes: int = 0


def installed() -> tuple[str, ...]:
    """The sides that can be measured here: those of PyTorch only where it is installed."""
    has_torch = importlib.util.find_spec("torch") is not None
    return tuple(s for s in (*BATCHED, *LOOPS) if has_torch or not s.startswith("torch"))


def sides_of(work: Workload) -> tuple[str, ...]:
    """The sides that can be measured on a network: NumPy and PyTorch are written for mlps alone."""
    if any(len(spec.shape) > 2 for spec in jax.tree.leaves(work.network.specs)):
        return tuple(side for side in installed() if side in ("lab", "plain_vmap", "jit_loop"))
    return installed()


def prepare(side: str, work: Workload, starts: Params, steps: int) -> Program:
    """Compiles what a side needs.

    Args:
      side: one of `installed()`.
      work: what is to be learnt.
      starts: initial params, runs along the first axis.
      steps: of gradient descent.

    Returns:
      The program.
    """
    if side.startswith("torch"):
        # Imported only here: PyTorch need not be installed.
        from experiments.throughput import torch_baselines

        train = {"torch_loop": torch_baselines.loop, "torch_vmap": torch_baselines.vmap}[side]
        return Program(_timed(lambda: train(work, starts, steps)))
    sides = {"lab": _lab, "plain_vmap": _plain_vmap, "jit_loop": _jit_loop, "numpy": _numpy}
    return sides[side](work, starts, steps)


def _lab(work: Workload, starts: Params, steps: int) -> Program:
    """A sweep as a user writes it, with its defaults."""
    run = initlab.make_run(
        work.network,
        lambda p: by_role(weight=normal(p["scale"])),
        work.task,
        optimizer=lambda p: optax.sgd(p["learning_rate"]),
        steps=steps,
        every=steps,
        probes=(initlab.probes.loss,),
    )
    axes = {
        "seed": range(_count(starts)),
        "scale": [work.scale],
        "learning_rate": [work.learning_rate],
    }

    def measure() -> Timed:
        results = initlab.sweep(run, axes, progress=False)
        losses = results["loss"].isel(step=-1).values.ravel()
        return Timed(losses, results.attrs["run_seconds"], results.attrs["compile_seconds"])

    return Program(measure)


def _plain_vmap(work: Workload, starts: Params, steps: int) -> Program:
    """`jit(vmap(scan))`, the program that a JAX user writes first."""
    loss = _plain_loss(work)

    def train(params: Params, learning_rate: jax.Array) -> jax.Array:
        def step(params: Params, _: None) -> tuple[Params, None]:
            gradient = jax.grad(loss)(params)
            return jax.tree.map(lambda p, g: p - learning_rate * g, params, gradient), None

        params, _ = jax.lax.scan(step, params, length=steps)
        return loss(params)

    # The rate is an argument, as in the lab, where it is an axis of the sweep: a constant would be
    # folded into the program.
    rates = jnp.full(_count(starts), work.learning_rate, jnp.float32)
    began = time.perf_counter()
    # As the lab's layers do: an accelerator's default rounds the factors of a product.
    with jax.default_matmul_precision("highest"):
        compiled = jax.jit(jax.vmap(train)).lower(starts, rates).compile()
    compile_seconds = time.perf_counter() - began
    needs: Any = compiled.memory_analysis()
    memory = needs.temp_size_in_bytes + needs.argument_size_in_bytes + needs.output_size_in_bytes
    return Program(_timed(lambda: np.asarray(compiled(starts, rates)), compile_seconds), memory)


def _jit_loop(work: Workload, starts: Params, steps: int) -> Program:
    """A Python loop over a compiled step, on the host's CPU."""
    host = jax.devices("cpu")[0]
    loss = _plain_loss(work)
    starts = jax.device_get(starts)

    @jax.jit
    def step(params: Params) -> Params:
        gradient = jax.grad(loss)(params)
        return jax.tree.map(lambda p, g: p - work.learning_rate * g, params, gradient)

    last = jax.jit(loss)

    def train() -> np.ndarray:
        losses = []
        with jax.default_device(host):
            for number in range(_count(starts)):
                params = jax.tree.map(lambda leaf, n=number: leaf[n], starts)
                for _ in range(steps):
                    params = step(params)
                losses.append(last(params).item())
        return np.asarray(losses)

    began = time.perf_counter()
    with jax.default_device(host):
        first = jax.tree.map(lambda leaf: leaf[0], starts)
        # The second call takes arrays of the device, as all later ones do.
        last(step(step(first))).block_until_ready()
    return Program(_timed(train, time.perf_counter() - began))


def _plain_loss(work: Workload) -> Callable[[Params], jax.Array]:
    """Cross-entropy as a JAX user writes it: examples by units, `h @ w + b`, or channels last."""
    x, labels = work.x, work.y.astype(np.float32)
    convolves = any(len(spec.shape) > 2 for spec in jax.tree.leaves(work.network.specs))
    if convolves:
        side = math.isqrt(x.shape[1])
        x = x.reshape(-1, side, side, 1)
    one_hot = np.eye(work.y.max() + 1, dtype=np.float32)[work.y]

    def loss(params: Params) -> jax.Array:
        *hidden, last = (params[name] for name in work.network.activations)
        h = x
        for layer in hidden:
            product = _convolve(h, layer["weight"]) if convolves else h @ layer["weight"]
            h = jnp.tanh(product + layer["bias"])
        if convolves:
            h = jnp.mean(h, axis=(1, 2))
        z = h @ last["weight"] + last["bias"]
        if z.shape[1] == 1:
            return jnp.mean(jax.nn.softplus(z[:, 0]) - labels * z[:, 0])
        return -jnp.mean(jnp.sum(one_hot * jax.nn.log_softmax(z), axis=1))

    return loss


def _convolve(h: Any, weight: jax.Array) -> jax.Array:
    layouts = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(h, weight, (1, 1), "SAME", dimension_numbers=layouts)


def _numpy(work: Workload, starts: Params, steps: int) -> Program:
    """The loop as a first course writes it: units by examples, forward, backward, update.

    It gets one thread of BLAS or one for each core, whichever is faster: on a busy machine the
    threads of small products wait for each other, many times as long as they compute.
    """
    starts = jax.device_get(starts)
    first = jax.tree.map(lambda leaf: leaf[0], starts)
    libraries = threadpoolctl.ThreadpoolController()

    def seconds(threads: int) -> float:
        began = time.perf_counter()
        with libraries.limit(limits=threads):
            _train_numpy(work, first, NUMPY_TRIAL)
        return time.perf_counter() - began

    # The least of three: a trial that something else interrupts is too long, never too short.
    trials = [(seconds(threads), threads) for threads in (1, os.cpu_count() or 1) * 3]
    _, threads = min(trials)

    def train() -> np.ndarray:
        with libraries.limit(limits=threads):
            rows = (jax.tree.map(lambda leaf, n=n: leaf[n], starts) for n in range(_count(starts)))
            return np.asarray([_train_numpy(work, params, steps) for params in rows])

    return Program(_timed(train))


def _train_numpy(work: Workload, params: Params, steps: int) -> float:
    layers = [params[name] for name in work.network.activations]
    weights = [np.ascontiguousarray(layer["weight"].T) for layer in layers]
    biases = [layer["bias"][:, None] for layer in layers]
    x, m = np.ascontiguousarray(work.x.T), len(work.x)
    if len(biases[-1]) == 1:
        y = work.y[None].astype(np.float32)
    else:
        y = np.eye(len(biases[-1]), dtype=np.float32)[:, work.y]
    for _ in range(steps):
        states = _forward(x, weights, biases)
        dz = _output(states[-1]) - y
        gradients = []
        for n in reversed(range(len(weights))):
            dw, db = dz @ states[n].T / m, dz.sum(axis=1, keepdims=True) / m
            gradients.append((n, dw, db))
            if n:
                dz = (weights[n].T @ dz) * (1 - states[n] ** 2)
        for n, dw, db in gradients:
            weights[n] = weights[n] - work.learning_rate * dw
            biases[n] = biases[n] - work.learning_rate * db
    z = _forward(x, weights, biases)[-1]
    if len(z) == 1:
        return float(np.mean(np.logaddexp(0, z) - y * z))
    return float(np.mean(np.logaddexp.reduce(z, axis=0) - np.sum(y * z, axis=0)))


def _forward(x: np.ndarray, weights: list[np.ndarray], biases: list[np.ndarray]) -> list:
    """Inputs, the activations of each hidden layer, logits."""
    states = [x]
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        states.append(np.tanh(w @ states[-1] + b))
    return [*states, weights[-1] @ states[-1] + biases[-1]]


def _output(z: np.ndarray) -> np.ndarray:
    if len(z) == 1:
        return 1 / (1 + np.exp(-z))
    powers = np.exp(z - z.max(axis=0))
    return powers / powers.sum(axis=0)


def _timed(train: Callable[[], np.ndarray], compile_seconds: float = 0.0) -> Callable[[], Timed]:
    def measure() -> Timed:
        began = time.perf_counter()
        losses = train()
        return Timed(losses, time.perf_counter() - began, compile_seconds)

    return measure


def _count(starts: Params) -> int:
    return jax.tree.leaves(starts)[0].shape[0]
