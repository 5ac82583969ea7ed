"""Models of several outputs, outputs of loops, and effects beside them."""

import jax
import jax.numpy as jnp
import pytest
from test_adoption import VECTOR, WEIGHT, facts

from initlab.types import Role


@pytest.fixture(autouse=True)
def _as_users_have_it():
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


def _outputs_of_a_loop(p, x):
    def cell(h, given):
        h = jnp.tanh(given @ p["in"] + h @ p["loop"])
        return h, h @ p["out"]

    _, outputs = jax.lax.scan(cell, jnp.zeros((3, 4)), jnp.stack([x, x]))
    return outputs


@pytest.mark.quick
@pytest.mark.parametrize(
    "move",
    [
        lambda y: y.transpose(1, 0, 2),
        lambda y: jnp.moveaxis(y, 0, 2).swapaxes(1, 2),
        lambda y: y.reshape(-1, 2),
        lambda y: y[::-1][0],
    ],
    ids=["batch first", "twice", "merged", "the last"],
)
def test_what_a_loop_hands_out_may_be_moved(move):
    doubts, specs = facts(
        lambda p, x: move(_outputs_of_a_loop(p, x)) + p["bias"],
        **{"in": WEIGHT, "loop": WEIGHT, "out": (4, 2), "bias": (2,)},
    )
    assert not doubts
    bias = specs["bias"]
    assert (bias.role, bias.fan_in, bias.fan_out) == (Role.BIAS, 4, 2)
    assert specs["out"].role is Role.READOUT


def _actor_critic(p, x):
    h = jnp.tanh(x @ p["in"])
    return {"policy": h @ p["policy"], "value": (h @ p["value"])[:, 0]}


def _vq_vae(p, x):
    code = jnp.tanh(x @ p["in"]) @ p["code"]
    distance = jnp.sum((code[:, None] - p["book"][None]) ** 2, axis=-1)
    index = jnp.argmin(distance, axis=1)
    picked = p["book"][index]
    straight = code + jax.lax.stop_gradient(picked - code)
    return jnp.tanh(straight @ p["hidden"]) @ p["out"], code, index


@pytest.mark.quick
def test_models_of_several_outputs_are_adopted():
    doubts, specs = facts(_actor_critic, **{"in": WEIGHT, "policy": (4, 3), "value": (4, 1)})
    assert not doubts
    assert [specs[name].role.value for name in specs] == ["input", "readout", "readout"]
    shapes = {"in": WEIGHT, "code": WEIGHT, "hidden": WEIGHT, "out": (4, 4)}
    _, specs = facts(_vq_vae, book=(6, 4), **shapes)
    roles = {name: spec.role.value for name, spec in specs.items()}
    # The code is an output and what the decoder begins with.
    assert {name: roles[name] for name in shapes} == {
        "in": "input",
        "code": "weight",
        "hidden": "weight",
        "out": "readout",
    }


def test_mixing_tokens_by_a_transform_leaves_the_weights_known():
    def apply(p, x):
        h = jnp.tanh(x @ p["in"] + p["bias"])
        h = h + jnp.fft.fft(h, axis=0).real
        return jnp.tanh(h @ p["hidden"]) @ p["out"]

    shapes = {"in": WEIGHT, "bias": VECTOR, "hidden": WEIGHT, "out": (4, 2)}
    doubts, specs = facts(apply, **shapes)
    assert not doubts
    assert [specs[name].fan_in for name in shapes] == [4, 4, 4, 4]


def test_a_print_is_no_use():
    def apply(p, x):
        jax.debug.print("{}", p["in"])
        h = jnp.tanh(x @ p["in"])
        jax.debug.callback(lambda h: None, h)
        return h @ p["out"]

    doubts, specs = facts(apply, **{"in": WEIGHT, "out": (4, 2)})
    assert not doubts
    assert [specs[name].role.value for name in ("in", "out")] == ["input", "readout"]
