"""What signal_propagation and phase_diagram measure and predict, and what they say of it."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray
from forks import run_module
from theory_oracles import within

import initlab
from experiments import names
from experiments.signal_propagation import tables
from initlab.keys import path_key
from initlab.signals.measure import draw_pair, signal_run
from initlab.signals.predict import RECURSIONS, Start, predict

NO_CACHE = "--compilation_cache_dir="


def test_a_run_measures_what_numpy_does():
    network = initlab.networks.mlp((6, 5, 4, 3, 1), jnp.tanh)
    initializer = initlab.initializers.ntk(1.7, 0.2)
    run = signal_run(network, lambda point: initializer, 6, length=2.0, correlation=0.3)
    values = {name: value[0] for name, value in run({"seed": 3}).values.items()}
    key = jax.random.key(3)
    params = initlab.initialize(path_key(key, "params"), network.specs, initializer)
    x = np.asarray(draw_pair(path_key(key, "inputs"), 6, 2.0, 0.3), float)
    back = np.asarray(jax.random.normal(path_key(key, "gradient"), (3,)), float)
    weights = [np.asarray(params[name]["weight"], float) for name in params]
    biases = [np.asarray(params[name]["bias"], float) for name in params]
    np.testing.assert_allclose((x @ x.T) / 6, [[2, 0.6], [0.6, 2]], rtol=1e-6)
    layers = [x @ weights[0] + biases[0]]
    for weight, bias in zip(weights[1:3], biases[1:3], strict=True):
        layers.append(np.tanh(layers[-1]) @ weight + bias)
    gradients = [back]
    for weight, z in zip(weights[2:0:-1], layers[1::-1], strict=True):
        gradients.append((weight @ gradients[-1]) * (1 - np.tanh(z[0]) ** 2))
    squares = np.asarray([np.mean(gradient**2) for gradient in gradients[::-1]])
    cosines = [z[0] @ z[1] / np.linalg.norm(z[0]) / np.linalg.norm(z[1]) for z in layers]
    lengths = np.asarray([np.mean(z**2, axis=1) for z in layers])
    np.testing.assert_allclose(values["length"], lengths[:, 0], rtol=1e-5)
    np.testing.assert_allclose(values["length_of_second"], lengths[:, 1], rtol=1e-5)
    np.testing.assert_allclose(values["decorrelation"], 1 - np.asarray(cosines), rtol=1e-5)
    np.testing.assert_allclose(values["gradient"], squares / squares[-1], rtol=1e-5)
    hidden = np.concatenate([5 * weights[1].ravel() ** 2, 4 * weights[2].ravel() ** 2])
    np.testing.assert_allclose(values["sigma_w2_weight"], hidden.mean(), rtol=1e-5)
    np.testing.assert_allclose(values["sigma_b2_input"], np.mean(biases[0] ** 2), rtol=1e-5)


@pytest.mark.parametrize("name", names.NETWORKS)
def test_every_network_can_be_measured(name):
    network = names.NETWORKS[name](4, 4, 2, 1, jnp.tanh)
    initializer = initlab.initializers.ntk(1.0, 0.1)
    run = signal_run(network, lambda point: initializer, 4, length=1.0, correlation=0.5)
    shapes = jax.eval_shape(run.function, {"seed": jax.ShapeDtypeStruct((), jnp.int32)}).values
    assert shapes["gradient"].shape == (1, len(run.layers))
    assert run.layers == tuple(network.activations)[:-1]


def normalize(h):
    centred = h - h.mean(1, keepdims=True)
    return centred / centred.std(1, keepdims=True)


@pytest.mark.parametrize("name", ["residual_mlp", "residual_mlp_norm"])
def test_residual_recursions_are_what_drawn_networks_do(name):
    rng, networks, width, depth = np.random.default_rng(0), 400, 100, 3
    variances = {
        **{"sigma_w2_input": 1.5, "sigma_b2_input": 0.1, "sigma_w2_weight": 1.2},
        **{"sigma_b2_weight": 0.3, "sigma_w2_residual": 1.4, "sigma_b2_residual": 0.2},
    }
    wide, finite = predict(name, "gaussian", jnp.tanh, Start(1.0, 0.4, variances, width, depth))
    assert wide is not None
    assert finite is None

    def linear(h, role):
        w = rng.standard_normal((networks, width, width))
        bias = np.sqrt(variances[f"sigma_b2_{role}"]) * rng.standard_normal((networks, width, 1))
        return np.sqrt(variances[f"sigma_w2_{role}"] / width) * (w @ h) + bias

    x = np.asarray(draw_pair(jax.random.key(0), width, 1.0, 0.4), float).T
    h = linear(np.broadcast_to(x, (networks, width, 2)), "input")
    streams = [h]
    for _ in range(depth):
        entered = normalize(h) if name.endswith("norm") else h
        h = h + linear(np.tanh(linear(entered, "weight")), "residual")
        streams.append(h)
    lengths = np.stack([np.mean(h[..., 0] ** 2, axis=1) for h in streams], axis=1)
    unit = [h / np.linalg.norm(h, axis=1, keepdims=True) for h in streams]
    cosines = np.stack([np.sum(h[..., 0] * h[..., 1], axis=1) for h in unit], axis=1)
    assert within(lengths, wide.length, shift=0.01 * wide.length)
    assert within(1 - cosines, wide.decorrelation, shift=0.01)


def test_a_residual_gradient_is_the_sum_of_shortcut_and_branch():
    # relu: a branch of E phi'^2 = 1/2 under two weights of variance 2 doubles the gradient.
    variances = {
        f"sigma_{kind}_{role}": 2.0 if kind == "w2" else 0.0
        for kind in ("w2", "b2")
        for role in ("input", "weight", "residual")
    }
    wide, _ = RECURSIONS["residual_mlp"](jax.nn.relu, Start(1.0, 0.5, variances, 8, 3)), None
    np.testing.assert_allclose(wide.gradient, [27.0, 9.0, 3.0, 1.0])
    np.testing.assert_allclose(wide.length, [2.0, 6.0, 18.0, 54.0])


def table_of(shift, law=np.nan):
    """Three layers; predicted is right but for a shift in standard errors at one; so is the law."""
    rng = np.random.default_rng(0)
    measured = rng.normal(1.0, 0.1, (1, 50, 3))
    mean, error = measured.mean(1), measured.std(1, ddof=1) / np.sqrt(50)
    predicted = np.stack([mean, mean + np.asarray([0, shift, 0]) * error], axis=1)
    columns = {}
    for name in tables.QUANTITIES:
        columns[name] = (("activation", "seed", "layer"), measured)
        columns[f"{name}_predicted"] = (("activation", "kind", "layer"), predicted)
        drawn = mean + np.asarray([0, law, 0]) * error
        columns[f"{name}_law"] = (("activation", "layer"), drawn)
        columns[f"{name}_law_error"] = (("activation", "layer"), 0.1 * error)
    coords = {"activation": ["tanh"], "kind": ["wide", "finite"], "layer": ["1", "2", "3"]}
    attrs = {"errors": 3.0, "share": 0.95, "width": 10, "theory": "said."}
    return tables.compare(xarray.Dataset(columns, coords, attrs))


def test_a_layer_that_is_out_is_told():
    right, wrong = (tables.summarize(table_of(shift), {}) for shift in (2.9, -5.0))
    assert tables.verdict(right) == 0
    assert tables.verdict(wrong) == 1
    assert [row["finite"]["within"] for row in wrong["rows"]] == [2, 2, 1]
    assert [row["layers"] for row in wrong["rows"]] == [3, 3, 2]
    np.testing.assert_allclose(wrong["rows"][0]["finite"]["largest"], 5)
    assert {row["why"] for row in wrong["rows"]} == {"not explained"}
    said = " ".join(tables.show(wrong, {}).split())
    assert "3 of 3 rows agree at fewer than 95% of their layers, 3 of them for no reason" in said


def test_layers_that_are_off_together_by_chance_are_told_from_others():
    stream = np.random.default_rng(0)
    shared = stream.normal(size=(400, 1)) + 0.01 * stream.normal(size=(400, 5))
    off = shared.mean(axis=0) + 2.5 * shared.std(axis=0) / 20
    assert tables.joint_probability(shared, off) > 0.1
    alone = stream.normal(size=(400, 5))
    off = alone.mean(axis=0) + 2.5 * alone.std(axis=0) / 20
    assert tables.joint_probability(alone, off) < 1e-3
    # Under the truth it is uniform, whatever the units of a layer.
    powers = 10.0 ** np.arange(5)
    found = [
        tables.joint_probability(stream.normal(size=(30, 5)) * powers, np.zeros(5))
        for _ in range(300)
    ]
    assert 0.45 < np.mean(found) < 0.55
    assert np.isnan(tables.joint_probability(shared[:10], off))


def test_what_the_exact_law_explains_is_no_disagreement():
    explained, by_chance, not_explained = (
        tables.summarize(table_of(-5.0, law), {}) for law in (-2.9, -3.1, -4.5)
    )
    for summary in (explained, by_chance):
        assert {row["why"] for row in summary["rows"]} == {tables.LAW}
    assert [row["law"]["within"] for row in explained["rows"]] == [3, 3, 2]
    # Two of three within, and the three together no further than chance puts them.
    assert [row["law"]["within"] for row in by_chance["rows"]] == [2, 2, 1]
    assert min(row["law"]["chance"] for row in by_chance["rows"]) > 0.01
    assert (explained["short"], explained["unexplained"]) == (3, 0)
    assert max(row["law"]["chance"] for row in not_explained["rows"]) < 0.01
    assert tables.verdict(not_explained) == 1
    assert tables.LAW in tables.show(explained, {})


def test_what_the_order_of_the_correction_explains_is_no_disagreement():
    table = table_of(-5.0)
    # A correction of a third leaves out a ninth, which is more than the difference.
    wide = table["length_predicted"].sel(kind="finite").values / 1.34
    for name in ("length", "decorrelation", "gradient"):
        table[f"{name}_predicted"].loc[{"kind": "wide"}] = wide
    summary = tables.summarize(tables.compare(table), {})
    assert (summary["short"], summary["unexplained"]) == (3, 0)
    assert tables.verdict(summary) == 0


def test_no_prediction_is_no_verdict():
    table = table_of(5.0)
    for name in tables.QUANTITIES:
        table[f"{name}_predicted"] = table[f"{name}_predicted"] * np.nan
    summary = tables.summarize(tables.compare(table), {})
    assert tables.verdict(summary) == 0
    assert all(row["wide"] is row["finite"] is None for row in summary["rows"])
    assert "none" in tables.show(summary, {})


def test_the_signal_is_within_what_theory_says(tmp_path):
    said = run_module(
        "experiments.signal_propagation",
        NO_CACHE,
        "--smoke",
        "--out",
        tmp_path / "out",
        quickly=True,
    )
    assert said.returncode == 0, said.stdout + said.stderr
    rows = json.loads((tmp_path / "out" / "summary.json").read_text())["rows"]
    assert [row["quantity"] for row in rows] == list(tables.QUANTITIES)
    assert [row["finite"]["within"] for row in rows] == [4, 4, 3]
    assert [row["law"] and row["law"]["within"] for row in rows] == [4, 4, None]
    with xarray.open_zarr(tmp_path / "out" / "results.zarr", consolidated=False) as results:
        assert results["length"].dims == ("activation", "seed", "layer")
        assert abs(float(results["sigma_w2_weight"].mean()) - 1) < 0.02


def test_networks_lie_on_the_phase_diagram(tmp_path):
    said = run_module(
        "experiments.phase_diagram", NO_CACHE, "--smoke", "--out", tmp_path / "out", quickly=True
    )
    assert said.returncode == 0, said.stdout + said.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["grid"] == [8, 8]
    assert [row["network_sigma_w2"] for row in summary["rows"]] == [1, 1, 3, 3]
    assert summary["within"]["growth"] == 4
    assert "points in" in said.stdout


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("signal_propagation", ["--sigma_w2=1"], "--sigma_w2 and --sigma_b2 want each other"),
        (
            "signal_propagation",
            ["--initializer=he_normal", "--sigma_w2=1", "--sigma_b2=0"],
            "are those of --initializer=gaussian, got he_normal",
        ),
        ("signal_propagation", ["--initializer=he_norml"], "did you mean 'he_normal'?"),
        ("signal_propagation", ["--network=mpl"], "did you mean 'mlp'?"),
        ("phase_diagram", ["--most_sigma_w2=0"], "--most_sigma_w2 must be above 0"),
        ("phase_diagram", ["--correlation=1"], "correlation"),
    ],
)
def test_bad_flags_are_refused_and_nothing_is_written(name, flags, message, tmp_path):
    said = run_module(f"experiments.{name}", NO_CACHE, *flags, "--out", tmp_path / "out")
    assert said.returncode != 0
    assert message in said.stderr + said.stdout
    assert not (tmp_path / "out").exists()
