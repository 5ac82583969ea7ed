"""Which arrays are draws, what several keys say of an init, and an optimizer's first step."""

import dataclasses
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from audit_models import CLASSES, ROWS, WIDTH, cross_entropy, layers, lecun, tanh_net
from draw_models import hippo, positions
from faults_draws import init_layers

import initlab
from initlab.audits.coarse import find_coarse
from initlab.audits.draws import is_draw
from initlab.audits.duplicates import find_duplicates
from initlab.audits.thresholds import Thresholds

RNG = np.random.default_rng(0)
N = np.arange(16.0)

TABLES = {
    "log(n)": np.log(N + 1),
    "log(n) for each unit": np.tile(np.log(N + 1), (32, 1)),
    "log(n), nine states": np.tile(np.log(N[:9] + 1), (32, 1)),
    "HiPPO-LegS": hippo(16),
    "HiPPO-LegS, 64": hippo(64),
    "positions": positions(16, 8),
    "positions, transposed": positions(64, 32).T,
    "slopes of ALiBi": 2.0 ** -(N + 1),
    "frequencies of RoPE": 1e4 ** (-N / 16),
    "a Fourier matrix": np.cos(2 * np.pi * np.outer(N, N) / 16),
    "a cosine transform": np.cos(np.pi * np.outer(N + 0.5, N) / 16),
    "a diagonal": np.diag(N + 1),
    "signs that alternate": (-1.0) ** N * np.sqrt(2 * N + 1),
    "a bump": np.exp(-((N - 8) ** 2) / 8),
    "distances": -abs(N[:, None] - N),
    "a grid": np.stack(np.meshgrid(N, N), axis=-1).reshape(-1, 2),
    "an identity": np.eye(16),
}

DRAWS = {
    "normal": RNG.normal(size=(16, 16)),
    "log-normal": np.exp(2 * RNG.normal(size=64)),
    "a vector of 16": RNG.normal(size=16),
    "sparse": RNG.normal(size=(16, 16)) * (RNG.uniform(size=(16, 16)) < 0.3),
    "a scale for each row": RNG.normal(size=(16, 16)) * np.linspace(0.1, 3, 16)[:, None],
    "orthogonal": np.linalg.qr(RNG.normal(size=(32, 32)))[0],
    "looks-linear": np.kron(RNG.normal(size=(8, 8)), [[1, -1], [-1, 1]]),
    "a forget gate's bias": np.repeat([0.0, 1.0, 0.0, 0.0], 16) + RNG.uniform(-0.1, 0.1, 64),
    "sub-pixel kernels": np.repeat(RNG.normal(size=(3, 3, 4, 8)), 4, axis=-1),
    "a random diagonal": np.diag(RNG.normal(size=32)),
    "a row for each unit": np.tile(RNG.normal(size=32), (8, 1)),
    "multiples of 1/128": np.floor(128 * RNG.uniform(size=(32, 32))) / 128,
}


@pytest.mark.quick
@pytest.mark.parametrize("name", TABLES)
def test_tables_are_no_draws_and_may_be_shared(name):
    table = TABLES[name]
    assert not is_draw(table)
    assert find_duplicates([("a", table), ("b", 2 * table)], 0.999) == []


@pytest.mark.quick
@pytest.mark.parametrize("name", DRAWS)
def test_draws_are_draws(name):
    assert is_draw(DRAWS[name])


def test_no_draw_of_thousands_is_taken_for_a_table():
    rng = np.random.default_rng(1)
    shapes = [(16,), (32,), (4, 4), (8, 8), (5, 7), (16, 32), (2, 3, 4, 4), (20, 1)]
    laws = [rng.normal, rng.uniform, rng.standard_exponential, rng.standard_cauchy]
    tables = [
        (shape, law)
        for shape in shapes
        for law in laws
        for _ in range(100)
        if not is_draw(law(size=shape))
    ]
    assert tables == []


@pytest.mark.quick
@pytest.mark.parametrize("other", ["uniform", "truncated_normal"])
def test_one_key_is_seen_through_different_distributions(other):
    key = jax.random.key(0)
    schemes = [
        jax.nn.initializers.variance_scaling(1.0, "fan_in", law) for law in ("normal", other)
    ]
    one, two = (np.asarray(scheme(key, (16, 16))) for scheme in schemes)
    assert [names for names, _ in find_duplicates([("one", one), ("two", two)], 0.999)] == [
        ["one", "two"]
    ]
    fresh = np.asarray(schemes[1](jax.random.key(1), (16, 16)))
    assert find_duplicates([("one", one), ("two", fresh)], 0.999) == []


@pytest.mark.quick
@pytest.mark.parametrize(
    ("dtype", "rounded", "is_coarse"),
    [
        (jnp.bfloat16, False, True),
        (jnp.bfloat16, True, False),
        (jnp.float16, False, False),
        (jnp.float32, True, False),
        (jnp.float8_e4m3fn, True, False),
    ],
)
@pytest.mark.parametrize("law", ["normal", "uniform"])
def test_coarse_draws_are_told_from_rounded_ones(dtype, rounded, is_coarse, law):
    draw = getattr(jax.random, law)
    x = draw(jax.random.key(0), (32, 32), jnp.float32 if rounded else dtype).astype(dtype)
    found = find_coarse([("w", np.asarray(x))], Thresholds())
    assert [each.path for each in found] == (["w"] if is_coarse else [])


def test_equal_starts_are_one_start():
    report = initlab.audit(tanh_net, None, ROWS, init=lambda key: layers(lecun))
    assert (report.seeds, report.verdict) == (1, "warn")
    assert "seeds" not in str(report).splitlines()[0]
    (found,) = [each for each in report.findings if each.code == "ignores_key"]
    assert (found.place, found.value, found.threshold) == ("init", 1, 16)
    # Of equal keys equal starts are to be expected.
    keys = jnp.stack([jax.random.key(0)] * 3)
    report = initlab.audit(tanh_net, None, ROWS, init=init_layers, keys=keys)
    assert not [each for each in report.findings if each.code == "ignores_key"]


def test_few_starts_of_many_keys_are_counted():
    def init(key):
        return init_layers(jax.random.key(jax.random.bits(key) % 2))

    report = initlab.audit(tanh_net, None, ROWS, init=init)
    (found,) = [each for each in report.findings if each.code == "ignores_key"]
    assert (found.place, found.value, found.threshold) == ("init", 2, 16)


def test_a_first_update_is_what_training_does():
    params, optimizer = layers(lecun), optax.sgd(0.1, momentum=0.9)
    report = initlab.audit(tanh_net, params, ROWS, loss=cross_entropy, optimizer=optimizer)
    step = report.first_update
    assert step is not None
    gradient = jax.grad(lambda p: cross_entropy(tanh_net(p, ROWS)))(params)
    changed = jax.tree.map(lambda w, g: w - 0.1 * g, params, gradient)
    before, after = (cross_entropy(tanh_net(p, ROWS)) for p in (params, changed))
    np.testing.assert_allclose((step.loss_before, step.loss_after), [[before], [after]], rtol=1e-5)
    square = sum(0.1 * float(jnp.sum(g**2)) for g in jax.tree.leaves(gradient))
    descent = sum(float(each.descent[0]) for each in step.weights.values())
    np.testing.assert_allclose(descent, square, rtol=1e-5)
    weight, change = params[1]["w"], 0.1 * gradient[1]["w"]
    ratio = np.sqrt(np.mean(change**2) / np.mean(weight**2))
    np.testing.assert_allclose(step.weights["1/w"].update_ratio, [ratio], rtol=1e-5)
    assert not step.normalizes[0]
    assert math.isnan(step.weights["1/w"].under_epsilon[0])
    text = str(report)
    assert max(map(len, text.splitlines())) <= 100
    assert "first update: loss" in text
    assert "first update: loss" in report._repr_html_()
    said = json.loads(report.to_json())["first_update"]
    assert said["weights"]["1/w"]["update_ratio"] == pytest.approx(ratio, rel=1e-5)


@pytest.mark.parametrize("eps", [1e-8, 1e-6])
def test_the_share_under_epsilon_is_counted_without_being_told_epsilon(eps):
    with jax.numpy_dtype_promotion("standard"):
        params, scale = layers(lecun), 1e-5
        optimizer = optax.adam(1e-3, eps=eps)
        loss = lambda y: scale * cross_entropy(y)  # noqa: E731
        report = initlab.audit(tanh_net, params, ROWS, loss=loss, optimizer=optimizer)
    gradient = jax.grad(lambda p: scale * cross_entropy(tanh_net(p, ROWS)))(params)[1]["w"]
    assert report.first_update is not None
    measured = report.first_update.weights["1/w"].under_epsilon
    np.testing.assert_allclose(measured, [np.mean(abs(gradient) < eps)], atol=2e-3)


def test_first_updates_of_several_seeds_have_their_own_numbers():
    report = initlab.audit(
        tanh_net, None, ROWS, init=init_layers, keys=jax.random.split(jax.random.key(0), 3),
        loss=cross_entropy, optimizer=optax.sgd(1e3),
    )  # fmt: skip
    assert report.first_update is not None
    assert len(set(report.first_update.loss_after.tolist())) == 3
    (found,) = [each for each in report.findings if each.code == "first_update"]
    assert found.interval is not None
    np.testing.assert_array_equal(report.first_update.loss_before, report.loss)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"optimizer": optax.sgd(0.1)}, ValueError, "optimizer requires loss"),
        ({"optimizer": 0.1, "loss": cross_entropy}, TypeError, "optax.GradientTransformation"),
    ],
)
def test_bad_optimizers_are_refused(more, error, message):
    with pytest.raises(error, match=message):
        initlab.audit(tanh_net, layers(lecun), ROWS, **more)


@pytest.mark.quick
def test_a_report_without_an_optimizer_has_no_first_update():
    report = initlab.audit(tanh_net, layers(lecun, (8, WIDTH, CLASSES)), ROWS)
    assert report.first_update is None
    assert json.loads(report.to_json())["first_update"] is None
    assert dataclasses.replace(report).first_update is None
