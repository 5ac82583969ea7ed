"""Measured and predicted signals, and what signal_propagation and phase_diagram say of them."""

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
from initlab import signals
from initlab.keys import path_key
from initlab.signals import Start, draw_pair, signal_run
from initlab.types import Network, ParamSpec, Role

NO_CACHE = "--compilation_cache_dir="


def test_a_run_measures_what_numpy_does():
    # The gradient of a layer without a bias is measured by its weight.
    network = initlab.networks.mlp((6, 5, 4, 3, 1), jnp.tanh, bias=(False, True, False, True))
    initializer = initlab.initializers.ntk(1.7, 0.2)
    run = signal_run(network, lambda point: initializer, 6, length=2.0, correlation=0.3)
    values = {name: value[0] for name, value in run({"seed": 3}).values.items()}
    key = jax.random.key(3)
    params = initlab.initialize(path_key(key, "params"), network.specs, initializer)
    x = np.asarray(draw_pair(path_key(key, "inputs"), 6, 2.0, 0.3), float)
    back = np.asarray(jax.random.normal(path_key(key, "gradient"), (3,)), float)
    weights = [np.asarray(params[name]["weight"], float) for name in params]
    biases = [np.asarray(params[name].get("bias", 0), float) for name in params]
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
    # Of four entries, and of a layer of three that has none.
    of_hidden = np.sum(biases[1] ** 2) / 4
    assert values["sigma_b2_input"] == 0
    assert 0 < values["sigma_b2_weight"] <= of_hidden


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


@pytest.mark.parametrize("pre_norm", [False, True])
def test_residual_recursions_are_what_drawn_networks_do(pre_norm):
    rng, networks, width, depth = np.random.default_rng(0), 400, 100, 3
    variances = {Role.INPUT: (1.5, 0.1), Role.WEIGHT: (1.2, 0.3), Role.RESIDUAL: (1.4, 0.2)}
    start = Start(1.0, 0.4, variances, width, depth)
    wide = signals.predict_residual(jnp.tanh, start, pre_norm=pre_norm)

    def linear(h, role):
        sigma_w2, sigma_b2 = variances[role]
        w = rng.standard_normal((networks, width, width))
        bias = np.sqrt(sigma_b2) * rng.standard_normal((networks, width, 1))
        return np.sqrt(sigma_w2 / width) * (w @ h) + bias

    x = np.asarray(draw_pair(jax.random.key(0), width, 1.0, 0.4), float).T
    h = linear(np.broadcast_to(x, (networks, width, 2)), Role.INPUT)
    streams = [h]
    for _ in range(depth):
        entered = normalize(h) if pre_norm else h
        h = h + linear(np.tanh(linear(entered, Role.WEIGHT)), Role.RESIDUAL)
        streams.append(h)
    squares = np.stack([np.mean(h[..., 0] ** 2, axis=1) for h in streams], axis=1)
    unit = [h / np.linalg.norm(h, axis=1, keepdims=True) for h in streams]
    cosines = np.stack([np.sum(h[..., 0] * h[..., 1], axis=1) for h in unit], axis=1)
    assert within(squares, wide.q, shift=0.01 * wide.q)
    assert within(1 - cosines, wide.cosine_distance, shift=0.01)


def test_a_residual_gradient_is_the_sum_of_shortcut_and_branch():
    # relu: a branch of E phi'^2 = 1/2 under two weights of variance 2 doubles the gradient.
    he = (2.0, 0.0)
    variances = {Role.INPUT: he, Role.WEIGHT: he, Role.RESIDUAL: he}
    wide = signals.predict_residual(jax.nn.relu, Start(1.0, 0.5, variances, 8, 3))
    np.testing.assert_allclose(wide.gradient, [27.0, 9.0, 3.0, 1.0])
    np.testing.assert_allclose(wide.q, [2.0, 6.0, 18.0, 54.0])


PLAIN = {Role.INPUT: (1.5, 0.1), Role.WEIGHT: (1.7, 0.2)}


def test_drawn_networks_lie_beside_both_predictions_and_the_sample():
    width, depth = 20, 8
    network = initlab.networks.mlp((9, *[width] * depth, 1), jnp.sin)
    initializer = initlab.initializers.by_role(
        initlab.initializers.variance_scaling(2.5),
        input=initlab.initializers.variance_scaling(1.5),
        bias=initlab.initializers.normal(0.1**0.5),
    )
    run = signal_run(network, lambda point: initializer, 9, length=2.0, correlation=0.8)
    results = jax.jit(jax.vmap(run.function))({"seed": jnp.arange(2_000)}).values
    measured = {name: np.asarray(each[:, 0], float) for name, each in results.items()}
    variances = {Role.INPUT: (1.5, 0.1), Role.WEIGHT: (2.5, 0.1)}
    start = Start(2.0, 0.8, variances, width, depth)
    wide = signals.predict_mlp(jnp.sin, start)
    finite = signals.predict_finite_width(jnp.sin, start)
    sample = signals.sample_signals(jnp.sin, start, 8_000)
    for name, prediction in zip(signals.QUANTITIES, finite, strict=True):
        assert within(measured[name], prediction, shift=0.006 * np.asarray(prediction))
    for name, law in zip(signals.QUANTITIES, sample, strict=False):
        assert within(measured[name], law.mean(0), shift=0.006 * law.mean(0))
    # Infinite width is another prediction, which a width of 20 does not fit.
    assert not all(
        within(measured[name], prediction, shift=0.006 * np.asarray(prediction))
        for name, prediction in zip(signals.QUANTITIES, wide, strict=True)
    )
    sigma_w2, sigma_b2 = (measured[f"sigma_{kind}_weight"].mean() for kind in ("w2", "b2"))
    np.testing.assert_allclose([sigma_w2, sigma_b2], [2.5, 0.1], rtol=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: signals.predict_residual(jnp.tanh, s), "hold those of role residual"),
        (lambda s: signals.predict_mlp(jnp.tanh, s._replace(depth=1)), "depth must be at least 2"),
        (
            lambda s: signals.predict_finite_width(jnp.tanh, s._replace(correlation=1.0)),
            "correlation must be under 1, got 1.0",
        ),
        (
            lambda s: signals.sample_signals(
                jnp.tanh, s._replace(variances=PLAIN | {Role.WEIGHT: (0.0, 0.1)}), 10
            ),
            "sigma_w2 of hidden weights must be above 0, got 0.0",
        ),
        (lambda s: signals.sample_signals(jnp.tanh, s, 1), "draws must be at least 2"),
    ],
)
def test_a_start_that_theory_does_not_cover_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(Start(1.0, 0.5, PLAIN, 8, 3))


def linear_network(spec):
    """One hidden layer without a bias."""
    weights = {"layer_1": {"weight": spec}, "layer_2": {"weight": spec}}
    functions = {"layer_1": jnp.tanh, "layer_2": jnp.tanh}
    return Network(weights, lambda params, x: jnp.asarray(x), lambda params, x: {}, functions)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"inputs": 1}, ValueError, "inputs must be at least 2, got 1"),
        ({"length": -1.0}, ValueError, "length must be at least 0"),
        ({"correlation": 1.5}, ValueError, r"correlation must be in \[-1, 1\], got 1.5"),
        ({"initializer": None}, TypeError, "initializer must be a function"),
        ({"network": initlab.networks.mlp((4, 1), jnp.tanh)}, ValueError, "have a hidden layer"),
        ({"network": linear_network(ParamSpec((4, 4), 1, 4))}, ValueError, "a bias in 'layer_1'"),
        (
            {"length": 0, "network": linear_network(ParamSpec((4, 4), 4, 4))},
            ValueError,
            "length must be above 0 where 'layer_1' has no bias",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(changes, error, message):
    network = initlab.networks.mlp((4, 4, 1), jnp.tanh)
    arguments = {
        **{"network": network, "initializer": lambda point: initlab.initializers.ntk()},
        **{"inputs": 4, "length": 1.0, "correlation": 0.5},
    }
    with pytest.raises(error, match=message):
        signal_run(**(arguments | changes))


def test_variances_are_of_each_role_and_of_stacked_layers_too():
    network = initlab.networks.residual_mlp((5, 6, 2), 3, jnp.tanh, scanned=True)
    params = initlab.initialize(
        jax.random.key(0), network.specs, initlab.initializers.ntk(1.3, 0.2)
    )
    found = signals.variances(network, params)
    assert list(found) == list(dict.fromkeys(found))
    specs = jax.tree_util.tree_leaves(network.specs)
    for role, (sigma_w2, _) in found.items():
        each = [
            (spec.fan_in * np.asarray(leaf, float) ** 2).ravel()
            for spec, leaf in zip(specs, jax.tree.leaves(params), strict=True)
            if spec.role is role
        ]
        np.testing.assert_allclose(sigma_w2, np.concatenate(each).mean(), rtol=1e-5)
    assert set(found) == {Role.INPUT, Role.WEIGHT, Role.RESIDUAL}


LIMITS = {"errors": 3.0, "share": 0.95}


def table_of(shift, law=np.nan):
    """Three layers; predicted is right but for a shift in standard errors at one; so is the law."""
    rng = np.random.default_rng(0)
    measured = rng.normal(1.0, 0.1, (1, 50, 3))
    mean, error = measured.mean(1), measured.std(1, ddof=1) / np.sqrt(50)
    predicted = np.stack([mean, mean + np.asarray([0, shift, 0]) * error], axis=1)
    columns = {}
    for name in signals.QUANTITIES:
        columns[name] = (("activation", "seed", "layer"), measured)
        columns[f"{name}_predicted"] = (("activation", "kind", "layer"), predicted)
        drawn = mean + np.asarray([0, law, 0]) * error
        columns[f"{name}_law"] = (("activation", "layer"), drawn)
        columns[f"{name}_law_error"] = (("activation", "layer"), 0.1 * error)
    coords = {"activation": ["tanh"], "kind": ["wide", "finite"], "layer": ["1", "2", "3"]}
    attrs = {"width": 10, "theory": "said."}
    return signals.compare(xarray.Dataset(columns, coords, attrs))


@pytest.mark.quick
def test_a_layer_that_disagrees_is_reported():
    right, wrong = (tables.summarize(table_of(shift), LIMITS) for shift in (2.9, -5.0))
    assert tables.verdict(right) == 0
    assert tables.verdict(wrong) == 1
    assert [row["finite"]["within"] for row in wrong["rows"]] == [2, 2, 1]
    assert [row["layers"] for row in wrong["rows"]] == [3, 3, 2]
    np.testing.assert_allclose(wrong["rows"][0]["finite"]["largest"], 5)
    assert {row["why"] for row in wrong["rows"]} == {"not explained"}
    said = " ".join(tables.show(wrong, {}).split())
    assert "3 of 3 rows agree at fewer than 95% of their layers, 3 of them for no reason" in said


@pytest.mark.quick
def test_layers_that_are_off_together_by_chance_are_distinguished_from_others():
    stream = np.random.default_rng(0)
    shared = stream.normal(size=(400, 1)) + 0.01 * stream.normal(size=(400, 5))
    off = shared.mean(axis=0) + 2.5 * shared.std(axis=0) / 20
    assert signals.joint_probability(shared, off) > 0.1
    alone = stream.normal(size=(400, 5))
    off = alone.mean(axis=0) + 2.5 * alone.std(axis=0) / 20
    assert signals.joint_probability(alone, off) < 1e-3
    # Under the truth it is uniform, whatever the units of a layer.
    powers = 10.0 ** np.arange(5)
    found = [
        signals.joint_probability(stream.normal(size=(30, 5)) * powers, np.zeros(5))
        for _ in range(300)
    ]
    assert 0.45 < np.mean(found) < 0.55
    assert np.isnan(signals.joint_probability(shared[:10], off))


def test_what_the_exact_law_explains_is_no_disagreement():
    explained, by_chance, not_explained = (
        tables.summarize(table_of(-5.0, law), LIMITS) for law in (-2.9, -3.1, -4.5)
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
    summary = tables.summarize(signals.compare(table), LIMITS)
    assert (summary["short"], summary["unexplained"]) == (3, 0)
    assert tables.verdict(summary) == 0


@pytest.mark.quick
def test_limits_are_those_of_the_settings():
    table = table_of(-5.0)
    assert tables.summarize(table, LIMITS | {"errors": 6.0})["short"] == 0
    assert tables.summarize(table, LIMITS | {"share": 0.3})["short"] == 0
    assert tables.summarize(table, LIMITS)["short"] == 3


@pytest.mark.quick
def test_no_prediction_is_no_verdict():
    table = table_of(5.0)
    for name in signals.QUANTITIES:
        table[f"{name}_predicted"] = table[f"{name}_predicted"] * np.nan
    summary = tables.summarize(signals.compare(table), LIMITS)
    assert tables.verdict(summary) == 0
    assert all(row["wide"] is row["finite"] is None for row in summary["rows"])
    assert "none" in tables.show(summary, {})


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("signal_propagation", ["--sigma_w2=1"], "--sigma_w2 and --sigma_b2 require each other"),
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
