"""Registries: where names on the command line become objects, in explicit dicts."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from initlab import initializers as init
from initlab import networks, tasks, theory
from initlab.types import Activation, Initializer, Network, Role, Task

__all__ = [
    "ACTIVATIONS",
    "BINARY_TASKS",
    "INITIALIZERS",
    "NETWORKS",
    "TASKS",
    "chosen_task",
    "count_branches",
]

ACTIVATIONS = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
    "selu": jax.nn.selu,
    "softplus": jax.nn.softplus,
    "sin": jnp.sin,
}

# Whole-network initializers that need to know nothing of it, with their best-known constants.
_SELF_CONTAINED = {
    "zeros": init.by_role(init.zeros()),
    "ones": init.by_role(init.ones()),
    "constant": init.by_role(init.constant(0.5)),
    "normal": init.by_role(init.normal(0.01)),
    "truncated_normal": init.by_role(init.truncated_normal(0.02)),
    "uniform": init.by_role(init.uniform(0.05)),
    "lecun_normal": init.by_role(init.lecun_normal()),
    "lecun_uniform": init.by_role(init.lecun_uniform()),
    "glorot_normal": init.by_role(init.glorot_normal()),
    "glorot_uniform": init.by_role(init.glorot_uniform()),
    "he_normal": init.by_role(init.he_normal()),
    "he_uniform": init.by_role(init.he_uniform()),
    "orthogonal": init.by_role(init.orthogonal()),
    "modular_orthogonal": init.by_role(init.modular_orthogonal()),
    "scaled_uniform_orthogonal": init.by_role(init.scaled_uniform_orthogonal()),
    # Convolutions only: their readout is a matrix.
    "delta_orthogonal": init.by_role(init.delta_orthogonal(), readout=init.orthogonal()),
    "dirac": init.by_role(init.dirac(), readout=init.identity()),
    "identity": init.by_role(init.identity()),
    "zero_hadamard": init.by_role(init.zero_hadamard()),
    "sinusoidal": init.by_role(init.sinusoidal()),
    "sparse": init.by_role(init.sparse()),
    "looks_linear": init.by_role(init.looks_linear(init.orthogonal())),
    "siren": init.siren(),
    "skipinit": init.skipinit(init.he_normal()),
    "rezero": init.rezero(init.glorot_uniform()),
    "zero_branch_ends": init.zero_branch_ends(init.he_normal()),
    "depth_indexed": init.depth_indexed(),
    "small_readout": init.small_readout(init.lecun_normal()),
    "ntk": init.ntk(),
    "mixture_of_experts": init.mixture_of_experts(),
    "mup": init.mup(),
    "mup_transformer": init.mup_transformer(),
    "spectral": init.by_role(init.spectral()),
    "nanogpt_speedrun": init.nanogpt_speedrun(),
    "normalized": init.normalized(init.lecun_normal()),
    # Of recurrent networks and state spaces only: they draw biases that others have not.
    "forget_bias": init.forget_bias(init.lecun_normal()),
    "chrono": init.chrono(init.lecun_normal(), 100),
    "mamba": init.mamba(init.lecun_normal()),
    "mean_field": init.mean_field(),
    "torch_default": init.torch_default(),
    "keras_default": init.keras_default(),
    "flax_default": init.flax_default(),
}

INITIALIZERS: dict[str, Callable[[Activation, int], Initializer]] = {
    name: lambda activation, branches, each=each: each for name, each in _SELF_CONTAINED.items()
} | {
    "variance_scaling": lambda activation, branches: init.by_role(
        init.variance_scaling(theory.gain(activation) ** 2)
    ),
    # Without biases gelu and silu are critical where signals vanish; at their point they stay.
    "critical": lambda activation, branches: init.ntk(*theory.critical_variances(activation)),
    "gpt2": lambda activation, branches: init.gpt2(branches),
    "fixup": lambda activation, branches: init.fixup(branches),
    # A transformer's block is two branches.
    "layer_scale": lambda activation, branches: init.layer_scale(
        init.truncated_normal(0.02), max(1, branches // 2)
    ),
    "small_init": lambda activation, branches: init.small_init(max(1, branches // 2)),
    "deepnorm": lambda activation, branches: init.deepnorm(max(1, branches // 2)),
    "t_fixup": lambda activation, branches: init.t_fixup(max(1, branches // 2)),
}
"""`(hidden activation, number of residual branches) -> initializer of the whole network`."""


def _mlp(inputs: int, width: int, depth: int, outputs: int, activation: Activation) -> Network:
    return networks.mlp((inputs, *[width] * depth, outputs), activation)


def _residual_mlp(**settings: Any) -> Callable[..., Network]:
    def make(inputs: int, width: int, depth: int, outputs: int, activation: Activation) -> Network:
        return networks.residual_mlp((inputs, width, outputs), depth, activation, **settings)

    return make


def _convnet(**settings: Any) -> Callable[..., Network]:
    def make(inputs: int, width: int, depth: int, outputs: int, activation: Activation) -> Network:
        side = math.isqrt(inputs)
        shape = (side, side, 1) if side**2 == inputs else (inputs, 1)
        window = min(3, shape[0])
        return networks.convnet(
            shape, width, outputs, depth, activation, window=window, scanned=True, **settings
        )

    return make


def _recurrent(cell: str) -> Callable[..., Network]:
    def make(inputs: int, width: int, depth: int, outputs: int, activation: Activation) -> Network:
        # Its cells' functions are tanh and sigmoid whatever the activation.
        del activation
        return networks.recurrent(
            (1, width, outputs), depth, length=inputs, cell=cell, last_only=True, scanned=True
        )

    return make


def _state_space(
    inputs: int, width: int, depth: int, outputs: int, activation: Activation
) -> Network:
    return networks.state_space(
        (1, width, outputs), depth, activation, length=inputs, last_only=True, scanned=True
    )


def _transformer(**settings: Any) -> Callable[..., Network]:
    def make(inputs: int, width: int, depth: int, outputs: int, activation: Activation) -> Network:
        return networks.transformer(
            (1, width, outputs),
            depth,
            activation,
            heads=_heads(width, **settings),
            length=inputs,
            tokens=False,
            last_only=True,
            scanned=True,
            **settings,
        )

    return make


def _heads(width: int, positions: str = "learned", **_: Any) -> int:
    if positions == "rotary":
        # Features in a head are turned in pairs.
        return 1 if width % 2 else math.gcd(width // 2, 4)
    return math.gcd(width, 4)


NETWORKS: dict[str, Callable[..., Network]] = {
    "mlp": _mlp,
    "residual_mlp": _residual_mlp(scanned=True),
    "residual_mlp_gate": _residual_mlp(scanned=True, gate=True),
    "residual_mlp_norm": _residual_mlp(scanned=True, layer_norm=True),
    "convnet": _convnet(),
    "residual_convnet": _convnet(residual=True),
    "residual_convnet_norm": _convnet(residual=True, layer_norm=True),
    "transformer": _transformer(),
    "post_norm_transformer": _transformer(norm_at="post"),
    "llama_transformer": _transformer(positions="rotary", norm="rms", mlp="gated"),
    "lstm": _recurrent("lstm"),
    "gru": _recurrent("gru"),
    "state_space": _state_space,
}
"""`(inputs, width, depth, outputs, activation) -> network` of flat examples [B, inputs].

A convnet takes them for an image where inputs is a square, else for a signal; a transformer, a
recurrent network or a state space for a sequence of numbers. Depth counts hidden layers, or blocks.
"""


def count_branches(network: Network, depth: int) -> int:
    """How many residual branches a network has, by the weights that end them; of a plain one depth.

    A transformer's block has two.
    """
    ends = [spec for spec in jax.tree.leaves(network.specs) if spec.role is Role.RESIDUAL]
    return sum(len(spec.stack) or 1 for spec in ends) or depth


BINARY_TASKS = {
    "flower": tasks.flower,
    "circles": tasks.circles,
    "moons": tasks.moons,
    "xor": tasks.xor,
    "spiral": tasks.spiral,
    "blobs": tasks.blobs,
    "breast_cancer": tasks.breast_cancer,
}

TASKS = BINARY_TASKS | {"wine": tasks.wine, "digits": tasks.digits}


def chosen_task(name: str, examples: int) -> Task:
    """The first examples of a task by its name."""
    return tasks.take(TASKS[name](), examples)
