"""What is said of results: intervals, quartiles, tables, files."""

import json
import math

import numpy as np
import pytest
import xarray
from hypothesis import example, given, settings
from hypothesis import strategies as st

from initlab import report

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


@pytest.mark.parametrize(("successes", "runs"), [(0, 0), (-1, 5), (6, 5), (1, -3), (math.nan, 5)])
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


def test_json_is_strict_and_plain(tmp_path):
    path = tmp_path / "results.json"
    report.write_json(
        path,
        {
            "nan": math.nan,
            "infinities": [math.inf, -np.inf, 1.5],
            "array": np.array([[1.0, np.nan], [3.0, 4.0]], np.float32),
            "scalars": (np.float32(0.5), np.int64(3), np.bool_(True), np.float64(np.nan)),
            "counts": np.arange(3),
            "nested": {1: {"text": "é", "none": None, "yes": True}},
        },
    )

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    assert json.loads(path.read_text(), parse_constant=refuse) == {
        "nan": None,
        "infinities": [None, None, 1.5],
        "array": [[1.0, None], [3.0, 4.0]],
        "scalars": [0.5, 3, True, None],
        "counts": [0, 1, 2],
        "nested": {"1": {"text": "é", "none": None, "yes": True}},
    }
    assert path.read_text().endswith("}\n")
    assert [each.name for each in tmp_path.iterdir()] == ["results.json"]


def test_json_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    report.write_json(path, {"run": 1})
    # What JSON cannot hold leaves the earlier file, and nothing beside it.
    with pytest.raises(TypeError, match="not JSON serializable"):
        report.write_json(path, {"run": object()})
    assert json.loads(path.read_text()) == {"run": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["results.json"]

    # Until the last moment the text is in another file.
    seen = []

    def replace(source, target):
        seen.append((json.loads(source.read_text()), json.loads(target.read_text())))
        source.rename(target)

    monkeypatch.setattr(report.os, "replace", replace)
    report.write_json(path, {"run": 2})
    assert seen == [({"run": 2}, {"run": 1})]
    assert json.loads(path.read_text()) == {"run": 2}


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


def test_an_array_without_axes_is_a_number(tmp_path):
    report.write_json(tmp_path / "x.json", {"x": np.array(1.5), "y": np.array([np.nan, 2])})
    assert json.loads((tmp_path / "x.json").read_text()) == {"x": 1.5, "y": [None, 2.0]}


def test_a_loss_of_minus_infinity_is_not_trained():
    results = xarray.Dataset({"loss": (("seed", "step"), [[1.0, -np.inf], [1.0, 0.1]])})
    assert report.trained(results, 1.0, 0.5).values.tolist() == [False, True]
