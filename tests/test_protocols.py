"""One protocol for all initializers, and one for all objectives."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from initializer_tables import ALL, DETERMINISTIC, small_spec

from initlab import initializers as I  # noqa: N812
from initlab import objectives
from initlab.types import Objective

# Those in the tables hide a scheme's own signature where they draw for another role.
BARE = {
    **{name: lambda name=name: ALL[name] for name in ALL if ":" not in name},
    "critical": lambda: I.critical(jnp.tanh),
    "choice": lambda: I.choice(0, [I.zeros(), I.unit_normal]),
}
OBJECTIVES = {
    name: value for name, value in vars(objectives).items() if isinstance(value, Objective)
}
ROWS, RUNS = 6, 3


@functools.cache
def every_draw():
    """The draws of every scheme under RUNS keys: one program, compiled and mapped over keys."""

    # Not the generator that compiles fastest: under vmap its bits are those of the first key.
    def draw(key):
        return {name: scheme(key, small_spec(name)) for name, scheme in ALL.items()}

    keys = jax.random.split(jax.random.key(5), RUNS)
    return keys, jax.device_get(jax.jit(jax.vmap(draw))(keys))


@pytest.mark.parametrize("name", BARE)
def test_an_initializer_takes_a_key_and_a_spec(name):
    assert list(inspect.signature(BARE[name]()).parameters) == ["key", "spec"]


@pytest.mark.parametrize("name", ALL)
def test_an_initializer_may_be_compiled_and_mapped_over_keys(name):
    keys, draws = every_draw()
    spec = small_spec(name)
    assert draws[name].shape == (RUNS, *spec.shape)
    assert draws[name].dtype == spec.dtype
    for key, mapped in zip(keys, draws[name], strict=True):
        alone = ALL[name](key, spec)
        # Compiled, sums and roots are fused: the last bits differ.
        np.testing.assert_allclose(mapped, alone, rtol=1e-5, atol=2e-6)
    if name not in DETERMINISTIC:
        assert not np.array_equal(draws[name][0], draws[name][1])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_has_the_arguments_of_every_other(name):
    names = {
        field: list(inspect.signature(getattr(OBJECTIVES[name], field)).parameters)
        for field in ("loss", "metric", "constant_loss", "outputs")
    }
    assert names == {
        "loss": ["logits", "y"],
        "metric": ["logits", "y"],
        "constant_loss": ["y"],
        "outputs": ["y"],
    }


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_an_objective_returns_the_shapes_and_dtypes_of_every_other(name, dtype):
    objective = OBJECTIVES[name]
    y = np.arange(ROWS) % 2
    outputs, constant = objective.outputs(y), objective.constant_loss(y)
    assert (type(outputs), type(constant)) == (int, float)
    logits = jax.random.normal(jax.random.key(0), (RUNS, ROWS, outputs), dtype)

    def score(z):
        return {
            "loss": objective.loss(z, y),
            "metric": objective.metric(z, y),
            "link": objective.link(z),
            "predict": objective.predict(z),
        }

    mapped = jax.jit(jax.vmap(score))(logits)
    shapes = {"loss": (), "metric": (), "link": (ROWS, outputs), "predict": (ROWS,)}
    for field, shape in shapes.items():
        assert mapped[field].shape == (RUNS, *shape), field
        # Labels are class numbers; all else keeps the logits' dtype.
        is_label = field == "predict" and objective is not objectives.regression
        assert mapped[field].dtype == (jnp.int32 if is_label else dtype), field
    eps = float(jnp.finfo(dtype).eps)
    for number in range(RUNS):
        for field, value in score(logits[number]).items():
            np.testing.assert_allclose(
                np.asarray(mapped[field][number], float),
                np.asarray(value, float),
                rtol=8 * eps,
                atol=8 * eps,
                err_msg=field,
            )


def test_every_objective_is_held_to_the_protocol():
    assert set(OBJECTIVES) == {"binary", "softmax", "regression"}
    assert set(OBJECTIVES) <= set(objectives.__all__)
