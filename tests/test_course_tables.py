"""The course's conventions and tables: draws, unit vectors, steps, rows, verdict."""

import json

import jax
import numpy as np
import pytest
from forks import run_module

from experiments.course_tables import tables
from experiments.course_tables.conventions import (
    course_cost,
    course_layout,
    course_params,
    he_scale,
)
from experiments.course_tables.runs import measure_training, trainings
from experiments.course_tables.vectors import measure_data, measure_vectors, three_points
from experiments.number_tables import rows as published
from experiments.number_tables.tables import verdict

BINARY = "experiments.course_tables", "--compilation_cache_dir="
DRAWS = {
    "0.01, (2,4,1)": (
        course_params(2, (2, 4, 1)),
        [
            [-0.00416758, -0.00056267],
            [-0.02136196, 0.01640271],
            [-0.01793436, -0.00841747],
            [0.00502881, -0.01245288],
        ],
        [[-0.01057952, -0.00909008, 0.00551454, 0.02292208]],
    ),
    "times 10, (3,2,1)": (
        course_params(3, (3, 2, 1), 10),
        [[17.88628473, 4.36509851, 0.96497468], [-18.63492703, -2.77388203, -3.54758979]],
        [[-0.82741481, -6.27000677]],
    ),
    "He, (2,4,1)": (
        course_params(3, (2, 4, 1), he_scale),
        [
            [1.78862847, 0.43650985],
            [0.09649747, -1.8634927],
            [-0.2773882, -0.35475898],
            [-0.08274148, -0.62700068],
        ],
        [[-0.03098412, -0.33744411, -0.92904268, 0.62552248]],
    ),
}


def _forward(arrays, x):
    """NumPy, in the course's layout: examples are columns."""
    z1 = arrays["W1"] @ x + arrays["b1"][:, None]
    a1 = np.tanh(z1)
    z2 = arrays["W2"] @ a1 + arrays["b2"][:, None]
    return z1, a1, z2, 1 / (1 + np.exp(-z2))


def _cost(a2, y):
    return float(-np.mean(y * np.log(a2) + (1 - y) * np.log(1 - a2)))


def _backward(arrays, x, y):
    _, a1, _, a2 = _forward(arrays, x)
    dz2 = (a2 - y) / x.shape[1]
    dz1 = arrays["W2"].T @ dz2 * (1 - a1**2)
    return {"W1": dz1 @ x.T, "b1": dz1.sum(1), "W2": dz2 @ a1.T, "b2": dz2.sum(1)}


@pytest.fixture(scope="module")
def rows():
    return published.published_rows(tables.PUBLISHED)


@pytest.fixture(scope="module")
def vectors():
    with jax.enable_x64(True):
        return {key: np.asarray(value) for key, value in measure_vectors().items()}


@pytest.mark.parametrize("name", DRAWS)
def test_draws_are_the_printed_ones(name):
    params, w1, w2 = DRAWS[name]
    arrays = course_layout(params)
    np.testing.assert_allclose(arrays["W1"], w1, rtol=0, atol=1e-8)
    np.testing.assert_allclose(arrays["W2"], w2, rtol=0, atol=1e-8)
    assert not arrays["b1"].any()
    assert not arrays["b2"].any()
    assert params["layer_1"]["weight"].shape == np.transpose(w1).shape
    assert all(array.dtype == np.float64 for array in arrays.values())


def test_one_stream_draws_all_layers():
    stream = np.random.RandomState(7)
    params = course_params(7, (3, 5, 2, 1), 1)
    for name, shape in {"layer_1": (5, 3), "layer_2": (2, 5), "layer_3": (1, 2)}.items():
        np.testing.assert_array_equal(params[name]["weight"].T, stream.randn(*shape))


def test_forward_agrees_with_numpy(vectors):
    stream = np.random.RandomState(1)
    x = stream.randn(2, 3)
    arrays = course_layout(course_params(2, (2, 4, 1)))
    arrays |= {"b1": stream.randn(4, 1)[:, 0], "b2": np.array([-1.3])}
    states = _forward(arrays, x)
    for name, state in zip(("Z1", "A1", "Z2", "A2"), states, strict=True):
        np.testing.assert_allclose(vectors["forward: mean", name], state.mean(), rtol=1e-13)
    np.testing.assert_allclose(vectors["forward: A2", ""], states[3][0], rtol=1e-13)


def test_cost_agrees_with_numpy(vectors):
    y = np.random.RandomState(1).randn(1, 3) > 0
    cost = _cost(np.array([[0.5002307, 0.49985831, 0.50023963]]), y)
    np.testing.assert_allclose(vectors["cost of given outputs", ""], cost, rtol=1e-13)


def test_backward_agrees_with_numpy(vectors):
    stream = np.random.RandomState(1)
    x, y = stream.randn(2, 3), stream.randn(1, 3) > 0
    gradient = _backward(course_layout(course_params(2, (2, 4, 1))), x, y)
    for name, array in gradient.items():
        np.testing.assert_allclose(vectors[f"backward: d{name}", ""], array, rtol=1e-11)


def test_data_and_vectors_are_the_published_ones(rows, vectors):
    measured = {**measure_data(), **vectors}
    fast = [row for row in rows if (row.name, row.label) in measured]
    assert len(fast) == 3 + 17
    assert bool(published.compare(fast, measured)["within"].all())


def test_cost_at_step_k_is_that_after_k_updates():
    with jax.enable_x64(True):
        measured = measure_training(trainings(3)[0], 1999)
    task = three_points()
    arrays, x, y = course_layout(course_params(2, (2, 4, 1))), task.x.T, task.y[None]
    costs = [_cost(_forward(arrays, x)[3], y)]
    for _ in range(1000):
        gradient = _backward(arrays, x, y)
        arrays = {name: array - 1.2 * gradient[name] for name, array in arrays.items()}
    costs.append(_cost(_forward(arrays, x)[3], y))
    # Neither a cost at a later step nor the end of a run that did not get there.
    assert list(measured) == [("three points, 10,000 steps: cost", step) for step in ("0", "1000")]
    np.testing.assert_allclose(np.asarray(list(measured.values())), costs, rtol=1e-9)


def test_course_cost_is_infinite_and_leaves_out_what_is_not_a_number():
    assert course_cost(np.array([1.0, 0.5]), np.array([0, 1])) == np.inf
    assert course_cost(np.array([1.0, 0.5]), np.array([1, 1])) == pytest.approx(np.log(2) / 2)
    given, y = np.array([0.2, 0.9]), np.array([1, 0])
    assert course_cost(given, y) == pytest.approx(_cost(given, y))


def test_the_file_holds_every_published_number(rows):
    counts = {
        section: published.count_published([row for row in rows if row.section == section])
        for section in (1, 2, 3, 4)
    }
    assert counts == {
        # first row, two sums
        1: 2 + 2,
        # costs, accuracy, seven widths, logistic regression
        2: 10 + 1 + 7 + 1,
        # three draws, forward, cost, backward, trained; times 10, He
        3: (8 + 4) + 15 + (4 + 3) + 1 + (8 + 4 + 4 + 1) + (10 + 8 + 4 + 4 + 1) + (6 + 2) + (8 + 4),
        # costs and two accuracies from zeros, from times 10 and from He
        4: 3 * (15 + 2),
    }
    assert len({row.title for row in rows}) == len(rows) == 106
    assert [row.kind for row in rows if row.kind in ("check", "finite")] == ["check", "finite"]
    chaotic = [row.title for row in rows if row.kind == "chaotic"]
    assert chaotic == [f"circles, times 10: cost at step {step}" for step in (1000, 7000)]
    compared = [row for row in rows if row.kind != "finite"]
    assert all(row.tolerance > 0 for row in compared)
    assert {row.section for row in rows if row.steps} == {2, 3, 4}


def _agreeing(rows):
    """What would be measured if all were as published."""
    measured = {(row.name, row.label): row.published for row in rows}
    for row in rows:
        if row.kind == "finite":
            measured[row.name, row.label] = np.ones(())
        elif row.kind == "chaotic":
            ensemble = row.published + row.tolerance * np.linspace(-1, 1, 64)
            measured[row.name, row.label] = ensemble
    return measured


def _verdict(rows, measured):
    results = published.compare(rows, measured).assign_attrs(left_out=0, max_steps=0)
    summary = tables.summarize(results, {})
    json.dumps(summary, allow_nan=False)
    assert len(tables.show(summary, {}).splitlines()) == len(rows) + 7
    return verdict(summary), summary["outside"]


def test_verdict_of_agreement(rows):
    assert _verdict(rows, _agreeing(rows)) == (0, 0)


@pytest.mark.parametrize(
    ("name", "label", "change"),
    [
        ("backward: dW1", "", np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 2e-8]])),
        ("circles, He: cost", "3000", 2e-9),
        ("circles, times 10: cost", "0", np.nan),
        ("circles, times 10: cost at step 0, unstable", "", -np.inf),
    ],
)
def test_one_number_out_makes_the_verdict_1(rows, name, label, change):
    measured = _agreeing(rows)
    with np.errstate(invalid="ignore"):
        changed = np.asarray(measured[name, label] + change)
    assert _verdict(rows, measured | {(name, label): changed}) == (1, 1)


def test_a_corrupted_published_number_makes_the_verdict_1(rows, tmp_path):
    text = tables.PUBLISHED.read_text()
    corrupted = tmp_path / "numbers.json"
    assert "0.01640271" in text
    corrupted.write_text(text.replace("0.01640271", "0.01640371", 1))
    assert _verdict(published.published_rows(corrupted), _agreeing(rows)) == (1, 1)


@pytest.mark.parametrize(("measured", "code"), [(90.0, 0), (90.75, 0), (91.0, 1), (89.75, 1)])
def test_whole_percents_are_cut_and_not_rounded(rows, measured, code):
    key = ("flower, n_h=4: accuracy (%)", "")
    assert _verdict(rows, _agreeing(rows) | {key: np.asarray(measured)})[0] == code


def test_rows_that_do_not_fit_are_refused(rows, tmp_path):
    with pytest.raises(KeyError):
        published.compare(rows, {})
    with pytest.raises(ValueError, match=r"W1 \(4x2\) is published with shape \(4, 2\)"):
        published.compare(rows, _agreeing(rows) | {("init(2,4,1), seed 2: W1", ""): np.ones(8)})
    entry = {"section": 1, "name": "a", "kind": "published", "tolerance": 1, "steps": 0}
    path = tmp_path / "numbers.json"
    path.write_text(json.dumps([entry | {"kind": "guess", "published": 1}]))
    with pytest.raises(ValueError, match=r"kind must be one of .*, got 'guess'"):
        published.published_rows(path)
    path.write_text(json.dumps([entry | {"each": "of", "at": ["b"], "published": [1, 2]}]))
    with pytest.raises(ValueError, match="1 labels for 2 published numbers"):
        published.published_rows(path)


def test_unknown_section_is_refused(tmp_path):
    ran = run_module(*BINARY, "--sections=1,5", f"--out={tmp_path / 'out'}")
    assert ran.returncode == 2
    assert ran.stderr.strip() == "course_tables: --sections must be of 1, 2, 3, 4, got [5]"
