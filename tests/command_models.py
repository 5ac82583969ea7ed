"""Factories for the command line."""

import jax
import jax.numpy as jnp
from audit_models import ROWS, layers, lecun, normal, tanh_net


def sound():
    return {"apply": tanh_net, "params": layers(lecun), "batch": ROWS}


def failing():
    print("a model that prints")
    return {"apply": tanh_net, "params": layers(lambda i: 100.0), "batch": ROWS}


def spare():
    """A warning."""
    given = sound()
    return given | {
        "apply": lambda params, x: tanh_net(params["net"], x),
        "params": {"net": given["params"], "spare": normal(9, (3, 3), 1.0)},
    }


def drawn():
    def init(key):
        return jax.random.normal(key, (8, 8)) / 8**0.5

    return {"apply": lambda w, x: jnp.tanh(x @ w), "init": init, "batch": ROWS}


def broken():
    return {"apply": lambda params, x: 1 / 0, "params": layers(lecun), "batch": ROWS}


def incomplete():
    return {"apply": tanh_net}


def unnamed():
    return tanh_net, layers(lecun), ROWS


def misspelled():
    return {"apply": tanh_net, "params": layers(lecun), "Batches": ROWS}


def unknown():
    return sound() | {"rng": 0}


def without_params():
    return {"apply": tanh_net, "batch": ROWS}
