"""Chaotic published costs: ensembles whose starts differ by rounding, and their verdicts."""

import json

import jax
import numpy as np
import pytest

from experiments.course_tables import tables
from experiments.course_tables.conventions import course_params
from experiments.course_tables.runs import (
    MEMBERS,
    ROUNDING,
    measure_ensemble,
    measure_rows,
    perturb,
    trainings,
)
from experiments.course_tables.vectors import three_points
from experiments.number_tables import rows as published
from experiments.number_tables.figure import draw_agreement
from experiments.number_tables.tables import verdict

pytestmark = pytest.mark.full_compile

COST = "circles, times 10: cost"
MEDIAN = 0.6


@pytest.fixture(scope="module")
def costs():
    """The published costs of the run that has chaotic ones, by step."""
    rows = published.published_rows(tables.PUBLISHED)
    return {row.steps: row for row in rows if row.name == COST}


@pytest.fixture(scope="module")
def row(costs):
    """The published cost at step 1000."""
    return costs[1000]


@pytest.fixture(scope="module")
def training():
    return {training.costs: training for training in trainings(4)}[COST]


@pytest.fixture(scope="module")
def judged(row, training):
    """The row by the learning rate of its runs; one program, as rates are data."""

    def judge(rate):
        measured = measure_ensemble(training._replace(learning_rate=rate), [1000])
        return measured, published.compare([row], measured)

    with jax.enable_x64(True):
        return {rate: judge(rate) for rate in (0.0098, 0.01, 0.0105)}


def _judge(row, measured):
    """The row's line, its words and the verdict."""
    results = published.compare([row], {(row.name, row.label): measured})
    results = results.assign_attrs(left_out=0, max_steps=0)
    summary = tables.summarize(results, {})
    json.dumps(summary, allow_nan=False)
    assert len(draw_agreement(results, title="").axes) == 1
    (line,) = summary["rows"]
    return line, tables.show(summary, {}), verdict(summary)


def _members(spread):
    """64 numbers of that standard deviation, symmetric about MEDIAN."""
    members = np.linspace(-1, 1, MEMBERS)
    return MEDIAN + members * spread / members.std(ddof=1)


def test_the_published_cost_is_one_draw_of_what_the_lab_measures(judged):
    (measured, right) = judged[0.01]
    assert measured[COST, "1000"].shape == (MEMBERS,)
    assert right["within"].all()
    assert right["lowest"] < right["published"] < right["highest"]
    assert 0 < right["spread"] < right["tolerance"]


@pytest.mark.parametrize("rate", [0.0098, 0.0105])
def test_another_learning_rate_is_out(judged, rate):
    _, wrong = judged[rate]
    assert not wrong["within"].any()
    outside = (wrong["published"] < wrong["lowest"]) | (wrong["published"] > wrong["highest"])
    assert outside.all()
    assert (wrong["used"] > 2).all()


def test_members_differ_by_rounding_and_the_first_is_the_course_s_own(training):
    with jax.enable_x64(True):
        starts = jax.device_get(jax.vmap(perturb, (None, 0))(training.params, np.arange(MEMBERS)))
    for name, layer in training.params.items():
        weight, members = layer["weight"], starts[name]["weight"]
        np.testing.assert_array_equal(members[0], weight)
        relative = members[1:] / weight - 1
        # Rounding alone, of a part in 2e16, blurs the standard deviation by 1 %.
        assert np.sqrt(np.mean(relative**2)) == pytest.approx(ROUNDING, rel=0.2)
        assert np.unique(members.reshape(MEMBERS, -1), axis=0).shape[0] == MEMBERS
        assert not starts[name]["bias"].any()


@pytest.mark.parametrize(
    ("max_steps", "steps"), [(999, []), (1000, [1000]), (6999, [1000]), (7000, [1000, 7000])]
)
def test_the_ensemble_runs_no_further_than_its_rows_need(costs, training, max_steps, steps):
    # The run's own rows on a network whose steps cost nothing.
    sizes, end = (2, 1), ("end", "")
    small = training._replace(
        sizes=sizes,
        params=course_params(3, sizes),
        task=three_points(),
        steps=8000,
        end=lambda history: {end: 0.0},
    )
    others = [costs[1000]._replace(name="another run: cost", steps=2000)]
    with jax.enable_x64(True):
        measured = measure_rows(small, [*costs.values(), *others], max_steps)
    ensembles = {label for (_, label), value in measured.items() if np.size(value) > 1}
    assert ensembles == {str(step) for step in steps}
    assert all(np.shape(measured[COST, label]) == (MEMBERS,) for label in ensembles)
    alone = {label for (_, label), value in measured.items() if np.size(value) == 1}
    # A run takes one step at least.
    assert alone - {"1"} == {str(step) for step in range(0, max_steps + 1, 1000)} - ensembles
    assert end not in measured


def test_within_says_the_range_and_the_share(row):
    line, text, code = _judge(row._replace(published=np.asarray(MEDIAN)), _members(0.0009))
    assert code == 0
    assert line["measured"] == pytest.approx(MEDIAN)
    assert line["spread"] == pytest.approx(0.0009)
    share = float(np.mean(np.abs(_members(0.0009) - MEDIAN) <= 0.001))
    assert f"within the range of 64 starts that differ by rounding; {share:.0%} of them" in text
    assert f"0.6 [{line['lowest']:.6g}, {line['highest']:.6g}]" in text


@pytest.mark.parametrize("end", ["lowest", "highest"])
def test_the_range_ends_at_its_last_member_and_nothing_is_added(row, end):
    members = _members(0.0005)
    last = {"lowest": members.min(), "highest": members.max()}[end]
    line, _, code = _judge(row._replace(published=np.asarray(last)), members)
    assert (line["within"], code) == (True, 0)
    assert line["used"] == pytest.approx(1)
    beyond = last + np.copysign(1e-9, last - MEDIAN)
    line, text, code = _judge(row._replace(published=np.asarray(beyond)), members)
    assert (line["within"], code) == (False, 1)
    assert line["used"] > 1
    assert abs(beyond - MEDIAN) < line["tolerance"], "the median alone would do"
    assert "OUT: not in the range of 64 starts" in text


def test_members_too_far_apart_are_out(row):
    published = row._replace(published=np.asarray(MEDIAN))
    assert _judge(published, _members(0.000999))[2] == 0
    line, text, code = _judge(published, _members(0.001001))
    assert (line["within"], code) == (False, 1)
    assert line["used"] == pytest.approx(1.001)
    assert "OUT: in the range of 64 starts that differ by rounding, whose standard" in text


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_member_that_is_not_finite_puts_the_row_out(row, broken):
    members = _members(0.0005)
    members[3] = broken
    _, text, code = _judge(row._replace(published=np.asarray(MEDIAN)), members)
    assert code == 1
    assert "OUT" in text


def test_equal_members_hold_only_their_own_number(row):
    members = np.full(MEMBERS, MEDIAN)
    assert _judge(row._replace(published=np.asarray(MEDIAN)), members)[2] == 0
    assert _judge(row._replace(published=np.asarray(MEDIAN + 1e-9)), members)[2] == 1


@pytest.mark.parametrize("shape", [(), (1,), (64, 2)])
def test_what_is_no_ensemble_is_refused(row, shape):
    with pytest.raises(ValueError, match=r"chaotic: one published number and \[members\] measured"):
        published.compare([row], {(row.name, row.label): np.ones(shape)})
