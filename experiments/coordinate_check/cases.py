"""The cases of the coordinate check: a network, its start and its optimizer, by size."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import optax

from initlab import initializers as init
from initlab import networks, theory
from initlab.coordinates import Subject, of_network, scale_by_width
from initlab.theory import Growth, Optimizer, Parametrization
from initlab.types import Initializer, Network, Params, Role

__all__ = ["DEPTH_CASES", "WIDTH_CASES", "Case"]


class Case(NamedTuple):
    """One row of the experiment.

    Attributes:
      make: `(size, base size, inputs, outputs, learning rate) -> Subject`.
      learning_rate: one at which a step's change is small at every size, as theory takes it.
      predicted: the slopes by role; None where theory has none.
    """

    make: Callable[[int, int, int, int, float], Subject]
    learning_rate: float
    predicted: Mapping[Role, Growth] | None


OPTIMIZERS = {Optimizer.SGD: optax.sgd, Optimizer.ADAM: optax.adam}

STARTS: dict[Parametrization, Initializer] = {
    Parametrization.STANDARD: init.by_role(init.lecun_normal()),
    Parametrization.NTK: init.ntk(),
    Parametrization.MEAN_FIELD: init.mean_field(),
    Parametrization.MUP: init.mup(),
}


def _relu_mlp(width: int, inputs: int, outputs: int) -> Network:
    return networks.mlp((inputs, width, width, outputs), jax.nn.relu)


def _width_case(parametrization: Parametrization, optimizer: Optimizer, rate: float) -> Case:
    def make(width: int, base: int, inputs: int, outputs: int, learning_rate: float) -> Subject:
        network = _relu_mlp(width, inputs, outputs)
        by_width = scale_by_width(
            network.specs, _relu_mlp(base, inputs, outputs).specs, parametrization, optimizer
        )
        steps = optax.chain(OPTIMIZERS[optimizer](learning_rate), by_width)
        return of_network(network, STARTS[parametrization], steps)

    return Case(make, rate, theory.growth(parametrization, optimizer))


WIDTH_CASES = {
    "standard SGD": _width_case(Parametrization.STANDARD, Optimizer.SGD, 1e-3),
    "standard Adam": _width_case(Parametrization.STANDARD, Optimizer.ADAM, 1e-4),
    "muP SGD": _width_case(Parametrization.MUP, Optimizer.SGD, 1e-1),
    "muP Adam": _width_case(Parametrization.MUP, Optimizer.ADAM, 1e-4),
}
"""Two hidden relu layers at growing width."""


def _depth_case(scaled_branch: bool, scaled_rate: bool) -> Case:
    def make(depth: int, base: int, inputs: int, outputs: int, learning_rate: float) -> Subject:
        network = networks.residual_mlp((inputs, 64, outputs), depth, jax.nn.relu, scanned=True)
        # He's branches keep lengths, so that each block doubles the stream's mean square: 2^depth.
        # Scaled it stays under e at every depth.
        factor = theory.stable_branch_scale(depth) if scaled_branch else 1.0
        start = init.by_role(init.he_normal(), residual=init.scaled(init.he_normal(), factor))
        rates = dict.fromkeys(network.specs, 1.0)
        if scaled_rate:
            rates["blocks"] = base / depth
        steps = optax.chain(optax.sgd(learning_rate), _times(rates))
        return of_network(network, start, steps)

    return Case(make, 1e-4, None)


def _times(rates: Mapping[str, float]) -> optax.GradientTransformation:
    """Each part of a network with a factor of its own on the learning rate."""

    def scale(updates: Params, _: Params) -> Params:
        return {
            name: jax.tree.map(lambda update, rate=rate: update * rate, updates[name])
            for name, rate in rates.items()
        }

    return optax.stateless(scale)


DEPTH_CASES = {
    "residual": _depth_case(scaled_branch=False, scaled_rate=False),
    "residual branches scaled": _depth_case(scaled_branch=True, scaled_rate=False),
    "residual branches and rates scaled": _depth_case(scaled_branch=True, scaled_rate=True),
}
"""Residual blocks of one relu layer, 64 wide, at growing depth."""
