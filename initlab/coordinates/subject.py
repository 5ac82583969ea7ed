"""What a coordinate check is made of: a model of one size, and how it is trained."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import optax

from initlab import checks
from initlab.initializers import initialize
from initlab.types import Initializer, Network, Params, Role

__all__ = ["Subject", "make_subjects", "of_network"]


class Subject(NamedTuple):
    """A model of one size, and how it is trained.

    Attributes:
      init: `key -> params`.
      layers: `(params, batch) -> {name: output}`, in the order of the forward pass: what each layer
        gives, under the same names at every width. The last one is the model's own output.
      optimizer: the transformation that takes its first steps.
      roles: the params' tree of Role, with which the check tells whose update breaks what; as
        `jax.tree.map(lambda spec: spec.role, networks.adopt(init, apply, x).specs)`. None: it does
        not tell.
    """

    init: Callable[[jax.Array], Params]
    layers: Callable[[Params, Any], Mapping[str, jax.Array]]
    optimizer: optax.GradientTransformation
    roles: Any = None


@checks.checked
def of_network(
    network: Network, initializer: Initializer, optimizer: optax.GradientTransformation
) -> Subject:
    """One of the lab's networks as a Subject: pre-activations, or a residual block's stream.

    Args:
      network: the model.
      initializer: what it starts from.
      optimizer: the transformation that takes its first steps.

    Returns:
      The Subject.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from initlab import initializers, networks
    >>> network = networks.mlp((2, 8, 1), jnp.tanh)
    >>> subject = of_network(network, initializers.ntk(), optax.sgd(0.1))
    >>> list(subject.layers(subject.init(jax.random.key(0)), np.ones((4, 2), np.float32)))
    ['layer_1', 'layer_2']
    """

    def layers(params: Params, batch: Any) -> dict[str, jax.Array]:
        states = network.layers(params, batch)
        return {
            name: state.z if state.stream is None else state.stream
            for name, state in states.items()
        }

    roles = jax.tree.map(lambda spec: spec.role, network.specs)
    return Subject(
        lambda key: initialize(key, network.specs, initializer), layers, optimizer, roles
    )


def make_subjects(make: Callable[..., Subject], sizes: Sequence[tuple[int, ...]]) -> list[Subject]:
    """The subjects of these sizes, each checked."""
    return [_subject(make, each) for each in sizes]


def _subject(make: Callable[..., Subject], sizes: tuple[int, ...]) -> Subject:
    call = f"({', '.join(map(str, sizes))})"
    with checks.calling("make", call):
        subject = make(*sizes)
    checks.check_kind(f"make{call}", subject, Subject)
    for part in ("init", "layers"):
        checks.check_callable(f"make{call}.{part}", getattr(subject, part))
    checks.check_optimizer(f"make{call}.optimizer", subject.optimizer)
    for role in jax.tree.leaves(subject.roles):
        checks.check_kind(f"make{call}.roles", role, Role)
    return subject
