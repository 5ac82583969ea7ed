"""Figures: what is drawn is what the dataset holds, and the same data give the same file."""

import numpy as np
import pytest
import xarray

from experiments.framework_defaults.figure import draw_defaults
from experiments.phase_diagram.figure import draw_phases
from experiments.random_initialization import figure as starts_figure
from experiments.saturation.figure import draw_saturation
from experiments.what_breaks_symmetry.figure import draw_breaking
from experiments.zero_initialization.figure import draw_induction
from initlab import figures


def starts_dataset():
    rng = np.random.default_rng(0)
    loss = rng.uniform(0.2, 2.0, size=(3, 5, 4))
    loss[2, 0, -1] = np.nan
    return xarray.Dataset(
        {
            "loss": (("start", "seed", "step"), loss),
            "boundary": (("start", "grid_y", "grid_x"), rng.uniform(size=(3, 4, 4))),
            "points": (("example", "coordinate"), rng.normal(size=(6, 2))),
            "labels": ("example", np.asarray([0, 1, 0, 1, 0, 1])),
        },
        coords={
            "start": np.asarray(["zero", "1", "He"], dtype=object),
            "step": [0, 10, 20, 30],
            "grid_x": np.linspace(-1, 1, 4),
            "grid_y": np.linspace(-1, 1, 4),
        },
    )


def draw_starts():
    return starts_figure.draw_starts(
        starts_dataset(), named=1, trained_under=0.35, shares=[0.0, 0.5, 1.0], title="title"
    )


@pytest.mark.quick
def test_a_curve_is_the_median_over_the_finite_seeds():
    curves = draw_starts().axes[0]
    drawn = {line.get_label(): np.asarray(line.get_ydata()) for line in curves.lines}
    wanted = np.nanmedian(starts_dataset()["loss"].values, axis=1)
    for index, name in enumerate(("zero", "1", "He")):
        np.testing.assert_allclose(drawn[name], wanted[index])


def test_every_start_has_its_panel_with_its_share():
    titles = [axes.get_title() for axes in draw_starts().axes[1:]]
    assert titles[:3] == ["zero: 0% trained", "1: 50% trained", "He: 100% trained"]


NAMES = ["$x_1$", "_hidden", "a\\b\\frac{", "\x1b[31m\x00", "", "zarr.json", "$"]


def test_any_name_is_drawn_as_it_is(tmp_path):
    sizes, layers = [8, 16], np.asarray(NAMES, dtype=object)
    start = np.ones((2, 3, len(NAMES)))
    check = xarray.Dataset(
        {
            "start": (("width", "seed", "layer"), start),
            "change": (("width", "seed", "step", "layer"), start[:, :, None]),
            "predicted_start": ("layer", np.zeros(len(NAMES))),
            "predicted_change": ("layer", np.zeros(len(NAMES))),
        },
        coords={"width": sizes, "layer": layers, "step": [1]},
        attrs={"axis": "width", "verdict": "pass"},
    )
    figures.draw_coordinates({NAMES[0]: check}).savefig(tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    # Matplotlib writes each text into the file, as a comment beside its glyphs.
    shown = ["$x_1$", " _hidden", "a\\b\\frac{", "\\x1b[31m\\x00", "zarr.json", "$"]
    assert all(f"<!-- {name} -->" in text for name in shown)
    assert "<!-- $x_1$: pass -->" in text
    assert text.replace("\n", "").isprintable()


def test_the_same_results_give_the_same_picture(tmp_path):
    for name in ("first", "second"):
        figures.save(draw_starts(), tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    assert "<svg" in (tmp_path / "first.svg").read_text()
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.quick
def test_saturation_is_drawn_against_the_scale():
    rng = np.random.default_rng(0)
    dims = ("activation", "scale", "seed", "step", "layer")
    share = rng.uniform(size=(2, 3, 5, 3, 2))
    results = xarray.Dataset(
        {
            "saturation": (dims, share),
            "gradient_norm": (dims, share),
            "weight_norm": (dims, 2 * np.ones_like(share)),
            "loss": (dims[:-1], np.where(share[..., 0] < 0.1, np.nan, share[..., 0])),
        },
        coords={
            "activation": np.asarray(["tanh", "relu"], dtype=object),
            "scale": [0.1, 1.0, 10.0],
            "step": [0, 100, 1000],
        },
    )
    panels = draw_saturation(results).axes
    assert len(panels) == 6
    np.testing.assert_allclose(
        np.asarray(panels[0].lines[1].get_ydata()), np.median(share[1, :, :, 0, 0], axis=1)
    )
    np.testing.assert_allclose(
        np.asarray(panels[2].lines[0].get_ydata()), np.median(share[0, :, :, 0, 0], axis=1) / 2
    )
    assert panels[5].get_title() == "loss after 1000 steps (nats)"


def test_a_broken_fact_is_coloured_apart_and_counted():
    alone = np.ones((1, 2, 2, 3), bool)
    alone[0, 1, 0, 2] = False
    dims = ("activation", "depth", "width")
    whole = np.ones((1, 2, 2), bool)
    steps = [0, 1]
    results = xarray.Dataset(
        {
            "base": ((*dims, "task", "constant"), np.ones((1, 2, 2, 2, 3), bool)),
            "step_holds": ((*dims, "task"), np.ones((1, 2, 2, 2), bool)),
            "alone": ((*dims, "constant"), alone),
            "together": (dims, whole),
            "logistic_loss": (("start", "seed", "training_step"), np.ones((3, 2, 2))),
            "wide_loss": (("net", "training_step"), np.ones((3, 2))),
        },
        coords={
            "depth": [1, 2],
            "width": [2, 5],
            "start": np.asarray(["zero", "constant", "random"], dtype=object),
            "net": np.asarray(["symmetric", "one unit", "random"], dtype=object),
            "training_step": steps,
        },
    )
    facts = draw_induction(results).axes[0]
    texts = {text.get_position(): text.get_text() for text in facts.texts}
    assert texts[(0, 1)] == "11\nof 12"
    assert texts[(1, 1)] == "12\nof 12"
    colors = np.asarray(facts.images[0].get_array())
    assert colors.tolist() == [[1, 1], [0, 1]]


def test_a_truth_table_has_a_coloured_cell_with_its_code_for_each_start_and_treatment():
    outcome = np.asarray([[[0, 1, 4], [2, 3, 4]]])
    code = np.asarray([[[".", "=1", "0W 2/2"], ["/1", "1o 0/2", "1d 2/2"]]], dtype=object)
    dims = ("activation", "start", "treatment")
    cells = xarray.Dataset(
        {"outcome": (dims, outcome), "code": (dims, code)},
        coords={
            "activation": ["tanh"],
            "start": ["0 0 0", "0 0 r"],
            "treatment": ["full batch", "Adam", "dropout"],
        },
    )
    names = ["still", "equal", "unequal", "broken", "learns"]
    grid, below = draw_breaking(cells, outcomes=names, legend="what it says").axes
    assert np.asarray(grid.images[0].get_array()).tolist() == outcome[0].tolist()
    texts = {text.get_position(): text.get_text() for text in grid.texts}
    assert texts == {(column, row): code[0, row, column] for row, column in np.ndindex(2, 3)}
    legend = below.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == names
    assert below.texts[0].get_text() == "what it says"


def test_a_signal_has_its_difference_in_standard_errors_below_it():
    rng = np.random.default_rng(0)
    dims, kinds = ("activation", "seed", "layer"), ("activation", "kind", "layer")
    columns = {}
    for name in ("length", "decorrelation", "gradient"):
        columns[name] = (dims, rng.uniform(0.5, 1, (2, 5, 3)))
        columns[f"{name}_predicted"] = (kinds, rng.uniform(0.5, 1, (2, 2, 3)))
        columns[f"{name}_off"] = (kinds, rng.normal(size=(2, 2, 3)))
    results = xarray.Dataset(
        columns,
        {"activation": ["tanh", "relu"], "kind": ["wide", "finite"], "layer": ["1", "2", "3"]},
        {"errors": 3.0},
    )
    panels = figures.draw_signal(results, title="title").axes
    assert len(panels) == 12
    for place, name in ((0, "length"), (4, "decorrelation"), (8, "gradient")):
        drawn = [np.asarray(line.get_ydata()) for line in panels[place + 1].lines]
        wanted = results.sel(activation="relu")
        np.testing.assert_allclose(drawn[0], wanted[name].mean("seed"))
        np.testing.assert_allclose(drawn[2], wanted[f"{name}_predicted"].sel(kind="finite"))
        strip = np.asarray(panels[place + 3].lines[-1].get_ydata())
        off = wanted[f"{name}_off"].sel(kind="finite").values
        np.testing.assert_allclose(strip, off[:2] if name == "gradient" else off)


def test_networks_are_coloured_on_the_scale_of_their_map():
    rng = np.random.default_rng(0)
    grid = ("sigma_w2", "sigma_b2")
    results = xarray.Dataset(
        {
            **{f"map_{name}": (grid, rng.uniform(0.5, 1, (4, 3))) for name in ("chi1", "c")},
            "map_xi_c": (grid, np.full((4, 3), np.inf)),
            "critical_sigma_w2": ("sigma_b2", [1.0, np.nan, np.nan]),
            "growth_measured": (("network", "seed"), np.asarray([[0.8, 1.0], [1.2, 1.4]])),
            "decorrelation_measured": (("network", "seed"), np.full((2, 2), 0.25)),
            "network_sigma_w2": ("network", [1.0, 2.0]),
            "network_sigma_b2": ("network", [0.0, 0.1]),
        },
        {"sigma_w2": [0.5, 1.0, 1.5, 2.0], "sigma_b2": [0.0, 0.1, 0.2]},
        {"activation": "relu", "width": 8, "depth": 3, "correlation": 0.5},
    )
    left, right = draw_phases(results).axes[:2]
    for axes, wanted in ((left, [0.9, 1.3]), (right, [0.75, 0.75])):
        image, dots = axes.collections[0], axes.collections[-1]
        np.testing.assert_allclose(np.asarray(dots.get_array()), wanted)
        assert dots.norm is image.norm
        # relu's critical line is one point.
        assert axes.lines[0].get_marker() == "*"
        assert np.asarray(axes.lines[0].get_xdata()).tolist() == [1.0]


def test_other_libraries_layers_are_drawn_at_their_variance_and_depth():
    results = xarray.Dataset(
        {
            "framework": ("row", np.asarray(["torch", "torch", "flax"], dtype=object)),
            "layer": ("row", np.asarray(["dense", "embedding", "dense"], dtype=object)),
            "sigma_w2": ("row", [1 / 3, 1.0, 1.01]),
            "depth": (("row", "activation"), [[5.0, 3.0], [np.nan, np.nan], [np.inf, 8.0]]),
        },
        coords={"activation": np.asarray(["tanh", "relu"], dtype=object)},
    )
    left, right = draw_defaults(results, max_depth=1000).axes
    # An embedding has no depth, and so no line.
    labels = [text.get_text() for text in left.get_yticklabels()]
    assert labels == ["torch: dense", "flax: dense"]
    dots = [np.asarray(line.get_xdata())[0] for line in left.lines[:2]]
    np.testing.assert_allclose(dots, [1 / 3, 1.01])
    assert left.lines[0].get_color() != left.lines[1].get_color()
    depths = {line.get_label(): np.asarray(line.get_xdata()).tolist() for line in right.lines[:2]}
    assert depths == {"tanh": [5.0, 1000.0], "relu": [3.0, 8.0]}


@pytest.mark.quick
def test_an_audit_is_drawn_place_by_place():
    dims = ("seed", "place")
    length = np.asarray([[1.0, 0.5, 0.25, 0.1], [1.0, 0.7, 0.35, 0.2], [1.0, 0.6, 0.3, 0.3]])
    flat = np.asarray([[np.nan, np.nan, 0.25, np.nan]] * 3)
    results = xarray.Dataset(
        {
            **dict.fromkeys(("rms", "gradient_norm", "cosine_distance"), (dims, length)),
            **dict.fromkeys(("saturated", "dead"), (dims, flat)),
            "on_path": ("place", [True, True, False, True]),
        },
        coords={"place": ["input", "a", "b", "output"], "seed": [0, 1, 2]},
        attrs={"verdict": "warn"},
    )
    lengths, distances, shares = figures.draw_audit(results).axes
    drawn = [np.asarray(line.get_xydata()).tolist() for line in lengths.lines[:2]]
    assert drawn == [[[0, 1.0], [1, 0.6], [3, 0.2]], [[2, 0.3]]]
    assert np.asarray(shares.lines[0].get_xydata()).tolist() == [[2, 0.25]]
    assert distances.get_ylim()[0] <= 0.1
    # Columns as stores have them that were written before they were renamed.
    former = {"rms": "length", "gradient_norm": "gradient", "cosine_distance": "dissimilarity"}
    again = figures.draw_audit(results.rename(former)).axes[0]
    assert [np.asarray(line.get_xydata()).tolist() for line in again.lines[:2]] == drawn
