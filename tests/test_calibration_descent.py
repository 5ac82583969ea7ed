"""Scales learned by descent: in every dtype, with swept numbers, past steps that are not finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_calibration import KEY, X, draw, loss, plain

from initlab.calibration import gradinit, metainit


def test_a_step_that_is_not_finite_is_not_kept():
    """|w| begins outside of the bound; the first scale within it has a loss of NaN."""

    def square_but_for_a_hole(y):
        return jnp.sum(jnp.where((y > 0.44) & (y < 0.46), jnp.nan, jnp.square(y)))

    def scaled(params, x):
        return x * params

    found = gradinit(
        KEY, scaled, jnp.ones(1), jnp.ones(1), loss=square_but_for_a_hole, step_size=0.25,
        bound=1.9, steps=6, learning_rate=0.1,
    )  # fmt: skip
    assert not 0.44 < found[0] / 2 < 0.46
    assert found[0] < 0.5


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float64])
@pytest.mark.parametrize("refine", [metainit, gradinit])
def test_gradients_are_followed_in_every_dtype(refine, dtype):
    with jax.enable_x64(dtype == jnp.float64):
        params = [jnp.asarray(weight, dtype) for weight in draw(2.0, width=4, layers=2)]
        x = jnp.asarray(X, dtype)
        # A trace is enough for types; compiling it would take seconds.
        found = jax.eval_shape(lambda params: refine(KEY, plain, params, x, loss=loss), params)
        assert [weight.dtype for weight in found] == [dtype, dtype]


def test_the_numbers_of_a_descent_can_be_swept():
    params = draw(2.0, width=4, layers=2)

    def refined(rate, size, bound, momentum):
        return gradinit(
            KEY, plain, params, X, loss=loss, steps=3, learning_rate=rate, step_size=size,
            bound=bound, momentum=momentum,
        )  # fmt: skip

    points = (0.01, 0.1, 1.0, 0.5), (0.1, 0.2, 3.0, 0.9)
    swept = jax.vmap(refined)(*jnp.asarray(points).T)
    for both, alone in zip(swept, refined(*points[1]), strict=True):
        np.testing.assert_allclose(both[1], alone, rtol=1e-5)
        assert not np.allclose(both[0], both[1])
