"""Maps of trainability: a run against NumPy, tiles that resume, pixels, borders, tables."""

import dataclasses
import json
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray
from forks import run_module
from smoke_checks import NO_CACHE

import initlab
from experiments.trainability_map import maps, places, runs, tables
from experiments.trainability_map.figure import draw_maps
from initlab.initializers import initialize, ntk
from initlab.sweeps import computation, resume

SMALL = dataclasses.replace(
    tables.PUBLISHED_SETTING, width=3, inputs=4, steps=24, examples=10, reduction="steps_to_half"
)
AXES = ("learning_rate_1", "sigma_w_2")


@pytest.fixture(scope="module")
def run():
    return runs.make_map_run(SMALL, AXES, "tanh", "float32", 1)


def by_hand(seed, rate, sigma):
    """Gradient descent on theta in float64, tanh(sqrt(2/n) x theta_1) theta_2 / width.

    The ratio of losses, and the first step with under half of the best constant's.
    """
    draw = np.random.default_rng(0)
    x, y = draw.standard_normal((10, 4)), draw.standard_normal(10)
    specs = initlab.networks.mlp((4, 3, 1), jnp.tanh).specs
    drawn = initialize(jax.random.key(seed), specs, ntk())
    first = np.asarray(drawn["layer_1"]["weight"], float) * 4**0.5
    second = np.asarray(drawn["layer_2"]["weight"], float)[:, 0] * 3**0.5 * sigma
    scale, losses = (2 / 4) ** 0.5, []
    for _ in range(25):
        hidden = np.tanh(scale * x @ first)
        residual = hidden @ second / 3 - y
        losses.append(np.mean(residual**2))
        back = 2 * residual / len(y) / 3
        inner = np.outer(back, second) * (1 - hidden**2)
        first -= rate * scale * x.T @ inner
        # Its own rate is the one that is no axis.
        second -= 1.0 * hidden.T @ back
    below = np.asarray(losses) < np.var(y) / 2
    return np.mean(losses[-21:-1]) / losses[0], int(np.argmax(below)) if below.any() else -1


@pytest.mark.parametrize("point", [(0, 0.3, 1.0), (2, 10.0, 10.0), (2, 0.01, 0.2)])
def test_a_run_is_gradient_descent_in_the_published_parametrization(run, point):
    seed, rate, sigma = point
    found = run.function({"seed": seed, AXES[0]: rate, AXES[1]: sigma})
    ratio, step = by_hand(seed, rate, sigma)
    np.testing.assert_allclose(found.values["loss_ratio"][0], ratio, rtol=2e-4)
    assert found.reductions["reduced"] == step


def test_an_interrupted_map_resumes_to_the_same_bits(run, tmp_path, monkeypatch):
    axes = {AXES[1]: [0.5, 1.0, 2.0], AXES[0]: np.geomspace(0.1, 1000, 4), "seed": range(4)}
    alone = {"block": 16, "devices": jax.devices()[:1], "progress": False}
    real = computation.compute_chunks

    def interrupted(*arguments):
        yield next(real(*arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr("initlab.sweeps.run_sweep.CHUNK_BLOCKS", 1)
    monkeypatch.setattr(resume, "compute_chunks", interrupted)
    with pytest.raises(KeyboardInterrupt, match="16 of 48 runs are kept"):
        initlab.sweep(run, axes, out=tmp_path / "map", **alone)
    monkeypatch.setattr(resume, "compute_chunks", real)
    resumed = initlab.sweep(run, axes, out=tmp_path / "map", **alone)
    whole = initlab.sweep(run, axes, **alone)
    for name in ("loss_ratio", "relative_loss", "first_nonfinite_step", "reduced"):
        assert resumed[name].values.tobytes() == whole[name].values.tobytes()
    assert len(set(whole["loss_ratio"].values.ravel())) > 40


@pytest.mark.thorough
def test_a_killed_map_resumes_to_the_same_bits(tmp_path):
    command = [
        sys.executable, "-m", "experiments.trainability_map", "--pixels=128", "--seeds=4",
        "--steps=40", "--out",
    ]  # fmt: skip
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen([*command, killed], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    until = time.monotonic() + 120
    while not [*killed.glob("sweeps/zoom_0.zarr/progress/*.json")]:
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (killed / "summary.json").exists()
    for out in (killed, whole):
        subprocess.run([*command, out], check=True, capture_output=True)
    resumed, computed = (
        xarray.open_zarr(out / "results.zarr", consolidated=False).load() for out in (killed, whole)
    )
    for name, values in computed.variables.items():
        assert resumed.variables[name].values.tobytes() == values.values.tobytes()


def test_pixels_lie_evenly_in_their_coordinate():
    place = places.place_pixels("sigma_w_1", 0.5, 3.0, 4, "float32")
    np.testing.assert_allclose(place.coordinate, [-1, 0, 1, 2])
    np.testing.assert_array_equal(place.value, np.asarray([0.1, 1, 10, 100], np.float32))
    place = places.place_pixels("depth", 3.0, 4.0, 100, "float32")
    assert place.value.tolist() == place.coordinate.tolist() == [1, 2, 3, 4, 5]
    assert places.place_pixels("offset", 0.0, 2.0, 3, "float32").value.tolist() == [-1, 0, 1]
    fine = places.place_pixels("learning_rate", 0.0, 1e-9, 8, "float64")
    assert np.unique(fine.value).size == 8


@pytest.mark.parametrize(
    ("name", "center", "span", "words"),
    [
        ("learning_rate", 0.0, 1e-7, "pixels of learning_rate must differ in float32"),
        ("sigma_w", 300.0, 1.0, "sigma_w must fit float32, got 10"),
        ("sigma_w", -300.0, 1.0, "sigma_w must fit float32, got 10"),
        ("depth", 1.0, 4.0, "depth must be at least 1, got -1"),
    ],
)
def test_pixels_that_runs_cannot_tell_apart_are_refused(name, center, span, words):
    with pytest.raises(ValueError, match=words):
        places.place_pixels(name, center, span, 8, "float32")


@pytest.fixture(scope="module")
def swept():
    """Runs that train below a line, which seeds shift; two dtypes differ by one run."""
    x, y = np.linspace(-1, 1, 32), np.linspace(-1, 1, 20)
    height = y[:, None, None] - x[:, None] / 2 - np.array([-0.2, 0.0, 0.2])
    ratio = np.where(height < 0, 0.5, 2.0)
    ratio[-1, -1, 0] = np.nan
    other = ratio.copy()
    other[0, 0, 0] = 2.0
    both = np.stack([ratio, other])[None, ..., None]
    dims = ("activation", "dtype", "learning_rate", "sigma_w", "seed", "step")
    broke = np.where(np.isnan(both[..., 0]), 7, -1)
    results = xarray.Dataset(
        {
            "loss_ratio": (dims, both),
            "relative_loss": (dims, both),
            "first_nonfinite_step": (dims[:-1], broke),
            "reduced": (dims[:-1], np.where(both[..., 0] < 1, 3, -1)),
        },
        {
            "activation": ["tanh"],
            "dtype": ["float32", "float64"],
            "sigma_w": 10**x,
            "learning_rate": 10**y,
            "step": [0],
            "layer": ["layer_1"],
        },
    )
    return results, places.Place("sigma_w", x, 10**x), places.Place("learning_rate", y, 10**y)


def reduced(swept):
    results, x, y = swept
    return maps.reduce_runs(results, x, y, "ratio", 0.5)


def test_maps_are_shares_and_medians_however_many_rows_are_read_together(swept, monkeypatch):
    found = reduced(swept)
    ratio = swept[0]["loss_ratio"].values[..., 0]
    np.testing.assert_allclose(found["p_train"], (ratio < 1).mean(-1), rtol=1e-6)
    assert found["relative_loss"].values[0, 0, -1, -1] == 2
    assert (found["first_nonfinite_step"] >= 0).sum() == 2
    assert found["first_nonfinite_step"].values[0, 0, -1, -1] == 7
    # The median over seeds of a step that most come to; infinite where most do not.
    most = (ratio < 1).sum(-1) >= 2
    np.testing.assert_array_equal(found["reduced"], np.where(most, 3, np.inf))
    monkeypatch.setattr(maps, "RUNS_AT_ONCE", 1)
    xarray.testing.assert_identical(reduced(swept), found)


def test_what_counts_as_trained():
    of = {"loss_ratio": [0.9, np.nan, 0.9], "relative_loss": [0.6, np.nan, -np.inf]}
    ended = xarray.Dataset({name: ("seed", values) for name, values in of.items()})
    assert maps.has_trained(ended, "ratio", 0.5).values.tolist() == [True, False, True]
    assert maps.has_trained(ended, "loss", 0.7).values.tolist() == [True, False, False]


def test_the_border_nearest_to_the_middle(swept):
    _, x, y = swept
    found = maps.boundary_point(reduced(swept), x, y)
    assert found is not None
    x, y = found
    assert abs(y - x / 2) < 0.11
    assert np.hypot(x, y) < 0.15
    nothing = reduced(swept).assign(p_train=xarray.zeros_like(reduced(swept)["p_train"]))
    assert maps.boundary_point(nothing, *swept[1:]) is None


@pytest.mark.thorough
def test_a_zoom_follows_the_border(tmp_path):
    out = tmp_path / "maps"
    said = run_module("experiments.trainability_map", NO_CACHE, "--smoke", "--zoom=1", "--out", out)
    assert said.returncode == 0, said.stderr
    first, zoomed = json.loads((out / "summary.json").read_text())["rows"]
    assert zoomed["span"] == pytest.approx([each / 2 for each in first["span"]])
    assert zoomed["center"] != first["center"]
    assert 0.3 < zoomed["share"] < 0.7
    nowhere = tmp_path / "nowhere"
    said = run_module(
        "experiments.trainability_map", NO_CACHE, "--smoke", "--zoom=1", "--center=0,-3",
        "--span=1,1", "--out", nowhere,
    )  # fmt: skip
    assert said.returncode == 2
    assert "--zoom requires a map with a boundary" in said.stderr
    assert not nowhere.exists()


# The smoke run draws tanh's without biases.
@pytest.mark.thorough
def test_theorys_line_over_a_map():
    sigma_w = places.place_pixels("sigma_w", 0.1, 0.4, 3, "float32")
    rate = places.place_pixels("learning_rate", 0.0, 2.0, 3, "float32")
    curve = maps.critical_curve(jnp.tanh, sigma_w, rate, {"sigma_b": 0.05**0.5})
    assert curve is not None
    x, y = curve
    np.testing.assert_allclose(10 ** (2 * x), 1.76095464, rtol=1e-6)
    assert (y[0], y[-1]) == (-1, 1)
    assert maps.critical_curve(jnp.tanh, rate, rate, {"sigma_b": 0.0}) is None
    # relu's xi_c without biases: 1 / ln(2 / sigma_w2) below 2, and 8.66 layers at 1.
    depth = places.place_pixels("depth", 5.0, 8.0, 9, "float32")
    curve = maps.critical_curve(jax.nn.relu, depth, sigma_w, {"sigma_b": 0.0})
    assert curve is not None
    y, x = curve
    np.testing.assert_allclose(np.interp(0.0, x, y), 6 / np.log(2), rtol=1e-2)


def test_a_table_says_how_rough_a_border_is_and_where_dtypes_differ(swept):
    results = maps.with_curves(reduced(swept), [None]).expand_dims("zoom")
    results = results.assign_attrs(x="sigma_w", y="learning_rate", seeds=3)
    settings = {"published": False, "criterion": "ratio"}
    summary = tables.summarize(results, settings)
    first = summary["rows"][0]
    assert abs(first["share"] - 0.5) < 0.03
    assert 0.1 < first["between"] < 0.3
    for name in ("dimension", "dimension_of_seeds", "uncertainty_of_seeds"):
        assert 0.7 < first[name][0] < 1.2
    (differ,) = summary["differ"]
    assert differ["runs"] * differ["differ"] == 1
    assert "sigma_w x learning_rate, 32 x 20 pixels, 3 seeds" in tables.show(summary, settings)
    assert tables.verdict(summary) == 0
    titles = [axes.get_title() for axes in draw_maps(results, "in words", "steps_to_half").axes]
    assert titles[0] == "tanh, float32: P(train), 3 seeds"
    assert titles[3] == "steps_to_half: median; white: never"
    out = {"rows": [{"within": True}, {"within": False}]}
    assert tables.verdict(out) == 1
