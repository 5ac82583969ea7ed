"""The sides of the throughput comparison that PyTorch takes; imported where it is installed."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch  # pyright: ignore[reportMissingImports]

from experiments.throughput.workloads import Workload
from initlab.types import Params

__all__ = ["loop", "vmap"]

KINDS = ("weight", "bias")


def loop(work: Workload, starts: Params, steps: int) -> np.ndarray:
    """A Python loop of autograd steps, one run after the other.

    Args:
      work: what is to be learnt.
      starts: initial params, runs along the first axis.
      steps: of gradient descent.

    Returns:
      The runs' final losses [runs].
    """
    loss, stacked = _loss(work), _tensors(work, starts)
    losses = []
    for number in range(len(stacked[0])):
        params = [leaf[number].clone().requires_grad_() for leaf in stacked]
        for _ in range(steps):
            gradient = torch.autograd.grad(loss(params), params)
            with torch.no_grad():
                for parameter, slope in zip(params, gradient, strict=True):
                    parameter -= work.learning_rate * slope
        losses.append(loss(params).item())
    return np.asarray(losses)


def vmap(work: Workload, starts: Params, steps: int) -> np.ndarray:
    """As `loop`, all runs at once: a loop of `torch.func.vmap` of `torch.func.grad`."""
    # vmap of grad, not one backward pass of the summed losses: what the documentation proposes for
    # many models at once.
    loss, params = _loss(work), _tensors(work, starts)
    gradient = torch.func.vmap(torch.func.grad(loss))
    for _ in range(steps):
        slopes = gradient(params)
        params = [p - work.learning_rate * slope for p, slope in zip(params, slopes, strict=True)]
    return torch.func.vmap(loss)(params).cpu().numpy()


def _tensors(work: Workload, starts: Params) -> list[Any]:
    """Weight and bias of each layer in turn."""
    leaves = (starts[name][kind] for name in work.network.activations for kind in KINDS)
    return [torch.tensor(jax.device_get(leaf), device=_device()) for leaf in leaves]


def _device() -> str:
    return "cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu"


def _loss(work: Workload) -> Callable[[list[Any]], Any]:
    x = torch.tensor(work.x, device=_device())
    y = torch.tensor(work.y, device=_device(), dtype=torch.int64)
    labels = y.to(torch.float32)
    functional = torch.nn.functional

    def loss(params: list[Any]) -> Any:
        h = x
        for n in range(0, len(params) - 2, 2):
            h = torch.tanh(h @ params[n] + params[n + 1])
        z = h @ params[-2] + params[-1]
        if z.shape[1] == 1:
            return functional.binary_cross_entropy_with_logits(z[:, 0], labels)
        return functional.cross_entropy(z, y)

    return loss
