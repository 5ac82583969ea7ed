"""The oracle of descent, on models whose descent is known."""

import jax.numpy as jnp
import numpy as np
import pytest
from descent_oracle import gradients_seen, moves, trains

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 8)).astype(np.float32)


def n(*shape):
    return (RNG.normal(size=shape) / shape[0] ** 0.5).astype(np.float32)


def low_rank(params, x):
    return x @ (params["w"] + params["a"] @ params["b"])


@pytest.mark.quick
def test_what_moves_is_what_descent_moves():
    zero = {"a": np.zeros((8, 2), np.float32), "b": np.zeros((2, 4), np.float32)}
    both = {"w": n(8, 4), "spare": n(3), **zero}
    assert moves(low_rank, both, X) == {"a": False, "b": False, "spare": False, "w": True}
    one = {"w": n(8, 4), **zero, "a": n(8, 2)}
    assert moves(low_rank, one, X) == {"a": True, "b": True, "w": True}


@pytest.mark.quick
def test_entries_that_see_no_data_are_told_apart():
    seen = gradients_seen(lambda p, x: x @ p["w"], {"w": n(8, 4)}, X * (np.arange(8) != 3)[None])
    np.testing.assert_array_equal(seen["w"].any(axis=1), np.arange(8) != 3)


@pytest.mark.quick
def test_what_trains_reduces_its_loss():
    def apply(params, x):
        return jnp.maximum(x @ params["w"] + params["b"][None], 0) @ params["out"]

    sound = {"w": n(8, 32), "b": np.zeros(32, np.float32), "out": n(32, 2)}
    assert trains(apply, sound, X)
    # All units are off, so that the outputs stay zero whatever the readout is.
    assert not trains(apply, sound | {"b": np.full(32, -50, np.float32)}, X)
    assert not trains(apply, sound, X, lambda y: jnp.mean(y**2) * 0 + 1)
