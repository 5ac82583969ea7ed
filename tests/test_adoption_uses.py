"""What a use tells adopt: rows of an array that a loop takes, vectors that multiply a branch."""

import jax
import jax.numpy as jnp
import pytest

from initlab import networks
from initlab.types import Role

pytestmark = pytest.mark.quick


def facts(apply, **shapes):
    """What is said of the parameters of a model in plain JAX."""

    def init(key):
        return {name: jnp.ones(shape) for name, shape in shapes.items()}

    with jax.numpy_rank_promotion("allow"):
        network = networks.adopt(init, apply, jnp.ones((3, 4)))
    return dict(network.doubts), network.specs


def test_rows_that_a_loop_takes_are_biases():
    def apply(p, x):
        h = x @ p["first"]
        # A primitive of its own from JAX 0.12 on.
        for row in p["rows"]:
            h = jnp.tanh(h @ p["shared"] + row)
        return h @ p["out"]

    doubts, specs = facts(apply, first=(4, 4), shared=(4, 4), rows=(3, 4), out=(4, 2))
    assert not doubts
    assert (specs["rows"].role, specs["rows"].fan_in, specs["rows"].fan_out) == (Role.BIAS, 4, 4)


def test_a_vector_gates_a_branch_and_doubtfully_scales_a_stream():
    def layer_scale(p, x):
        x = x @ p["first"]
        x = x + (jnp.tanh(x @ p["up"]) @ p["down"]) * p["vector"]
        return x @ p["out"]

    def scaled_stream(p, x):
        x = x @ p["first"]
        x = x * p["vector"] + jnp.tanh(x @ p["up"]) @ p["down"]
        return x @ p["out"]

    shapes = {"first": (4, 4), "up": (4, 4), "down": (4, 4), "vector": (4,), "out": (4, 2)}
    doubts, specs = facts(layer_scale, **shapes)
    assert not doubts
    assert specs["vector"].role is Role.GATE
    assert specs["down"].role is Role.RESIDUAL
    assert facts(scaled_stream, **shapes)[0] == {"vector": "multiplies what no normalization gave"}
