"""Learning rates by width and role, against the table of powers."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from initlab import networks, theory
from initlab.coordinates import scale_by_width
from initlab.theory import Optimizer, Parametrization
from initlab.types import ParamSpec, Role


@pytest.mark.quick
def test_learning_rates_follow_the_table():
    wide, base = (networks.mlp((2, width, width, 3), jnp.tanh).specs for width in (64, 4))
    for parametrization in Parametrization:
        for optimizer in Optimizer:
            transform = scale_by_width(wide, base, parametrization, optimizer)
            ones = jax.tree.map(lambda spec: jnp.ones(spec.shape), wide)
            updates: Any = transform.update(ones, transform.init(ones))[0]
            for layer, role in (
                ("layer_1", Role.INPUT),
                ("layer_2", Role.WEIGHT),
                ("layer_3", Role.READOUT),
            ):
                power = theory.exponents(parametrization, optimizer, role).learning_rate
                assert float(updates[layer]["weight"][0, 0]) == 16.0**power
            power = theory.exponents(parametrization, optimizer, Role.BIAS).learning_rate
            assert float(updates["layer_2"]["bias"][0]) == 16.0**power
            # The readout's units are classes, whose number is that of the base.
            assert float(updates["layer_3"]["bias"][0]) == 1


def test_a_gate_keeps_its_learning_rate_and_stacks_are_sliced():
    def specs(width):
        return {
            "gate": ParamSpec((), 1, 1, Role.GATE),
            "bias": ParamSpec((3, width), width, width, Role.BIAS, stack=("a", "b", "c")),
        }

    transform = scale_by_width(specs(64), specs(4), Parametrization.MUP, Optimizer.SGD)
    ones = {"gate": jnp.ones(()), "bias": jnp.ones((3, 64))}
    updates: Any = transform.update(ones, transform.init(ones))[0]
    assert float(updates["gate"]) == 1
    assert float(updates["bias"][0, 0]) == 16


def test_networks_must_be_the_same_to_scale_rates():
    specs = networks.mlp((2, 4, 1), jnp.tanh).specs
    other = networks.mlp((2, 4, 4, 1), jnp.tanh).specs
    with pytest.raises(ValueError, match="their trees differ"):
        scale_by_width(specs, other, Parametrization.MUP, Optimizer.SGD)
