"""The audit: planted faults are found where they are, and sound starts pass."""

import dataclasses
import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from audit_faults import FAULTS
from audit_models import ROWS, WIDTH, cross_entropy, layers, lecun, normal, tanh_net

import initlab
from initlab.audits import Finding, Thresholds, duplicates
from initlab.audits.seeds import merge_seeds
from initlab.symmetry import UnitAxis, UnitGroup

KEY = jax.random.key(0)


@pytest.mark.parametrize("is_taken", [True, False])
def test_what_is_not_finite_in_a_branch_is_found_where_it_is_taken(is_taken):
    params = [layer["w"] for layer in layers(lecun)]
    params[1] = np.full_like(params[1], 3e38)

    def apply(params, x):
        h = jnp.tanh(x @ params[0])
        threshold = 1e9 if is_taken else -1e9
        h = jax.lax.cond(jnp.sum(x) < threshold, lambda h: h @ params[1], lambda h: h, h)
        return h @ params[3]

    found = initlab.audit(apply, params, ROWS).findings
    places = [each.place for each in found if each.code == "non_finite"]
    assert places == (["1"] if is_taken else [])
    blocked = [each.severity for each in found if each.code == "unused_parameter"]
    # The third weight is read by nothing at all.
    assert blocked == (["warn"] if is_taken else ["warn", "info"])


def test_a_dead_layer_is_one_fault_at_the_place_that_its_model_calls_it():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        apply, params, batch = FAULTS["dead biases in flax"].make()
        report = initlab.audit(apply, params, batch)
    scopes = (row.scope for row in report.rows if row.place == "Dense_1/kernel")
    assert next(scopes).endswith("Dense_1")
    # The bias that switches its units off also drowns the data.
    assert {each.code for each in report.findings} == {"dead_units"}


def test_an_audit_over_seeds_has_intervals_and_speaks_of_most_seeds():
    def init(key):
        keys = jax.random.split(key, 4)
        sizes = itertools.pairwise((8, WIDTH, WIDTH, WIDTH, 10))
        return [
            {"w": 100 * jax.random.normal(each, shape), "b": jnp.zeros(shape[1])}
            for each, shape in zip(keys, sizes, strict=True)
        ]

    report = initlab.audit(tanh_net, None, ROWS, init=init, keys=jax.random.split(KEY, 5))
    assert report.seeds == 5
    (finding,) = [f for f in report.findings if f.code == "saturated" and f.place == "1/w"]
    assert finding.interval is not None
    low, high = finding.interval
    assert 0.9 < low <= finding.value <= high <= 1
    assert finding.seeds == 1
    rows = report.to_dataset()
    assert rows["rms"].dims == ("seed", "place")
    assert rows["rms"].sel(place="1/w: product").values.std() > 0
    assert "5 seeds" in str(report)


@pytest.mark.quick
def test_a_fault_of_few_seeds_is_a_step_less_severe():
    fail = Finding("saturated", "fail", "w", 0.95, 0.9, "cause", "remedy")
    other = fail._replace(severity="warn", value=0.6, threshold=0.5)
    (merged,) = merge_seeds([[fail], [other], [], [other], []])
    assert (merged.severity, merged.value, merged.seeds) == ("warn", 0.6, 0.6)
    assert merged.interval == (0.6, 0.95)
    (merged,) = merge_seeds([[fail], [], [], [], []])
    assert (merged.severity, merged.seeds) == ("warn", 0.2)
    (merged,) = merge_seeds([[other], [], []])
    assert merged.severity == "info"
    # A seed counts once, however often it has what is one finding of the whole network.
    parameter = Finding("non_finite", "fail", "w", np.nan, np.inf, "a parameter", "remedy")
    signal = parameter._replace(place="z", cause="a signal")
    (merged,) = merge_seeds([[parameter, signal], [], [], []])
    assert (merged.severity, merged.place, merged.seeds) == ("warn", "w", 0.25)


def _drawn(_):
    return layers(lecun)


@pytest.mark.parametrize(
    "drawn_by",
    [
        lambda key: {"key": key},
        lambda key: {"params": None, "init": _drawn, "keys": jax.random.split(key, 2)},
    ],
)
def test_keys_of_the_old_style_draw_what_those_of_the_new_style_do(drawn_by):
    def gradients(make):
        given = {"params": layers(lecun)} | drawn_by(make(0))
        rows = initlab.audit(tanh_net, batch=ROWS, **given).rows
        return [row.values["gradient_norm"] for row in rows if row.kind == "product"]

    for old, new in zip(gradients(jax.random.PRNGKey), gradients(jax.random.key), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.fixture(scope="module")
def failed():
    return initlab.audit(tanh_net, layers(lambda i: 100.0), ROWS, loss=cross_entropy)


def test_a_report_is_a_table_a_dataset_json_and_a_picture(failed):
    text = str(failed)
    assert text.startswith("verdict: fail (")
    assert max(map(len, text.splitlines())) <= 100
    said = json.loads(failed.to_json())
    assert said["verdict"] == "fail"
    assert [each["code"] for each in said["findings"]] == [f.code for f in failed.findings]
    assert said["findings"][0]["severity"] == "fail"
    infinite = Finding("exploding_signal", "fail", "w", np.inf, 403.0, "cause", "remedy")
    said = json.loads(dataclasses.replace(failed, findings=(infinite,)).to_json())
    assert (said["findings"][0]["value"], said["findings"][0]["threshold"]) == (None, 403.0)
    rows = failed.to_dataset()
    place = rows["place"].values.tolist()
    assert place[:3] == ["input: input", "0/w: product", "0/w: activation"]
    assert len(said["rows"]) == len(place)
    wide = Finding("saturated", "warn", "a/" * 90, 0.5, 0.25, "cause", "remedy")
    values = {name: np.asarray([1.23e-10]) for name in ("rms", "cosine_distance", "gradient_norm")}
    long = dataclasses.replace(failed.rows[1], place="block/" * 20, values=values)
    padded = dataclasses.replace(failed, findings=(wide,), rows=(*failed.rows, long))
    assert max(map(len, str(padded).splitlines())) <= 100
    assert rows["code"].values.tolist() == [f.code for f in failed.findings]
    (length,) = rows["rms"].sel(place="0/w: product").values
    line = failed.figure().axes[0].lines[0]
    assert length in line.get_ydata()
    # Equal findings at several places are reported once.
    assert text.count("saturated at") == 1
    assert "and 2 more like it" in text


@pytest.mark.quick
def test_the_assertion_names_the_first_failure(failed):
    with pytest.raises(AssertionError, match=f"{failed.findings[0].code} at .* Remedy: "):
        initlab.assert_sound_initialization(
            tanh_net, layers(lambda i: 100.0), ROWS, loss=cross_entropy
        )
    initlab.assert_sound_initialization(tanh_net, layers(lecun), ROWS, loss=cross_entropy)
    same = layers(lecun)
    same[2]["w"] = same[1]["w"]
    initlab.assert_sound_initialization(tanh_net, same, ROWS, loss=cross_entropy)
    with pytest.raises(AssertionError, match="duplicate_tensors at 1/w, 2/w"):
        initlab.assert_sound_initialization(tanh_net, same, ROWS, loss=cross_entropy, strict=True)


@pytest.mark.quick
def test_every_threshold_can_be_set():
    params = layers(lambda i: 1.3 * lecun(i))
    assert initlab.audit(tanh_net, params, ROWS, loss=cross_entropy).verdict == "pass"
    strict = Thresholds(max_efolds=0.1, trend_efolds=0.05, excess_loss=(0.0, 0.1))
    report = initlab.audit(tanh_net, params, ROWS, loss=cross_entropy, thresholds=strict)
    assert {"confident_start", "vanishing_signal"} <= {f.code for f in report.findings}
    with pytest.raises(TypeError, match=r"saturated must be \(warning, failure\), got 0.5"):
        Thresholds(saturated=0.5)  # type: ignore[arg-type]  # refused at run time too
    with pytest.raises(ValueError, match="in order"):
        Thresholds(excess_loss=(2.0, 1.0))


@pytest.mark.quick
@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"keys": jax.random.split(jax.random.key(0), 2)}, ValueError, "keys require init"),
        ({"init": 3}, TypeError, "init must be a function"),
        ({"loss": 3}, TypeError, "loss must be a function"),
        ({"loss": lambda y: y}, ValueError, "loss must return one real number"),
        ({"init": lambda key: {}, "keys": jax.random.key(0)}, ValueError, "at least one key"),
        ({"key": 0}, TypeError, "key must be a JAX key, got 0"),
        ({"thresholds": 6.0}, TypeError, "thresholds must be an initlab Thresholds, got 6.0"),
        ({"batch": ROWS[:0]}, ValueError, "batch must hold at least one example"),
    ],
)
def test_bad_arguments_are_refused(more, error, message):
    params = None if callable(more.get("init")) else layers(lecun)
    with pytest.raises(error, match=message):
        initlab.audit(tanh_net, params, **({"batch": ROWS} | more))


@pytest.mark.quick
def test_params_beside_an_init_are_refused():
    with pytest.raises(ValueError, match="params must be None where init draws them"):
        initlab.audit(tanh_net, layers(lecun), ROWS, init=_drawn)
    with pytest.raises(ValueError, match="params must be given, or init, which draws them"):
        initlab.audit(tanh_net, batch=ROWS)


@pytest.mark.parametrize("examples", [1, 8])
def test_a_model_without_activations_has_a_picture(examples):
    params = {"w": normal(0, (8, 2), 0.3)}
    report = initlab.audit(lambda params, x: x @ params["w"], params, ROWS[:examples])
    lengths, distances, shares = report.figure().axes
    (length,) = report.to_dataset()["rms"].sel(place="w: product").values
    assert length in lengths.lines[0].get_ydata()
    assert len(distances.lines[0].get_ydata()) == (3 if examples > 1 else 0)
    assert not any(len(line.get_ydata()) for line in shares.lines)


def test_hashes_differ_exactly_where_an_exchange_of_units_changes_something():
    rng = np.random.default_rng(0)
    recurrent = rng.integers(0, 2, (6, 6)).astype(np.float32)
    recurrent[3] = recurrent[1]
    recurrent[:, 3] = recurrent[:, 1]
    recurrent[3, 3], recurrent[1, 3] = recurrent[1, 1], recurrent[3, 1]
    leaves = {
        "h": recurrent,
        "i": np.repeat(rng.normal(size=(4, 1)), 6, 1).astype(np.float32),
        "g": rng.normal(size=(2 * 6 * 3 + 5,)).astype(np.float32),
    }
    leaves["g"][2:-3].reshape(2, 6, 3)[:, 3] = leaves["g"][2:-3].reshape(2, 6, 3)[:, 1]
    axes = [UnitAxis("h", 0), UnitAxis("h", 1), UnitAxis("i", 1)]
    group = UnitGroup("h", 6, (*axes, UnitAxis("g", 0, 2, 3, 2, 3)))
    hashes = duplicates.unit_hashes(leaves, group)
    assert hashes[1] == hashes[3]
    assert len(np.unique(hashes)) == 5
    params = dict(leaves)
    assert duplicates.count_distinct(params, leaves, group) == 5
    i = UnitAxis("i", 1)
    kinds = np.unique(leaves["i"], axis=1).shape[1]
    assert duplicates.count_distinct(params, leaves, UnitGroup("i", 6, (i,))) == kinds == 1
    # Equal hashes are compared bit by bit: a sum of rows and columns does not prove a symmetry.
    cycle = {"h": np.roll(np.eye(4, dtype=np.float32), 1, axis=1)}
    group = UnitGroup("h", 4, (UnitAxis("h", 0), UnitAxis("h", 1)))
    assert len(np.unique(duplicates.unit_hashes(cycle, group))) == 1
    assert duplicates.count_distinct({"h": cycle["h"]}, cycle, group) == 4


def test_half_precision_and_nested_inputs_and_outputs_are_read():
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), layers(lecun))

    def apply(params, batch):
        return {"y": tanh_net(params, batch["x"]), "number": batch["number"]}

    batch = {"number": np.arange(len(ROWS)), "x": jnp.asarray(ROWS, jnp.bfloat16)}
    report = initlab.audit(apply, params, batch)
    assert report.verdict == "pass"
    wide = initlab.audit(tanh_net, layers(lecun), ROWS).rows
    rounded = {row.place: row for row in report.rows if row.kind == "product"}
    for row in wide:
        if row.kind == "product":
            length = rounded[row.place].values["rms"]
            np.testing.assert_allclose(length, row.values["rms"], rtol=0.02)


def low_rank(params, x):
    for number in range(2):
        a, b = params[f"A{number}"], params[f"B{number}"]
        x = jax.nn.relu(x @ (params[f"w{number}"] + a @ b))
    return x @ params["out"]


def test_a_low_rank_pair_is_blocked_by_its_own_partner_alone():
    """Of the first pair both are zero, and stay so; of the second one, as is usual."""
    keys = jax.random.split(jax.random.key(3), 4)
    weights = [jax.random.normal(key, (8, 8)) / 2 for key in keys[:3]]
    zeros = np.zeros((8, 2), np.float32)
    pairs = {"A0": zeros, "B0": zeros.T, "A1": jax.random.normal(keys[3], (8, 2)), "B1": zeros.T}
    params = {"w0": weights[0], "w1": weights[1], "out": weights[2], **pairs}
    x = jax.random.normal(jax.random.key(4), (8, 8))
    report = initlab.audit(low_rank, params, x)
    found = {each.place: each for each in report.findings if each.code == "unused_parameter"}
    assert {place: each.severity for place, each in found.items()} == {
        "A0": "fail",
        "B0": "fail",
        "A1": "info",
    }
    assert "B0" in found["A0"].cause
    assert "B1" in found["A1"].cause
    assert "B0" not in found["A1"].cause


def test_an_overflow_behind_which_all_is_flat_is_no_branch():
    weights = [400 * jax.random.normal(jax.random.key(1), (16, 16)) / 4, normal(2, (16, 4), 0.3)]
    halves = [jnp.asarray(weight, jnp.float16) for weight in weights]

    def apply(params, x):
        return jnp.tanh(x.astype(jnp.float16) @ params[0]) @ params[1]

    report = initlab.audit(apply, halves, 100 * jax.random.normal(jax.random.key(0), (32, 16)))
    assert ("non_finite", "0") in {(each.code, each.place) for each in report.findings}
    assert "branch that was not taken" not in str(report)


def test_outputs_that_are_all_integers_are_refused():
    with pytest.raises(ValueError, match="apply must give a floating output"):
        initlab.audit(lambda p, x: (x @ p).argmax(-1), jnp.eye(3), jnp.ones((4, 3)))
