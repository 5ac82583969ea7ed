"""Pictures of one's own sweep: what is drawn is what the dataset holds, on any of its axes."""

import numpy as np
import pytest
import xarray
from matplotlib.collections import LineCollection

from initlab import figures
from initlab.figures.axes import edges_of
from initlab.report import wilson_interval

RNG = np.random.default_rng(0)
SCALES, RATES = [0.01, 0.1, 1.0, 10.0], [3.0, 1.0, 2.0]


def losses():
    values = RNG.uniform(0.1, 1.0, (7, 4, 3, 5))
    values[4:, 3, :, 4] = np.nan
    values[:, 0, 0, 4] = np.inf
    dims = ("seed", "scale", "rate", "step")
    coords = {"scale": SCALES, "rate": RATES, "step": [0, 1, 2, 3, 4]}
    return xarray.DataArray(values, coords, dims, name="loss", attrs={"long_name": "training loss"})


def counted(loss):
    return np.where(np.isfinite(loss.values), loss.values, np.inf)


@pytest.mark.quick
def test_a_curve_is_the_median_and_a_diverged_run_counts_as_the_largest():
    loss = losses()
    figure = figures.draw_curves(loss, by="scale", panels="rate")
    assert [axes.get_title() for axes in figure.axes] == ["rate = 3", "rate = 1", "rate = 2"]
    wanted = np.sort(counted(loss), axis=0)[3]
    for rate, axes in enumerate(figure.axes):
        assert [line.get_label() for line in axes.lines] == ["0.01", "0.1", "1", "10"]
        for scale, line in enumerate(axes.lines):
            drawn = np.asarray(line.get_ydata())
            finite = np.isfinite(wanted[scale, rate])
            np.testing.assert_allclose(drawn[finite], wanted[scale, rate][finite])
            assert np.isnan(drawn[~finite]).all()
            # The band begins at the second of seven.
            low = np.min(np.asarray(axes.collections[scale].get_paths()[0].vertices)[:, 1])
            second = np.sort(counted(loss), axis=0)[1, scale, rate]
            assert low == pytest.approx(second[finite].min())
    assert np.isnan(np.asarray(figure.axes[0].lines[0].get_ydata())[4])
    assert figure.axes[0].get_ylabel() == "training loss"


@pytest.mark.quick
def test_shares_say_their_intervals_and_lie_where_they_belong():
    successes = losses().isel(step=0) < 0.5
    figure = figures.draw_shares(successes, x="rate", y="scale", theory={"edge": ([1, 3], [1, 1])})
    axes = figure.axes[0]
    counts = successes.sortby("rate").sum("seed").transpose("scale", "rate").values
    mesh = np.asarray(axes.collections[0].get_array()).reshape(counts.shape)
    np.testing.assert_allclose(mesh, counts / 7)
    for text, (row, column) in zip(axes.texts, np.ndindex(*counts.shape), strict=False):
        assert text.get_position() == (sorted(RATES)[column], SCALES[row])
        low, high = wilson_interval(int(counts[row, column]), 7)
        assert text.get_text() == f"{counts[row, column] / 7:.2f}\n{low:.2f} to {high:.2f}"
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "log")
    assert axes.lines[-1].get_label() == "edge"


@pytest.mark.parametrize("with_zero", ["x", "y"])
def test_a_zero_among_scales_has_a_place_of_its_own(with_zero):
    scales, others = [0.0, 0.01, 0.1, 1.0], [1.0, 2.0]
    other = "y" if with_zero == "x" else "x"
    successes = np.zeros((3, 4, 2), bool)
    successes[:, 2:] = True
    coords = {with_zero: scales, other: others}
    data = xarray.DataArray(successes, coords, ("seed", with_zero, other))
    axes = figures.draw_shares(data, x="x", y="y").axes[0]
    assert getattr(axes, f"get_{with_zero}scale")() == "symlog"
    axis = 0 if with_zero == "x" else 1
    drawn = [axes.transData.transform(text.get_position())[axis] for text in axes.texts]
    np.testing.assert_allclose(np.diff(sorted(set(np.round(drawn, 6)))), np.ptp(drawn) / 3)
    # Where shares fall under one half, a line along the cells' border, which crosses no text.
    (border,) = [each for each in axes.collections if isinstance(each, LineCollection)]
    segments = np.asarray(border.get_segments())
    np.testing.assert_allclose(segments[..., axis], 10**-1.5)


def test_a_large_map_marks_what_is_not_decided():
    dims, count = ("seed", "y", "x"), 12
    successes = np.zeros((9, count, count), bool)
    successes[:, :, 6:] = True
    successes[:4, 3, :] = True
    figure = figures.draw_shares(xarray.DataArray(successes, dims=dims), x="x", y="y")
    (dots,) = [line for line in figure.axes[0].lines if "1/2" in str(line.get_label())]
    assert np.asarray(dots.get_xydata()).tolist() == [[float(x), 3.0] for x in range(6)]


def test_a_map_is_the_median_with_contours_and_grey_where_none_is_finite():
    loss = losses().isel(step=4)
    figure = figures.draw_map(loss, x="scale", y="rate", levels=(0.5,))
    mesh = np.ma.asarray(figure.axes[0].collections[0].get_array()).reshape(3, 4)
    assert mesh.mask.tolist() == [[False] * 4, [False] * 4, [True, False, False, False]]
    middle = np.sort(counted(loss.sortby("rate")), axis=0)[3].T
    np.testing.assert_allclose(mesh.compressed(), middle[np.isfinite(middle)])


def test_names_lie_side_by_side():
    successes = xarray.DataArray(
        np.ones((4, 2, 1), bool),
        {"activation": ["tanh", "$relu$"]},
        ("s", "activation", "depth"),
    )
    axes = figures.draw_shares(successes, x="activation", y="depth", over="s").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["tanh", r"\$relu\$"]


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        ([1.0, 10.0, 100.0], [0.1**0.5, 10**0.5, 1000**0.5, 1e5**0.5]),
        ([5.0], [4.5, 5.5]),
        # A 0 lies one step below the least: half of the straight part between them is its own.
        ([0.0, 1.0, 10.0, 100.0], [-0.5, 0.5, 10**0.5, 1000**0.5, 1e5**0.5]),
        ([0.0, 0.01, 1.0], [-0.005, 0.005, 0.1, 10.0]),
        ([0.0, 1.0, 2.0], [-0.5, 0.5, 1.5, 2.5]),
    ],
)
def test_cells_meet_halfway_on_their_own_scale(values, edges):
    np.testing.assert_allclose(edges_of(np.asarray(values)), edges)


@pytest.mark.parametrize(
    ("draw", "options", "said"),
    [
        (figures.draw_curves, {"by": "scael"}, r"by must be one of \[.*got 'scael'"),
        (
            figures.draw_curves,
            {"by": "scale"},
            r"got also {'rate': 3}: .*isel\(rate=0",
        ),
        (figures.draw_curves, {"by": "step"}, "along and by and over must be different dimensions"),
        (figures.draw_map, {"x": "scale", "y": "rate"}, "got also {'step': 5}"),
        (
            figures.draw_map,
            {"x": "scale", "y": "rate", "theory": {"edge": [1, 2]}},
            r"theory\['edge'\] must be \(xs, ys\)",
        ),
    ],
)
def test_what_cannot_be_drawn_is_said(draw, options, said):
    loss = losses().isel(step=slice(1)) if "theory" in options else losses()
    with pytest.raises(ValueError, match=said):
        draw(loss, **options)
    if draw is figures.draw_map:
        with pytest.raises(TypeError, match="successes must be truth values, got float64"):
            figures.draw_shares(loss, x="scale", y="rate")
