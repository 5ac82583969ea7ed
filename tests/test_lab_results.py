"""The lab's own results: what their cells measure, against the thing itself, and their tables."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from matplotlib.figure import Figure

from experiments.lab_results import escape, first_order, question, riddling, small_starts
from experiments.lab_results.figure import PICTURES
from initlab import networks, report, symmetry

QUESTIONS = {
    "escape": escape.QUESTION,
    "small_starts": small_starts.QUESTION,
    "first_order": first_order.QUESTION,
    "riddling": riddling.QUESTION,
}


def flow_by_hand(eps, seed, rate):
    """Time of the escape of two small linear layers, by plain descent at one rate."""
    keys = jax.random.split(jax.random.key(seed), 4)
    x = np.asarray(jax.random.normal(keys[0], (escape.EXAMPLES, escape.INPUTS)))
    teacher = np.asarray(jax.random.normal(keys[1], (escape.INPUTS,)))
    y = x @ teacher
    y = y / np.sqrt(np.mean(y**2))
    sizes = [
        np.exp(float(jax.random.normal(jax.random.fold_in(keys[2], number))) / 4)
        for number in (0, 1)
    ]
    along = teacher / np.linalg.norm(teacher)
    along = along + np.asarray(jax.random.normal(keys[3], (escape.INPUTS,))) / 2
    first = eps * sizes[0] * np.repeat(along[:, None], escape.WIDTH, axis=1)
    second = eps * sizes[1] * np.full(escape.WIDTH, 1 / escape.WIDTH)
    time = 0.0
    while True:
        hidden = x @ first
        off = hidden @ second - y
        if np.mean(off**2) <= escape.ESCAPED:
            return time
        second_slope = hidden.T @ off / len(y)
        first -= rate * x.T @ np.outer(off, second) / len(y)
        second = second - rate * second_slope
        time += rate


# The smoke run holds its power.
@pytest.mark.thorough
def test_an_escape_takes_the_time_of_plain_descent():
    with jax.enable_x64(True):
        run = jax.jit(escape.escape_of("identity", 2, 2, 0.02, 500))
        found = run(jnp.int64(3), jnp.float64(0.1))
        wanted = flow_by_hand(0.1, 3, 0.005)
    assert abs(float(found["time"]) / wanted - 1) < 0.03
    # Two layers of one scale: a difference grows with them.
    assert abs(float(found["growth"] - found["distance"])) < 2


def test_powers_are_those_of_the_times():
    cells = escape.QUESTION.cells("small", 0)
    inverse = np.array(cells[0]["inverse_scales"], float)
    seeds = np.array([[1.0], [1.5]])
    found = {
        "time": seeds * inverse**2,
        "growth": 1.5 * np.log(inverse) + seeds,
        "distance": np.log(inverse) + 0 * seeds,
    }
    summary = escape.summarize(escape.QUESTION.assemble(cells, [found]))
    (row,) = summary["rows"]
    np.testing.assert_allclose(row["power"], -2)
    np.testing.assert_allclose(row["growth"], 1.5)
    assert row["escaped"] == row["seeds"] == 2
    assert "-2.000" in escape.QUESTION.show(summary)


# The law itself and both theories have tests of their own.
@pytest.mark.thorough
def test_the_law_and_the_first_order_are_set_side_by_side():
    cell = first_order.QUESTION.cells("small", 0)[0] | {"draws": 500, "depth": 3}
    with jax.enable_x64(True):
        found = first_order.find(cell)
    # z_1 is exact, and 1 - c of it but for its own width.
    assert abs(found["q"][0] - 1) < 5 * found["q_error"][0]
    assert found["q_wide"][0] == found["q_first"][0] == 1
    for kind in first_order.KINDS:
        off = found[f"{kind}_first"] - found[kind]
        assert (np.abs(off) < 5 * found[f"{kind}_error"] + 0.02 * found[kind]).all()
        assert found[f"{kind}_first"][3] != found[f"{kind}_wide"][3]


def test_a_reach_has_the_ends_that_the_errors_allow():
    off = np.array([0, 0.03, 0.06, 0.04, 0.06, 0.09])
    assert first_order.reach_of(off, np.full(6, 1e-3)) == [4, 4, 4]
    assert first_order.reach_of(-off, np.full(6, 6e-3)) == [4, 2, 5]
    assert first_order.reach_of(off / 2, np.full(6, 1e-3)) == [None, None, None]


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_the_power_of_the_width_in_a_reach(power):
    reaches = {width: [round(width**power)] * 3 for width in (16, 64, 256, 1024)}
    found = first_order._power(reaches)
    assert found is not None
    value, low, high = found
    assert low < power < high
    assert abs(value - power) < 0.02
    assert first_order._power({8: [1, 1, 1], 16: [2, 2, None]}) is None


def test_a_run_ends_at_its_target_or_its_time_after_the_plateau():
    def ends(losses, after):
        event = small_starts.settled(0.5, 0.1, after)
        steps = np.arange(len(losses), dtype=np.int32)
        carry = event.start(jax.ShapeDtypeStruct((), np.float32), steps)
        for step, loss in zip(steps, losses, strict=True):
            carry = event.update(carry, jnp.asarray(step), jnp.float32(loss))
        return int(event.result(carry))

    assert ends([0.9, 0.4, 0.3, 0.3, 0.3], 2) == 3
    assert ends([0.9, 0.4, 0.05, 0.3, 0.3], 3) == 2
    assert ends([0.9, 0.9, 0.9, 0.4, 0.4], 2) == -1
    assert ends([0.9, np.nan, 0.4, 0.6, 0.6], 2) == 4


def test_shares_that_fall_are_named():
    cells = small_starts.QUESTION.cells("small", 100)
    reached = np.where(np.arange(100) < np.array([[60], [20]]), 50, -1)
    found = [
        {
            "left": np.full(100, 10),
            "reached": each,
            "last_loss": np.where(each >= 0, 1e-5, 0.03),
            "orientations": np.full(100, 2.0),
        }
        for each in reached
    ]
    results = small_starts.QUESTION.assemble(cells, found)
    summary = small_starts.summarize(results)
    assert summary["falls"] == [[0.01, 0.3]]
    assert [row["interval"] for row in summary["rows"]] == [
        list(report.wilson_interval(count, 100)) for count in (60, 20)
    ]
    assert "from 0.01 to 0.3" in small_starts.QUESTION.show(summary)


def test_windows_near_copies():
    cells = riddling.QUESTION.cells("small", 0)
    pixels = cells[0]["pixels"]
    spread = np.where(np.arange(pixels) < np.array([8, 0])[:, None, None], 1.0, 1e-9)
    spread = np.broadcast_to(spread, (2, pixels, pixels)).copy()
    spread[0, 0, 0] = np.nan
    results = riddling.QUESTION.assemble(cells, [{"spread": spread, "loss": spread}])
    (row,) = riddling.summarize(results)["rows"]
    assert (row["borders"], row["windows"]) == (1, 2)
    assert row["share"][0] == 0.25
    assert abs(row["exponent"][0] - 1) < 0.01
    assert row["not_finite"] == 1 / spread.size


@pytest.mark.thorough
def test_windows_are_as_far_as_they_say():
    network = networks.mlp((2, 2, 1), jnp.tanh, bias=(True, False))
    groups = symmetry.mlp_groups(network.specs)

    point = {"center": jnp.int32(1), "distance": jnp.float32(0.25), "y": jnp.zeros(())}

    @jax.jit
    def measured(x):
        middle, moved = (
            riddling._start(network, groups, point | {"x": each}) for each in (jnp.zeros(()), x)
        )
        step = jax.tree.map(lambda a, b: a - b, moved, middle)
        return optax.tree.norm(symmetry.transverse_part(middle, groups)), optax.tree.norm(step)

    np.testing.assert_allclose(measured(jnp.float32(0.5)), (0.25, 0.125), rtol=1e-5)


@pytest.mark.parametrize("asked", QUESTIONS.values(), ids=QUESTIONS)
def test_more_seeds_are_other_cells(asked):
    few, many = (asked.cells("small", seeds) for seeds in (2, 3))
    assert len(few) == len(many) < len(asked.cells("full", 0))
    assert all(one != other for one, other in zip(few, many, strict=True))


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "asked"), QUESTIONS.items(), ids=QUESTIONS)
def test_small_tables_from_cells_to_picture(name, asked):
    with jax.enable_x64(True):
        cells = asked.cells("small", 3)
        results = asked.assemble(cells, [asked.find(cell) for cell in cells])
        summary = asked.summarize(results)
    assert asked.show(summary)
    assert isinstance(PICTURES[name](results), Figure)


def test_an_interval_is_students():
    low, high = question.mean_interval(np.array([0.0, 2.0, 4.0, 6.0]))[1:]
    # t of 3 degrees of freedom at 97.5 %: 3.18245.
    np.testing.assert_allclose(high - low, 2 * 3.18245 * np.sqrt(20 / 3) / 2, rtol=1e-5)
