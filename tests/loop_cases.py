"""What runs programs of its own, and what changes nothing: functions, groups and shapes."""

import jax
import jax.numpy as jnp
from jax import custom_batching, lax
from jax.ad_checkpoint import checkpoint_name

from initlab import networks

HIDDEN = "4: a 1, b 0"
ONE = {"b": (4, 2)}


@jax.custom_jvp
def _forward(z):
    return jnp.sin(z)


@jax.custom_vjp
def _backward(z):
    return jnp.sin(z)


_forward.defjvp(lambda at, to: (jnp.sin(at[0]), to[0]))
_backward.defvjp(lambda z: (jnp.sin(z), None), lambda _, cotangent: (cotangent,))
_mapped = custom_batching.custom_vmap(jnp.sin)
_mapped.def_vmap(lambda size, batched, z: (jnp.sin(z), batched[0]))
_composite = lax.composite(lambda z: jnp.sin(z), name="initlab.sine")


def _recurrent(z, w, c, b):
    """The state passes through w; c gives each step an input, in order."""

    def step(h, c):
        h = jnp.tanh(h @ w + c[None])
        return h, jnp.sum(h, 1)

    h, sums = lax.scan(step, z, c)
    return h @ b, sums


def _stacked(z, w, b):
    return lax.scan(lambda h, w: (jnp.tanh(h @ w[0] @ w[1]), None), z, w)[0] @ b


def _until(z, w, b):
    def more(state):
        number, h = state
        return (number < 3) & (jnp.max(h) < 10)

    return lax.while_loop(more, lambda state: (state[0] + 1, state[1] @ w), (0, z))[1] @ b


def _branches(z, w, b):
    """One branch cumulates over the units of w, the other mixes them."""
    h = z @ w
    return lax.cond(jnp.sum(z) > 0, lambda h: jnp.cumsum(h, 1), jnp.tanh, h) @ b


def _linear(z, b):
    def double(scale, h):
        return 2 * scale * h

    return jax.custom_derivatives.linear_call(double, double, z, z) @ b


def _lab(z, b, c):
    params = {"layer_1": {"weight": b, "bias": c}}
    return networks.mlp((4, 2), jnp.tanh).apply(params, z)


def _lab_gradients(z, b, c):
    def loss(params):
        return jnp.sum(networks.mlp((4, 3, 2), jnp.tanh).apply(params, z))

    bias = jnp.zeros(3), jnp.zeros(2)
    layers = [{"weight": w, "bias": v} for w, v in zip((b, c), bias, strict=True)]
    gradient = jax.grad(loss)({"layer_1": layers[0], "layer_2": layers[1]})
    return jax.tree.map(jnp.sum, gradient)


LAB = ("4: a 1, b 0; 3: b 1, c 0; 2: c 1", {"b": (4, 3), "c": (3, 2)})
LOOP_CASES = {
    "composite": (lambda z, b: _composite(z) @ b, HIDDEN, ONE),
    "cond": (_branches, "4: a 1, w 0", {"w": (4, 3), "b": (3, 2)}),
    "copy": (lambda z, b: jnp.copy(z) @ b, HIDDEN, ONE),
    "custom_jvp_call": (lambda z, b: _forward(z) @ b, HIDDEN, ONE),
    "custom_vjp_call": (lambda z, b: _backward(z) @ b, HIDDEN, ONE),
    "custom_vmap_call": (lambda z, b: _mapped(z) @ b, HIDDEN, ONE),
    "device_put": (lambda z, b: jax.device_put(z) @ b, HIDDEN, ONE),
    "jit": (lambda z, b: jax.jit(jnp.matmul)(z, b), HIDDEN, ONE),
    "linear_call": (_linear, HIDDEN, ONE),
    "name": (lambda z, b: checkpoint_name(z, "z") @ b, HIDDEN, ONE),
    "optimization_barrier": (lambda z, b: lax.optimization_barrier((b, z))[1] @ b, HIDDEN, ONE),
    "remat2": (lambda z, b: jax.checkpoint(jnp.matmul)(z, b), HIDDEN, ONE),
    "scan": (
        _recurrent,
        "4: a 1, w 0, w 1, c 1, b 0",
        {"w": (4, 4), "c": (3, 4), "b": (4, 2)},
    ),
    "scan over layers": (
        _stacked,
        "4: a 1, w 2; 4: w 3, w 2; 4: w 3, b 0",
        {"w": (3, 2, 4, 4), "b": (4, 2)},
    ),
    "stop_gradient": (lambda z, b: lax.stop_gradient(z) @ b, HIDDEN, ONE),
    "sum_over_inputs": (_lab, HIDDEN, {"b": (4, 2), "c": (2,)}),
    "sum_over_outputs": (_lab_gradients, *LAB),
    "sum_over_examples": (_lab_gradients, *LAB),
    "while": (_until, "4: a 1, w 0, w 1, b 0", {"w": (4, 4), "b": (4, 2)}),
}
