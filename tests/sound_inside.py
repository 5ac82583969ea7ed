"""Sound starts whose parts lie inside the model: constants that scale units, numbers looked up."""

import jax
import jax.numpy as jnp
import numpy as np
from audit_models import CLASSES, WIDTH, he, lecun, normal, plain

DEGREES = np.random.default_rng(31).uniform(0.3, 1.0, (16, 1)).astype(np.float32)


def _scaled_by_degrees(params, x):
    """As a graph convolution divides its nodes by roots of their degrees, which are constants."""
    for weight in params[:-1]:
        x = jax.nn.relu(x @ weight) * DEGREES
    return x @ params[-1]


def _spline(params, x):
    """Each unit's slopes between its knots, all 1 at the start, looked up for each example."""
    h = x @ params["in"]
    place = jnp.clip(jnp.floor(h) + 2, 0, 3).astype(jnp.int32)
    slopes = jax.vmap(lambda own, at: own[at], (0, 1), 1)(params["slopes"], place)
    return (jnp.log1p(jnp.exp(slopes)) * h) @ params["out"]


INSIDE_SOUND = {
    "relus scaled by degrees": (
        plain(
            _scaled_by_degrees,
            [
                normal(n, shape, 1.5 * he(shape[0]))
                for n, shape in enumerate(
                    [(8, WIDTH)] * 1 + [(WIDTH, WIDTH)] * 3 + [(WIDTH, CLASSES)]
                )
            ],
        ),
        None,
        (),
    ),
    "slopes of a spline": (
        plain(
            _spline,
            {
                "in": normal(1, (8, WIDTH), lecun(8)),
                "slopes": np.full((WIDTH, 4), 0.54, np.float32),
                "out": normal(2, (WIDTH, CLASSES), lecun(WIDTH)),
            },
        ),
        None,
        (),
    ),
}
