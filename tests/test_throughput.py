"""The throughput binary: sides that compute the same training, honest counts, what is written."""

import dataclasses
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray
from forks import run_module
from thorough import rows

from experiments.throughput import tables, timings
from experiments.throughput.baselines import (
    BATCHED,
    LOOPS,
    Program,
    Timed,
    installed,
    prepare,
    sides_of,
)
from experiments.throughput.figure import draw_throughput
from experiments.throughput.timings import COMPARED_STEPS, check_agreement
from experiments.throughput.workloads import SIZES, count_flops, draw_starts, make_workload

HAS_TORCH = importlib.util.find_spec("torch") is not None
RUNS = 3


def _np_loss(work, params):
    h = work.x.astype(np.float64)
    *hidden, last = params.values()
    for layer in hidden:
        h = np.tanh(h @ layer["weight"] + layer["bias"])
    z = h @ last["weight"] + last["bias"]
    if z.shape[1] == 1:
        z = np.concatenate([np.zeros_like(z), z], axis=1)
    chosen = z[np.arange(len(z)), work.y]
    return np.mean(np.log(np.exp(z).sum(axis=1)) - chosen)


def test_the_lab_and_plain_jax_train_convolutions_alike():
    work = make_workload(dataclasses.replace(SIZES["conv"], examples=4), 0.1, 1.2)
    assert sides_of(work) == ("lab", "plain_vmap", "jit_loop")
    starts = draw_starts(work, 2)
    with jax.numpy_rank_promotion("allow"):
        lab, plain = (prepare(side, work, starts, 2).measure().losses for side in BATCHED[:2])
    np.testing.assert_allclose(lab, plain, rtol=1e-5)


@pytest.mark.parametrize("size", rows(["2-10-5-1", "64-128-10"], {"2-10-5-1"}))
def test_all_sides_compute_the_same_training(size):
    work = make_workload(SIZES[size], 0.1, 1.2)
    starts = draw_starts(work, RUNS)
    # Baselines are written plainly: a bias is added to a matrix.
    with jax.numpy_rank_promotion("allow"):
        losses = {side: prepare(side, work, starts, 4).measure().losses for side in installed()}
    assert {"lab", "plain_vmap", "jit_loop", "numpy"} <= set(losses)
    for side, each in losses.items():
        assert each.shape == (RUNS,), side
        np.testing.assert_allclose(each, losses["numpy"], rtol=1e-5, err_msg=side)
    # They did descend, each from its own start.
    params = jax.device_get(starts)
    own = [jax.tree.map(lambda leaf, n=n: leaf[n], params) for n in range(RUNS)]
    assert (losses["lab"] < 0.999 * np.asarray([_np_loss(work, each) for each in own])).all()
    assert np.unique(losses["lab"]).size == RUNS


def test_the_loop_of_numpy_descends_the_gradient():
    # The oracle of the others: its step against finite differences in float64.
    work = make_workload((2, 2, 1), 0.5, 0.01)
    starts = draw_starts(work, 1)
    params = jax.tree.map(lambda leaf: np.asarray(leaf[0], np.float64), jax.device_get(starts))
    square = 0.0
    for layer in params.values():
        for leaf in layer.values():
            for place in np.ndindex(leaf.shape):
                kept, ends = leaf[place], []
                for shift in (1e-5, -1e-5):
                    leaf[place] = kept + shift
                    ends.append(_np_loss(work, params))
                leaf[place] = kept
                square += ((ends[0] - ends[1]) / 2e-5) ** 2
    (before,), (after,) = (prepare("numpy", work, starts, n).measure().losses for n in (0, 1))
    np.testing.assert_allclose(before, _np_loss(work, params), rtol=1e-6)
    np.testing.assert_allclose(before - after, work.learning_rate * square, rtol=0.05)


def test_sides_of_pytorch_are_measured_only_where_it_is_installed():
    assert ("torch_loop" in installed()) == ("torch_vmap" in installed()) == HAS_TORCH


@pytest.mark.parametrize("wrong", [0.51, np.nan, np.inf])
def test_a_side_that_computes_something_else_stops_the_comparison(wrong):
    right = np.asarray([0.5, 0.6])
    check_agreement({"lab": right, "numpy": right * (1 + 1e-5)}, "2-4-1")
    message = f"2-4-1: numpy and lab do not compute .* after {COMPARED_STEPS} steps"
    with pytest.raises(ValueError, match=message):
        check_agreement({"lab": right, "numpy": np.asarray([wrong, 0.6])}, "2-4-1")


@pytest.mark.parametrize("sizes", [(2, 64, 64, 1), (64, 128, 10)], ids=str)
def test_the_operations_are_those_that_the_compiler_counts(sizes):
    work = make_workload(sizes, 0.1, 1.2)

    def score(params):
        h = work.x
        for layer in params.values():
            h = jnp.tanh(h @ layer["weight"] + layer["bias"][None])
        return jnp.sum(h)

    first = jax.tree.map(lambda leaf: leaf[0], draw_starts(work, 1))
    analysis = jax.jit(jax.grad(score)).lower(first).cost_analysis()
    assert analysis is not None
    counted = analysis["flops"]
    # The compiler adds sums and slopes, which grow with one width.
    assert 0.85 < count_flops(sizes, len(work.x)) / counted < 1


def results_dataset():
    """Two sizes, three rounds; the sides of PyTorch were not measured."""
    sides = (*BATCHED, *LOOPS)
    seconds = np.full((2, len(sides), 3), np.nan)
    seconds[:, sides.index("lab")] = [1.0, 2.0, 4.0]
    seconds[:, sides.index("plain_vmap")] = [4.0, 2.0, 12.0]
    seconds[:, sides.index("jit_loop")] = 1.0
    seconds[:, sides.index("numpy")] = [1.0, 1.0, 16.0]
    measured = np.isfinite(seconds[0, :, 0])
    runs = np.where(measured, [8 if side in BATCHED else 1 for side in sides], 0)
    cost = np.asarray([[2.0, 3.0], [4.0, np.nan]])
    return xarray.Dataset(
        {
            "run_seconds": (("size", "side", "round"), seconds),
            "compile_seconds": (("size", "side", "round"), 0.5 * seconds),
            "runs": (("size", "side"), [runs, runs]),
            "steps": (("size", "side"), 10 * np.ones((2, len(sides)), int)),
            "flops": ("size", [100, 200]),
            "functions": ("size", [10, 20]),
            "peak": ("size", [4000.0, 8000.0]),
            "tanh_peak": ("size", [800.0, 400.0]),
            "cost_seconds": (("cost_side", "cost_runs"), cost),
            "cost_compile_seconds": (("cost_side", "cost_runs"), cost / 2),
            "cost_run_seconds": (("cost_side", "cost_runs"), cost / 2),
            "cost_gib": (("cost_side", "cost_runs"), np.asarray([[0, 0], [1.0, 12.0]])),
            "cost_steps": ("cost_runs", [10, 5]),
        },
        coords={
            "size": np.asarray(["2-4-1", "64-128-10"], dtype=object),
            "side": np.asarray(sides, dtype=object),
            "cost_side": np.asarray(["lab", "plain_vmap"], dtype=object),
            "cost_runs": [100, 1000],
        },
        attrs={"platform": "cpu", "cost_size": "2-4-1", "left_out": ""},
    )


def test_a_ratio_is_the_median_of_the_rounds_ratios():
    summary = tables.summarize(results_dataset(), {})
    # The rounds' ratios are 4, 1 and 3; the medians' ratio would be 2.
    assert summary["ratio_to_plain_vmap"] == {"2-4-1": 3.0, "64-128-10": 3.0}
    # 8 runs against 1: ratios 8, 4 and 32.
    assert summary["ratio_to_numpy"] == {"2-4-1": 8.0, "64-128-10": 8.0}
    assert summary["run_steps_per_second"]["2-4-1"] == {
        "lab": 40.0,
        "plain_vmap": 20.0,
        "jit_loop": 10.0,
        "numpy": 10.0,
    }
    # Of the best peak that was measured.
    assert summary["share_of_peak"]["2-4-1"]["lab"] == 0.5
    assert summary["share_of_peak"]["64-128-10"]["lab"] == 1.0
    assert summary["compile_seconds"]["2-4-1"]["lab"] == 0.5
    assert summary["share_of_tanh_limit"]["2-4-1"]["lab"] == 0.5
    assert summary["not_measured"]["2-4-1"] == ["torch_vmap", "torch_loop"]


def test_what_no_time_was_left_for_is_left_out_and_said():
    results = results_dataset()
    # One round of all, and of one size alone what NumPy does.
    run_seconds = results["run_seconds"].where(results["round"] == 0)
    lacks = (results["size"] == "64-128-10") & (results["side"] == "numpy")
    results["run_seconds"] = run_seconds.where(~lacks)
    summary = tables.summarize(results.assign_attrs(left_out="conv"), {})
    assert summary["ratio_to_plain_vmap"] == {"2-4-1": 4.0, "64-128-10": 4.0}
    assert set(summary["ratio_to_numpy"]) == {"2-4-1"}
    assert "numpy" in summary["not_measured"]["64-128-10"]
    assert "for want of time or interrupted: conv" in tables.show(summary, {})
    # Not even a cost.
    figure = draw_throughput(results.isel(cost_runs=slice(0)))
    figure.canvas.draw()
    assert len(figure.axes) == 1


def test_ctrl_c_keeps_the_rounds_that_are_whole(monkeypatch):
    work = make_workload(SIZES["2-2-1"], 0.1, 1.2)
    sides = sides_of(work)
    # All sides' agreement, one round, one side of the next.
    seconds = iter([1.0] * (2 * len(sides) + 1))

    def measure():
        for each in seconds:
            return Timed(np.ones(8), run_seconds=each, compile_seconds=0.25)
        raise KeyboardInterrupt

    monkeypatch.setattr(timings, "prepare", lambda *_: Program(measure))
    for name in ("draw_starts", "measure_peak", "measure_tanh"):
        monkeypatch.setattr(timings, name, lambda *_: 1.0)
    found = timings.time_sides("2-2-1", work, runs=8, steps=3, seconds=1.0, rounds=3)
    assert found.attrs["interrupted"]
    whole = found["run_seconds"].sel(side=list(sides)).notnull()
    assert whole.all("side").values.tolist() == [True, False, False]
    assert not whole.isel(round=1).any()
    first = found.sel(side=list(sides)).isel(round=0)
    assert set(first["run_seconds"].values) == {1.0}
    assert set(first["compile_seconds"].values) == {0.25}


def test_what_is_below_the_wanted_ratios_is_said_on_a_cpu_only():
    results = results_dataset()
    below = tables.summarize(results, {})["below_wanted"]
    assert below == [
        {"size": "2-4-1", "over": "plain_vmap", "ratio": 3.0, "wanted": 5},
        {"size": "2-4-1", "over": "numpy", "ratio": 8.0, "wanted": 15},
    ]
    assert tables.summarize(results.assign_attrs(platform="gpu"), {})["below_wanted"] == []


def test_every_size_has_its_wanted_ratios():
    assert set(tables.WANTED) == {*tables.WANTED_OVER_NUMPY, "conv"} == set(SIZES)


def test_the_tables_say_what_was_not_measured():
    text = tables.show(tables.summarize(results_dataset(), {}), {})
    assert text.count("not measured") == 4
    assert "2-4-1 3.00 times plain_vmap (wanted 5), 2-4-1 8.00 times numpy (wanted 15)" in text
    (row,) = [line.split() for line in text.splitlines() if "needs 12 GiB" in line]
    assert row[:3] == ["1000", "5", "plain_vmap"]


def test_the_figure_draws_what_was_measured():
    results = results_dataset()
    paces, costs = draw_throughput(results).axes
    _, labels = paces.get_legend_handles_labels()
    assert labels == ["lab", "plain_vmap", "jit_loop", "numpy"]
    drawn = {line.get_label(): np.asarray(line.get_ydata()) for line in costs.lines}
    np.testing.assert_allclose(drawn["lab"], [1000 / 1, 5000 / 1.5])
    np.testing.assert_allclose(drawn["plain_vmap, compilation included"], [1000 / 4, np.nan])


def test_flags_that_do_not_fit_are_refused(tmp_path):
    said = run_module("experiments.throughput", "--most_runs=99", f"--out={tmp_path}")
    assert said.returncode != 0
    assert "most_runs" in said.stderr + said.stdout
    assert not any(tmp_path.iterdir())
