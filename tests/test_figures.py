"""Figures: what is drawn is what the dataset holds, and the same data give the same file."""

import numpy as np
import xarray

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
    return figures.draw_starts(
        starts_dataset(), named=1, trained_under=0.35, shares=[0.0, 0.5, 1.0], title="title"
    )


def test_a_curve_is_the_median_over_the_finite_seeds():
    curves = draw_starts().axes[0]
    drawn = {line.get_label(): np.asarray(line.get_ydata()) for line in curves.lines}
    wanted = np.nanmedian(starts_dataset()["loss"].values, axis=1)
    for index, name in enumerate(("zero", "1", "He")):
        np.testing.assert_allclose(drawn[name], wanted[index])


def test_every_start_has_its_panel_with_its_share():
    titles = [axes.get_title() for axes in draw_starts().axes[1:]]
    assert titles[:3] == ["zero: 0% trained", "1: 50% trained", "He: 100% trained"]


def test_the_same_results_give_the_same_picture(tmp_path):
    for name in ("first", "second"):
        figures.save(draw_starts(), tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    assert "<svg" in (tmp_path / "first.svg").read_text()
    assert len(list(tmp_path.iterdir())) == 4


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
    panels = figures.draw_saturation(results).axes
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
    facts = figures.draw_induction(results).axes[0]
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
    grid, below = figures.draw_breaking(cells, outcomes=names, legend="what it says").axes
    assert np.asarray(grid.images[0].get_array()).tolist() == outcome[0].tolist()
    texts = {text.get_position(): text.get_text() for text in grid.texts}
    assert texts == {(column, row): code[0, row, column] for row, column in np.ndindex(2, 3)}
    legend = below.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == names
    assert below.texts[0].get_text() == "what it says"


def test_an_audit_is_drawn_place_by_place():
    dims = ("seed", "place")
    length = np.asarray([[1.0, 0.5, 0.25, 0.1], [1.0, 0.7, 0.35, 0.2], [1.0, 0.6, 0.3, 0.3]])
    flat = np.asarray([[np.nan, np.nan, 0.25, np.nan]] * 3)
    results = xarray.Dataset(
        {
            **dict.fromkeys(("length", "gradient", "dissimilarity"), (dims, length)),
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
