"""Reductions inside a run: each against NumPy over the whole curve, and the runs that stop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import initlab
from initlab import networks, probes, reductions
from initlab.initializers import by_role, normal

AXES = {"seed": [0, 1], "rate": [0.1, 2.0, 30.0]}
STEPS = np.arange(0, 13, 2)
TIME = 6.0


def make(**changes):
    described = {"steps": 12, "every": 2, "probes": [probes.loss, probes.weight_norm]} | changes
    return initlab.make_run(
        networks.mlp((2, 3, 1), jnp.tanh),
        lambda p: by_role(normal(1.0)),
        initlab.tasks.xor(points=8),
        optimizer=lambda p: optax.sgd(p["rate"]),
        **described,
    )


def reduced(point):
    return {
        "under": reductions.first_below("loss", 0.6),
        "over": reductions.first_above("weight_norm", 3.0),
        "late": reductions.mean_of_last("loss", 3),
        "least": reductions.minimum("weight_norm"),
        "at_time": reductions.value_at("loss", TIME / point["rate"]),
    }


def first(happened):
    """Of booleans [..., steps]."""
    return np.where(happened.any(-1), STEPS[happened.argmax(-1)], -1)


def curves(results, name):
    dims = ("seed", "rate", *(("layer",) if "layer" in results[name].dims else ()), "step")
    return np.asarray(results[name].transpose(*dims))


@pytest.mark.quick
def test_each_is_what_numpy_makes_of_the_whole_curve():
    results = initlab.sweep(make(reductions=reduced), AXES, progress=False)
    loss, norm = curves(results, "loss"), curves(results, "weight_norm")
    got = {
        name: np.asarray(results[name]) for name in ("under", "over", "late", "least", "at_time")
    }
    np.testing.assert_array_equal(got["under"], first(loss < np.float32(0.6)))
    np.testing.assert_array_equal(got["over"], first(norm > 3))
    assert len(set(got["under"].ravel())) > 2
    assert results["over"].dims == ("seed", "rate", "layer")
    np.testing.assert_allclose(got["late"], loss[..., -3:].mean(-1), 1e-6)
    np.testing.assert_array_equal(got["least"], norm.min(-1))
    wanted = np.full(loss.shape[:2], np.nan, np.float32)
    for n, rate in enumerate(AXES["rate"]):
        if (reached := TIME / rate <= STEPS).any():
            wanted[:, n] = loss[:, n, reached.argmax()]
    np.testing.assert_array_equal(got["at_time"], wanted)


def test_a_run_that_is_done_changes_no_more_and_leaves_numbers_alone(tmp_path):
    whole = initlab.sweep(make(), AXES, progress=False)
    results = initlab.sweep(
        make(reductions=reduced, stop="under", curves=False),
        AXES,
        out=tmp_path / "numbers",
        progress=False,
    )
    assert "loss" not in results
    loss = curves(whole, "loss")
    done = first(loss < np.float32(0.6))
    assert (done >= 0).any()
    assert (done < 0).any()
    np.testing.assert_array_equal(results["under"], done)
    # From the event on the curve stays at its value.
    at = np.where(done < 0, len(STEPS) - 1, done // 2)
    held = np.take_along_axis(loss, np.minimum(np.arange(len(STEPS)), at[..., None]), -1)
    np.testing.assert_allclose(results["late"], held[..., -3:].mean(-1), 1e-5)
    # One run by itself, with its curve.
    seed, rate = np.argwhere((done >= 0) & (done < STEPS[-1]))[0]
    point = {"seed": AXES["seed"][seed], "rate": AXES["rate"][rate]}
    alone = make(reductions=reduced, stop="under")(point)
    np.testing.assert_allclose(alone.values["loss"], held[seed, rate], 1e-5)
    assert alone.reductions["under"] == done[seed, rate]


@pytest.mark.quick
def test_nan_is_below_nothing_and_no_minimum():
    curve = [3.0, np.nan, 1.0, 2.0]
    like, steps = jax.ShapeDtypeStruct((), np.float32), np.arange(4)
    wanted = {"b": (2, reductions.first_below("x", 2.5)), "m": (1.0, reductions.minimum("x")),
              "l": (1.5, reductions.mean_of_last("x", 2)),
              "at": (1.0, reductions.value_at("x", 1.5)),
              "never": (-1, reductions.first_above("x", 3.0))}  # fmt: skip
    for name, (want, each) in wanted.items():
        carry = each.start(like, steps)
        for step, value in zip(steps, curve, strict=True):
            carry = each.update(carry, jnp.int32(step), jnp.float32(value))
        assert each.result(carry) == want, name


@pytest.mark.quick
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"reductions": {"late": reductions.minimum("los")}}, ValueError,
         r"reductions\['late'\] is of 'los', which no probe measures; measured are \['loss'"),
        ({"reductions": {"loss": reductions.minimum("loss")}}, ValueError, "must not be named as"),
        ({"reductions": {"late": reductions.mean_of_last("loss", 8)}}, ValueError,
         "snapshots must be at most the run's 7, got 8"),
        ({"reductions": {"late": 3}}, TypeError, r"reductions\['late'\] must be an? .*Reduction"),
        ({"reductions": 3}, TypeError, "reductions must be a dict of Reductions, got 3"),
        ({"stop": "late"}, ValueError, "stop must name one of the reductions, got 'late' and no"),
        ({"reductions": reduced, "stop": "late"}, ValueError, "stop must name an event"),
        ({"reductions": reduced, "stop": "lat"}, ValueError, r"stop must name one of .*lat"),
    ],
)  # fmt: skip
def test_what_no_run_can_reduce_is_refused(changes, error, message):
    with pytest.raises(error, match=message):
        make(**changes)({"seed": 0, "rate": 0.5})
