"""What is said of results: intervals, quartiles, edges, tables."""

import math

import numpy as np
import pytest
import xarray
from hypothesis import example, given, settings
from hypothesis import strategies as st

from initlab import report

pytestmark = pytest.mark.quick

Z95 = 1.959963984540054


def _brute_force_interval(successes, runs, z):
    """Ends of the shares q that the score test does not reject, by bisection."""
    share = successes / runs

    def rejected(q):
        return (share - q) ** 2 > z * z * q * (1 - q) / runs

    ends = []
    for edge in (0.0, 1.0):
        inside, outside = share, edge
        if not rejected(edge):
            ends.append(edge)
            continue
        for _ in range(200):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if rejected(middle) else (middle, outside)
        ends.append(inside)
    return ends


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 10_000), st.data(), st.sampled_from([0.5, 1.0, Z95, 2.5758293]))
def test_the_interval_inverts_the_score_test(runs, data, z):
    successes = data.draw(st.sampled_from([0, 1, runs]) | st.integers(0, runs))
    low, high = report.wilson_interval(min(successes, runs), runs, z)
    assert 0 <= low < high <= 1
    want = _brute_force_interval(min(successes, runs), runs, z)
    np.testing.assert_allclose((low, high), want, atol=1e-9)
    # The mirrored question has the mirrored answer.
    mirrored = report.wilson_interval(runs - min(successes, runs), runs, z)
    np.testing.assert_allclose(mirrored, (1 - high, 1 - low), atol=1e-12)


def test_published_intervals():
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3.
    for successes, runs, want in (
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ):
        np.testing.assert_allclose(report.wilson_interval(successes, runs), want, atol=5e-5)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9])
def test_the_interval_covers_about_as_often_as_it_says(share):
    # Exact coverage: the sum of the binomial probabilities of the counts whose interval holds it.
    runs, coverage = 50, 0.0
    for successes in range(runs + 1):
        low, high = report.wilson_interval(successes, runs)
        if low <= share <= high:
            ways = math.comb(runs, successes)
            coverage += ways * share**successes * (1 - share) ** (runs - successes)
    assert 0.92 < coverage < 0.985


@settings(max_examples=50)
@given(st.integers(1, 500), st.integers(0, 500))
def test_more_runs_of_one_share_narrow_the_interval(runs, successes):
    successes = min(successes, runs)
    few, many = (report.wilson_interval(n * successes, n * runs) for n in (1, 4))
    assert many[1] - many[0] < few[1] - few[0]


@pytest.mark.parametrize(("successes", "runs"), [(0, 0), (-1, 5), (6, 5), (1, -3)])
def test_counts_that_do_not_fit(successes, runs):
    with pytest.raises(ValueError, match=f"must be 0 to runs, got {successes} of {runs}"):
        report.wilson_interval(successes, runs)


@pytest.mark.parametrize(
    ("losses", "want"),
    [
        ([5.0], [5, 5, 5]),
        ([4.0, 3, 2, 1], [1, 2, 3]),
        ([5.0, 1, 4, 2, 3], [2, 3, 4]),
        ([1.0, np.nan, np.inf, 2], [1, 2, np.inf]),
        ([-np.inf, 1, 2, 3], [1, 2, 3]),
        ([np.nan, np.nan, np.nan, 1], [1, np.inf, np.inf]),
        ([np.nan] * 5, [np.inf] * 3),
        ([3, 1, 2], [1, 2, 3]),
    ],
)
def test_quartiles_count_what_is_not_finite_as_infinite(losses, want):
    assert report.quartiles(np.array(losses)) == want


@settings(max_examples=50)
@given(st.lists(st.floats(width=32), min_size=1, max_size=30))
@example([math.nan, 1.0])
def test_quartiles_are_values_that_enough_runs_reach(losses):
    ranked = sorted(value if math.isfinite(value) else math.inf for value in losses)
    for share, quartile in zip((1, 2, 3), report.quartiles(np.array(losses)), strict=True):
        # The first value that at least share / 4 of the runs do not exceed.
        assert quartile == ranked[math.ceil(share * len(ranked) / 4) - 1]


def test_formats():
    assert report.format_quartiles([0.012345, 12.345, math.inf]) == "12.3 [0.0123, inf]"
    assert report.format_share(1.0, (0.72246, 1.0)) == "1.000 [0.722, 1.000]"


def test_a_table_is_aligned():
    rows = [
        {"start": "he", "loss": "0.6931", "a": "1"},
        {"start": "orthogonal", "loss": "0.5", "a": ""},
    ]
    assert report.format_table(rows).split("\n") == [
        "start       loss    a",
        "----------  ------  -",
        "he          0.6931  1",
        "orthogonal  0.5",
    ]


texts = st.text("ab.", min_size=1, max_size=20)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=5))
def test_a_table_holds_every_cell_at_its_columns_place(cells):
    names = ["one", "second column", "x"]
    rows = [dict(zip(names, row, strict=True)) for row in cells]
    header, rule, *lines = report.format_table(rows).split("\n")
    assert len(lines) == len(rows)
    assert set(rule) == {"-", " "}
    starts = [header.index(name) for name in names]
    for line, row in zip(lines, cells, strict=True):
        for start, end, cell in zip(starts, [*starts[1:], None], row, strict=True):
            assert line[start:end].rstrip() == cell
            assert not start or line[start - 2 : start] == "  "


def test_a_run_is_trained_by_its_last_loss():
    loss = np.array(
        [
            [[0.7, 0.6, 0.10], [0.1, 0.1, 0.35]],
            [[0.7, 0.1, 0.349], [0.1, 0.1, np.nan]],
            [[0.7, 0.1, np.inf], [np.nan, np.inf, 0.0]],
            [[0.7, 0.1, 0.5], [0.7, 0.7, 0.7]],
        ]
    )
    results = xarray.Dataset(
        {"loss": (("seed", "scale", "step"), loss)},
        coords={"seed": range(4), "scale": [0.1, 1.0], "step": [0, 5, 10]},
    )
    trained = report.trained(results, constant_loss=0.7, fraction=0.5)
    assert trained.dims == ("seed", "scale")
    assert trained.dtype == bool
    np.testing.assert_array_equal(
        trained, [[True, False], [True, False], [False, True], [False, False]]
    )
    np.testing.assert_array_equal(trained.scale, [0.1, 1.0])
    assert report.trained(results, constant_loss=0.7, fraction=1.0).sum() == 5


def test_a_share_of_none_or_all_lies_in_its_interval():
    for runs in range(1, 200):
        assert report.wilson_interval(0, runs)[0] == 0
        assert report.wilson_interval(runs, runs)[1] == 1


def test_quartiles_of_nothing_are_refused():
    with pytest.raises(ValueError, match="at least one value"):
        report.quartiles(np.array([]))


def test_a_loss_of_minus_infinity_is_not_trained():
    results = xarray.Dataset({"loss": (("seed", "step"), [[1.0, -np.inf], [1.0, 0.1]])})
    assert report.trained(results, 1.0, 0.5).values.tolist() == [False, True]


def test_a_cell_is_given_at_the_rate_that_trains_most_of_its_seeds():
    final = np.array(
        [  # learning_rate, scale, seed
            [[0.1, 0.9, 0.9], [np.inf, np.nan, 0.1]],
            [[0.3, 0.3, 0.9], [np.inf, np.inf, 0.9]],
            [[0.2, 0.3, np.nan], [np.nan, np.nan, np.nan]],
        ]
    )
    loss = np.stack([np.ones_like(final), final], axis=-1)
    results = xarray.Dataset(
        {"loss": (("learning_rate", "scale", "seed", "step"), loss)},
        {"learning_rate": [0.01, 0.1, 1.0], "scale": [1.0, 2.0]},
    )
    best = report.best_rates(results, constant_loss=0.7, fraction=0.5)
    # Two rates train two of three seeds and have one median: the first of them. Of the other scale
    # only the least rate trains a seed, although its median loss is infinite.
    assert best["learning_rate"].values.tolist() == [0.1, 0.01]
    assert best["trained"].values.tolist() == [2, 1]
    np.testing.assert_allclose(best["p_train"], [2 / 3, 1 / 3])
    assert best["loss"].values.tolist() == [0.3, np.inf]
    assert best["scale"].values.tolist() == [1.0, 2.0]


@settings(max_examples=50)
@given(st.lists(st.floats(0, 2) | st.just(math.nan), min_size=1, max_size=8), st.floats(0, 2))
def test_steps_are_counted_to_the_first_loss_under_the_threshold(losses, threshold):
    step = 5 * np.arange(len(losses))
    found = report.steps_to(np.array(losses), step, threshold)
    under = [at for at, loss in zip(step, losses, strict=True) if loss < threshold]
    assert found == (under[0] if under else math.inf)


def test_steps_must_fit_the_losses():
    with pytest.raises(ValueError, match=r"loss must be \[..., 2\], as step is, got \(3,\)"):
        report.steps_to(np.ones(3), np.arange(2), 0.5)


@settings(max_examples=100)
@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(-3, 3), st.floats(0.1, 2))
def test_an_edge_is_where_a_straight_line_crosses_one_half(low, high, at, wide):
    # P(train) rises from `low` to 1 and falls to `high`, on scales 10^(at - wide, at, at + wide).
    edges = report.measured_edges(10.0 ** (at + wide * np.array([-1, 0, 1])), [low, 1.0, high])
    for side, direction, end in (("small", -1, low), ("large", 1, high)):
        within = min(1.0, 0.5 / (1 - end))
        np.testing.assert_allclose(
            math.log10(edges[side][0]), at + direction * wide * within, atol=1e-9
        )
        assert edges[side][1] == (end >= 0.5)


def test_edges_of_no_and_of_one_scale():
    assert report.measured_edges([0.1, 1.0], [0.4, 0.3]) == {}
    # A scale of 0 has no logarithm, and is no place.
    assert report.measured_edges([0.0, 1.0], [1.0, 0.4]) == {}
    assert report.measured_edges([0.0, 1.0], [0.0, 0.5]) == {
        "small": (1.0, True),
        "large": (1.0, True),
    }
    # From the middle of the highest ones outward to the first fall: what lies beyond is an island.
    scale, share = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5], [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]
    edges = report.measured_edges(scale, share)
    np.testing.assert_allclose([edges[side][0] for side in ("small", "large")], [10**1.5, 10**3.5])


@pytest.mark.parametrize(
    ("scale", "share", "message"),
    [
        ([1.0, 0.1], [1.0, 1.0], "scale must be ascending and at least 0"),
        ([-1.0, 0.1], [1.0, 1.0], "scale must be ascending and at least 0"),
        ([0.1, 1.0], [1.0], "scale and share must be"),
    ],
)
def test_edges_of_scales_that_do_not_fit_are_refused(scale, share, message):
    with pytest.raises(ValueError, match=message):
        report.measured_edges(scale, share)


@settings(max_examples=50)
@given(st.dictionaries(st.text("abc", min_size=1), st.integers(0, 20), min_size=1, max_size=5))
def test_the_best_and_who_reaches_it_tie(counts):
    tied = report.tied_best({name: (count, 20) for name, count in counts.items()})
    low = report.wilson_interval(max(counts.values()), 20)[0]
    assert tied == [
        name
        for name, count in counts.items()
        if count > 0 and report.wilson_interval(count, 20)[1] >= low
    ]
    best = {name for name, count in counts.items() if 0 < count == max(counts.values())}
    assert best <= set(tied)


def test_a_tie_of_nothing_is_refused():
    with pytest.raises(ValueError, match="shares must hold at least one, got none"):
        report.tied_best({})


def test_tables_and_intervals_that_hold_nothing_are_refused():
    with pytest.raises(ValueError, match="interval must be two numbers"):
        report.format_share(0.5, [0.25])
    with pytest.raises(TypeError, match="losses must be real numbers"):
        report.quartiles(np.asarray([1j]))
    with pytest.raises(ValueError, match="rows must hold at least one row"):
        report.format_table([])
    with pytest.raises(TypeError, match="rows must be a sequence, got a bool array"):
        report.format_table(np.zeros((0, 2), bool))  # pyright: ignore[reportArgumentType] what is tested
