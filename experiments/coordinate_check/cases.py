"""The cases of the coordinate check: a network, its start and its optimizer, by size."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import optax

from initlab import initializers as init
from initlab import networks, optimizers, theory
from initlab.coordinates import Subject, of_network
from initlab.theory import Growth, Optimizer, Parametrization
from initlab.types import Network, Role

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


def _by(
    network: Network,
    base: Network,
    parametrization: Parametrization,
    optimizer: Optimizer,
    rate: float,
    alpha: float = 1.0,
) -> Subject:
    way = theory.scaling(network.specs, base.specs, parametrization, optimizer, alpha=alpha)
    return of_network(
        networks.with_multipliers(network, way.multipliers),
        init.parametrized(init.by_role(init.lecun_normal()), way),
        # Below every gradient of these sizes: what theory takes for Adam's first step is a sign.
        optimizers.parametrized(way, rate, epsilon=1e-12),
    )


def _width_case(parametrization: Parametrization, optimizer: Optimizer, rate: float) -> Case:
    def make(width: int, base: int, inputs: int, outputs: int, learning_rate: float) -> Subject:
        network, narrow = (
            networks.mlp((inputs, units, units, outputs), jax.nn.relu) for units in (width, base)
        )
        return _by(network, narrow, parametrization, optimizer, learning_rate)

    return Case(make, rate, theory.growth(parametrization, optimizer))


WIDTH_CASES = {
    "standard SGD": _width_case(Parametrization.STANDARD, Optimizer.SGD, 1e-3),
    "standard Adam": _width_case(Parametrization.STANDARD, Optimizer.ADAM, 1e-5),
    "standard sign": _width_case(Parametrization.STANDARD, Optimizer.SIGN, 1e-5),
    "standard Muon": _width_case(Parametrization.STANDARD, Optimizer.MUON, 1e-4),
    "NTK SGD": _width_case(Parametrization.NTK, Optimizer.SGD, 1e-3),
    "NTK Adam": _width_case(Parametrization.NTK, Optimizer.ADAM, 1e-4),
    "mean field SGD": _width_case(Parametrization.MEAN_FIELD, Optimizer.SGD, 1e-2),
    "mean field Adam": _width_case(Parametrization.MEAN_FIELD, Optimizer.ADAM, 1e-4),
    "muP SGD": _width_case(Parametrization.MUP, Optimizer.SGD, 1e-2),
    "muP Adam": _width_case(Parametrization.MUP, Optimizer.ADAM, 1e-4),
    "muP sign": _width_case(Parametrization.MUP, Optimizer.SIGN, 1e-4),
    "muP Muon": _width_case(Parametrization.MUP, Optimizer.MUON, 1e-4),
    "u-muP Adam": _width_case(Parametrization.U_MUP, Optimizer.ADAM, 1e-4),
    "spectral SGD": _width_case(Parametrization.SPECTRAL, Optimizer.SGD, 1e-2),
}
"""Two hidden relu layers at growing width."""


def _depth_case(
    parametrization: Parametrization, optimizer: Optimizer, rate: float, alpha: float = 1.0
) -> Case:
    def make(depth: int, base: int, inputs: int, outputs: int, learning_rate: float) -> Subject:
        # Over one block, whatever the smallest depth is: what branches add to the stream is then
        # small at every depth, as theory takes it.
        del base
        network, shallow = (
            networks.residual_mlp(
                (inputs, 64, outputs), blocks, jax.nn.relu, layer_norm=True, scanned=True
            )
            for blocks in (depth, 1)
        )
        return _by(network, shallow, parametrization, optimizer, learning_rate, alpha)

    return Case(make, rate, theory.growth(parametrization, optimizer, of="depth", alpha=alpha))


def _residual(depth: int, base: int, inputs: int, outputs: int, learning_rate: float) -> Subject:
    """No norm and no factor: each of He's branches adds twice the stream's mean square to it."""
    del base
    network = networks.residual_mlp((inputs, 64, outputs), depth, jax.nn.relu, scanned=True)
    return of_network(network, init.by_role(init.he_normal()), optax.sgd(learning_rate))


DEPTH_CASES = {
    "residual": Case(_residual, 1e-4, None),
    "deep muP Adam": _depth_case(Parametrization.MUP, Optimizer.ADAM, 1e-6),
    "deep depth-muP Adam": _depth_case(Parametrization.DEPTH_MUP, Optimizer.ADAM, 1e-5),
    "deep CompleteP 1/2 Adam": _depth_case(
        Parametrization.COMPLETE_P, Optimizer.ADAM, 1e-5, alpha=0.5
    ),
    "deep CompleteP Adam": _depth_case(Parametrization.COMPLETE_P, Optimizer.ADAM, 1e-5),
    "deep CompleteP Muon": _depth_case(Parametrization.COMPLETE_P, Optimizer.MUON, 1e-4),
}
"""Residual blocks of two layers, all but the first behind a norm, 64 wide, at growing depth.

SGD is none of them: behind a norm its step is divided by the stream, and the batch has an input of
norm 0.18, whose stream is mostly what the branches make of it until depths of the order of 60.
Under CompleteP the output's change grows as depth^0.19, 0.17, 0.17 and 0.07 from each to the next
of 16, 32, 64, 128 and 256 blocks; with inputs of one norm it is flat, -0.04 [-0.11, 0.04] over 16
to 128. Steps of Adam and Muon have a size of their own.
"""
