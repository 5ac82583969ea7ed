"""Where names on the command line become objects: explicit dicts, and flags that read them."""

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from absl import flags

from initlab import initializers as init
from initlab import networks, tasks, theory
from initlab.signals.measure import critical_variances, gaussian
from initlab.types import Activation, Initializer, Network, Task

__all__ = [
    "ACTIVATIONS",
    "BINARY_TASKS",
    "INITIALIZERS",
    "NETWORKS",
    "TASKS",
    "define_count",
    "define_name",
    "define_names",
    "define_numbers",
    "define_scale",
    "define_share",
    "define_trained_fraction",
    "take_examples",
]

# --help and run.json list a flag under the binary that asks for it, not under this file.
flags.disclaim_key_flags()

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
    "scaled_uniform_orthogonal": init.by_role(init.scaled_uniform_orthogonal()),
    # Convolutions only: their readout is a matrix.
    "delta_orthogonal": init.by_role(init.delta_orthogonal(), readout=init.orthogonal()),
    "dirac": init.by_role(init.dirac(), readout=init.identity()),
    "identity": init.by_role(init.identity()),
    "zero_hadamard": init.by_role(init.zero_hadamard()),
    "sparse": init.by_role(init.sparse()),
    "looks_linear": init.by_role(init.looks_linear(init.orthogonal())),
    "siren": init.siren(),
    "skipinit": init.skipinit(init.he_normal()),
    "rezero": init.rezero(init.glorot_uniform()),
    "small_readout": init.small_readout(init.lecun_normal()),
    "ntk": init.ntk(),
    "mup": init.mup(),
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
    "critical": lambda activation, branches: gaussian(*critical_variances(activation)),
    "gpt2": lambda activation, branches: init.gpt2(branches),
    "fixup": lambda activation, branches: init.fixup(branches),
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


def _transformer(**settings: Any) -> Callable[..., Network]:
    def make(inputs: int, width: int, depth: int, outputs: int, activation: Activation) -> Network:
        return networks.transformer(
            (1, width, outputs),
            depth,
            activation,
            heads=math.gcd(width, 4),
            length=inputs,
            tokens=False,
            last_only=True,
            scanned=True,
            **settings,
        )

    return make


NETWORKS: dict[str, Callable[..., Network]] = {
    "mlp": _mlp,
    "residual_mlp": _residual_mlp(scanned=True),
    "residual_mlp_gate": _residual_mlp(scanned=True, gate=True),
    "residual_mlp_norm": _residual_mlp(scanned=True, layer_norm=True),
    "convnet": _convnet(),
    "residual_convnet": _convnet(residual=True),
    "residual_convnet_norm": _convnet(residual=True, layer_norm=True),
    "transformer": _transformer(),
    "post_norm_transformer": _transformer(post_norm=True),
}
"""`(inputs, width, depth, outputs, activation) -> network` of flat examples [B, inputs].

A convnet takes them for an image where inputs is a square, else for a signal; a transformer for a
sequence of numbers. Depth counts hidden layers, or blocks.
"""

BINARY_TASKS = {
    "flower": tasks.flower,
    "circles": tasks.circles,
    "moons": tasks.moons,
    "xor": tasks.xor,
    "blobs": tasks.blobs,
    "breast_cancer": tasks.breast_cancer,
}

TASKS = BINARY_TASKS | {"wine": tasks.wine, "digits": tasks.digits}


def define_name(name: str, default: str, table: Mapping[str, Any], help: str) -> flags.FlagHolder:
    """A flag that takes one name of a table; a misspelt one is answered with the nearest."""
    holder = flags.DEFINE_string(name, default, f"{help}: one of {', '.join(table)}.")
    flags.register_validator(name, lambda given: _check_name(given, table))
    return holder


def define_names(
    name: str, default: Sequence[str], table: Mapping[str, Any], help: str
) -> flags.FlagHolder:
    """A flag that takes several names of a table, separated by commas."""
    holder = flags.DEFINE_list(name, list(default), f"{help}: of {', '.join(table)}.")
    flags.register_validator(
        name, lambda given: bool(given) and all(_check_name(each, table) for each in given)
    )
    return holder


def define_count(name: str, default: int, help: str, *, least: int = 1) -> flags.FlagHolder:
    """A flag that takes an integer of at least `least`."""
    return flags.DEFINE_integer(name, default, help, lower_bound=least)


def define_scale(name: str, default: float | None, help: str) -> flags.FlagHolder:
    """A flag that takes a finite number of at least 0; none if that is its default."""
    holder = flags.DEFINE_float(name, default, help)
    flags.register_validator(
        name,
        lambda given: given is None or (math.isfinite(given) and given >= 0),
        message=f"--{name} must be a finite number of at least 0",
    )
    return holder


def define_share(name: str, default: float, help: str) -> flags.FlagHolder:
    """A flag that takes a number of at least 0 and under 1."""
    holder = flags.DEFINE_float(name, default, help)
    flags.register_validator(
        name,
        lambda given: 0 <= given < 1,
        message=f"--{name} must be a number of at least 0 and under 1",
    )
    return holder


def define_trained_fraction() -> flags.FlagHolder:
    """The flag that says which runs count as trained."""
    return define_scale(
        "trained_fraction", 0.5, "A run trained if its loss ends under this share of a constant's."
    )


def define_numbers(
    name: str, default: Sequence[float], help: str, *, whole: bool = False
) -> flags.FlagHolder:
    """A flag that takes numbers of at least 0 (whole: integers of at least 1), by commas."""
    holder = flags.DEFINE_list(name, [str(each) for each in default], help)
    flags.register_validator(name, lambda given: _check_numbers(name, given, whole))
    return holder


def take_examples(task: Task, count: int) -> Task:
    """A task of the first examples of another, as many as a flag --examples says.

    Args:
      task: all of them.
      count: how many.

    Returns:
      The task.

    Raises:
      ValueError: if it has fewer.
    """
    if count > len(task.x):
        raise ValueError(f"--examples must be at most {len(task.x)}, got {count}")
    return Task(task.x[:count], task.y[:count], task.objective)


def _check_name(given: str, table: Mapping[str, Any]) -> bool:
    if given in table:
        return True
    near = difflib.get_close_matches(given, table, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise flags.ValidationError(f"{given!r} is none of {', '.join(table)}{hint}")


def _check_numbers(name: str, given: Sequence[str], whole: bool) -> bool:
    wanted = "integers of at least 1" if whole else "finite numbers of at least 0"
    if not given:
        raise flags.ValidationError(f"--{name} wants {wanted}, got none")
    for text in given:
        try:
            number = int(text) if whole else float(text)
        except ValueError as error:
            raise flags.ValidationError(f"--{name} wants {wanted}, got {text!r}") from error
        if not math.isfinite(number) or number < (1 if whole else 0):
            raise flags.ValidationError(f"--{name} wants {wanted}, got {text!r}")
    if len({float(text) for text in given}) != len(given):
        raise flags.ValidationError(f"--{name} holds a number twice: {', '.join(given)}")
    return True
