"""The coordinate check: slopes by hand, verdicts of known powers, the lab's networks and flax's."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from compiled_programs import counting
from coordinate_powers import FLAT, check_of
from scipy import stats

import initlab
from initlab import figures, initializers, networks, theory
from initlab.coordinates import (
    Slope,
    Subject,
    assert_coordinates_stable,
    coordinate_check,
    fit_slope,
    of_network,
    scale_by_width,
)
from initlab.theory import Growth, Optimizer, Parametrization

X = np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 10, 8)


def loss(logits):
    return optax.softmax_cross_entropy_with_integer_labels(logits, Y).mean()


@pytest.mark.quick
def test_a_slope_is_the_mean_of_the_seeds_with_student_s_interval():
    stream = np.random.default_rng(0)
    widths = [16, 64, 100, 512]
    measured = stream.lognormal(size=(4, 6)) * np.asarray(widths)[:, None] ** 0.7
    each = [np.polyfit(np.log(widths), np.log(column), 1)[0] for column in measured.T]
    slope = fit_slope(widths, measured)
    np.testing.assert_allclose(slope.value, np.mean(each), rtol=1e-12)
    interval = stats.t.interval(0.95, 5, np.mean(each), stats.sem(each))
    np.testing.assert_allclose(slope[1:], interval, rtol=1e-9)
    np.testing.assert_allclose(fit_slope(widths, 7 * measured), slope, rtol=1e-9)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_what_has_no_logarithm_has_no_slope(bad):
    assert np.isnan(fit_slope([1, 2], np.array([[1.0, 1.0], [1.0, bad]]))).all()


@pytest.mark.quick
@pytest.mark.parametrize(
    ("start", "change", "verdict"),
    [
        ({}, {}, "pass"),
        ({"out": -0.5}, {}, "pass"),
        ({"hidden": -0.5}, {}, "warn"),
        ({"hidden": 0.5}, {}, "fail"),
        ({"out": 0.5}, {}, "fail"),
        ({}, {"hidden": [0.5, 0.5]}, "fail"),
        ({}, {"out": [0, 1]}, "fail"),
        ({}, {"in": [-0.5, -0.5]}, "warn"),
        ({}, {"in": [0.1, -0.1]}, "pass"),
        ({}, {"in": [-0.5, -0.5], "out": [1, 1]}, "fail"),
    ],
)
def test_the_verdict_of_known_powers(start, change, verdict):
    steps = {name: [0, 0] for name in FLAT} | change
    check = check_of(FLAT | start, steps)
    assert check.verdict == verdict
    # Theory's verdict sees one step.
    last = {name: Growth((FLAT | start)[name], steps[name][-1]) for name in FLAT}
    assert check_of(FLAT, steps, predicted=last).predicted_verdict == verdict


@pytest.mark.quick
def test_what_seeds_cannot_tell_is_unclear():
    check = check_of(FLAT, {name: [0] for name in FLAT}, noise=2.0)
    assert check.verdict == "warn"
    assert {word for pair in check.findings.values() for word in pair} == {"unclear"}


def test_a_change_of_zero_and_one_that_is_not_finite_are_findings():
    check = check_of(FLAT, {name: [0, 0] for name in FLAT})
    check.change[..., 0] = 0
    check.change[..., 0, 1] = 0
    assert check.findings["in"] == ("flat", "is zero")
    # Behind a readout of zeros a layer moves from the second step on.
    assert check.findings["hidden"] == ("flat", "flat")
    assert check.verdict == "warn"
    check.change[0, 0, 1, 2] = np.inf
    assert check.findings["out"] == ("flat", "is not finite")
    assert check.verdict == "fail"


def test_the_distance_from_theory_is_the_largest_of_starts_and_first_steps():
    predicted = {"in": Growth(0.1, 0), "out": Growth(0, 0.3)}
    steps = {name: [0, 9] for name in FLAT}
    check = check_of(FLAT, steps, predicted=predicted)
    np.testing.assert_allclose(check.disagreement, 0.3, rtol=1e-9)
    assert not check.agrees
    assert check.predicted_verdict is None
    assert np.isnan(check_of(FLAT, steps).disagreement)


def test_an_assertion_shows_the_table():
    assert_coordinates_stable(check_of(FLAT, {name: [0] for name in FLAT}))
    with pytest.raises(AssertionError, match=r"hidden .*\+0.50 .* change grows"):
        assert_coordinates_stable(check_of(FLAT, {name: [0] for name in FLAT} | {"hidden": [0.5]}))


def test_sizes_by_hand():
    """A tanh layer and a readout in NumPy float64, two steps of gradient descent."""
    network = networks.mlp((2, 3, 10), jnp.tanh)
    initializer = initializers.by_role(initializers.normal(0.7))
    check = coordinate_check(
        lambda width: of_network(
            networks.mlp((2, width, 10), jnp.tanh), initializer, optax.sgd(0.5)
        ),
        [3, 5],
        X,
        loss,
        seeds=(4, 7),
        steps=2,
    )
    params = initlab.initialize(jax.random.key(7), network.specs, initializer)
    w, v = (np.asarray(params[name]["weight"], np.float64) for name in ("layer_1", "layer_2"))
    b, c = np.zeros(3), np.zeros(10)
    seen = []
    for _ in range(3):
        z = X @ w + b
        a = np.tanh(z)
        out = a @ v + c
        seen.append((z, out))
        share = np.exp(out) / np.exp(out).sum(1, keepdims=True)
        d_out = (share - np.eye(10)[Y]) / len(X)
        d_z = d_out @ v.T * (1 - a**2)
        w, b = w - 0.5 * X.T @ d_z, b - 0.5 * d_z.sum(0)
        v, c = v - 0.5 * a.T @ d_out, c - 0.5 * d_out.sum(0)

    def size(array):
        return np.sqrt(np.mean(array**2))

    for number in range(2):
        np.testing.assert_allclose(check.start[0, 1, number], size(seen[0][number]), rtol=1e-5)
        for step in (1, 2):
            moved = size(seen[step][number] - seen[0][number])
            np.testing.assert_allclose(check.change[0, 1, step - 1, number], moved, rtol=1e-4)

    # The first update of one role's parameters alone.
    assert check.own is not None
    assert check.roles == ("BIAS", "INPUT", "READOUT")
    share = np.exp(seen[0][1]) / np.exp(seen[0][1]).sum(1, keepdims=True)
    d_out = (share - np.eye(10)[Y]) / len(X)
    own = np.tanh(seen[0][0]).T @ d_out
    moved = size(0.5 * np.tanh(seen[0][0]) @ own)
    np.testing.assert_allclose(check.own[0, 1, 2], [0, moved], rtol=1e-4)


def test_a_second_check_of_the_same_subjects_compiles_nothing():
    make = functools.cache(make_any)

    def check(number):
        return coordinate_check(make, [4, 8], X + number, loss, seeds=(number, 7), steps=2)

    with counting() as first:
        before = check(0)
    with counting() as second:
        after = check(1)
    assert first.programs > 0
    assert second.programs == 0
    assert (after.start != before.start).all()


class FlaxMLP(nn.Module):
    width: int
    readout: float

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(self.width, name="first")(x))
        x = nn.relu(nn.Dense(self.width, name="second")(x))
        small = nn.initializers.variance_scaling(self.readout, "fan_in", "normal")
        return nn.Dense(10, kernel_init=small, name="third")(x)


def flax_subject(width, parametrization):
    def parts(width):
        share = 1 / width if parametrization is Parametrization.MUP else 1.0
        model = FlaxMLP(width, share)
        return model, lambda key: model.init(key, X)["params"]

    def layers(params, x) -> Any:
        _, seen = model.apply({"params": params}, x, capture_intermediates=True)
        return {name: seen["intermediates"][name]["__call__"][0] for name in params}

    def specs(width):
        model, init = parts(width)

        def apply(params, x) -> Any:
            return model.apply({"params": params}, x)

        return networks.adopt(init, apply, X).specs

    model, init = parts(width)
    by_width = scale_by_width(specs(width), specs(128), parametrization, Optimizer.ADAM)
    return Subject(init, layers, optax.chain(optax.adam(1e-4), by_width))


@pytest.mark.parametrize(
    ("parametrization", "verdict"),
    [
        pytest.param(Parametrization.STANDARD, "fail", marks=pytest.mark.thorough),
        (Parametrization.MUP, "pass"),
    ],
)
def test_a_flax_model_under_adam(parametrization, verdict):
    # optax's Adam mixes integers and floats.
    with jax.numpy_dtype_promotion("standard"):
        check = coordinate_check(
            lambda width: flax_subject(width, parametrization),
            [128, 1024],
            X,
            loss,
            seeds=range(16),
            steps=1,
            predicted=theory.growth(parametrization, Optimizer.ADAM),
            # Two widths and few seeds: the interval of a slope is wide.
            tolerance=0.2,
        )
    assert check.layers == ("first", "second", "third")
    assert check.agrees, check
    assert check.verdict == check.predicted_verdict == verdict, check


def test_networks_of_different_depth_are_compared_by_place():
    def make(depth):
        def init(key):
            return jax.random.normal(key, (2, 10)), jnp.ones((depth, 10))

        def layers(params, x):
            outputs = {"layer 0": x @ params[0]}
            for number in range(depth):
                outputs[f"layer {number + 1}"] = (
                    outputs[f"layer {number}"] * params[1][number : number + 1]
                )
            return outputs

        return Subject(init, layers, optax.sgd(0.1))

    check = coordinate_check(make, [1, 4], X, loss, seeds=range(2), steps=1, axis="depth")
    assert check.layers == ("first", "middle", "last", "output")
    assert (check.start[0, :, 0] == check.start[0, :, 2]).all()
    assert (check.start[0] == check.start[1]).all()
    # Every layer that is passed adds a change of its own.
    assert (check.change[1, :, 0, 3] > check.change[1, :, 0, 2]).all()


def test_the_picture_shows_medians_and_theory():
    check = check_of(
        FLAT, {name: [0, 0.5] for name in FLAT}, noise=0.1, predicted={"out": Growth(0, 1)}
    )
    axes = figures.draw_coordinates({"a model": check.to_dataset()}).axes
    assert len(axes) == 3
    assert axes[0].get_title().startswith("a model: fail")
    drawn = np.asarray(axes[2].lines[1].get_ydata())
    np.testing.assert_allclose(drawn, np.median(check.change[:, :, 1, 1], axis=1))
    theory_line = np.asarray(axes[1].lines[-1].get_ydata())
    np.testing.assert_allclose(theory_line[1] / theory_line[0], 4)


def make_any(width):
    return of_network(networks.mlp((2, width, 10), jnp.tanh), initializers.ntk(), optax.sgd(0.1))


def make_one_layer(width):
    return of_network(networks.mlp((2, 10), jnp.tanh), initializers.ntk(), optax.sgd(0.1))


@pytest.mark.quick
@pytest.mark.parametrize(
    ("make", "widths", "more", "error", "message"),
    [
        (3, [2, 4], {}, TypeError, "make must be a function"),
        (make_any, [4], {}, ValueError, "widths must hold at least two, all different"),
        (make_any, [4, 4], {}, ValueError, "widths must hold at least two, all different"),
        (make_any, [0, 4], {}, ValueError, "widths must be at least 1, got 0"),
        (make_any, [2.5, 4], {}, TypeError, r"widths\[0\] must be an integer"),
        (make_any, [2, 4], {"seeds": [1]}, ValueError, "seeds must hold at least two"),
        (make_any, [2, 4], {"seeds": [1, 2, 1]}, ValueError, r"all different, got \[1, 2, 1\]"),
        (make_any, [2, 4], {"steps": 0}, ValueError, "steps must be at least 1"),
        (make_any, [2, 4], {"tolerance": -0.1}, ValueError, "tolerance must be at least 0"),
        (make_one_layer, [2, 4], {}, ValueError, "at least two layers"),
    ],
)
def test_bad_arguments_are_refused(make, widths, more, error, message):
    with pytest.raises(error, match=message):
        coordinate_check(make, widths, X, loss, **({"steps": 1, "seeds": (0, 1)} | more))


def test_slopes_want_sizes_and_seeds():
    with pytest.raises(ValueError, match="at least two different ones"):
        fit_slope([4, 4], np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"measured must be \[2, seeds >= 2\], got \(2, 1\)"):
        fit_slope([4, 8], np.ones((2, 1)))
    assert fit_slope([4, 8], np.ones((2, 2))) == Slope(0, 0, 0)
