"""The table of dimensions: known sets, a map of a chain by hand, verdicts."""

import json

import numpy as np
import pytest
import xarray
from forks import run_module
from smoke_checks import NO_CACHE

from experiments.trainability_map import dimensions, known_sets, places
from experiments.trainability_map.figure import draw_dimensions
from initlab import report


def count(trained):
    return report.box_dimension(report.boundary(trained)).values[0]


@pytest.mark.parametrize(("name", "off"), [("a line", 0.02), ("Koch's snowflake", 0.1)])
def test_borders_of_known_dimension(name, off):
    draw, dimension = known_sets.KNOWN[name]
    counts = np.stack([count(draw(128, number)) for number in range(6)])
    found = np.median(dimensions.slopes(counts, 2 ** np.arange(counts.shape[1])))
    assert abs(found - dimension) < off


def test_a_snowflake_has_the_area_of_kochs():
    drawn = known_sets.koch_snowflake(256, 1)
    # 8 / 5 of the triangle's, whose corners lie .9 from the middle.
    area = 8 / 5 * 3 * 3**0.5 / 4 * 0.9**2
    assert abs(drawn.sum() * (2 / 255) ** 2 / area - 1) < 0.005


def test_a_carpets_holes_are_those_of_its_digits():
    x, y = (np.linspace(-1, 1, 40) / 3 + 0.5 for _ in range(2))
    digits = [[(int(each * 3**level) % 3) == 1 for level in (1, 2, 3)] for each in (*x, *y)]
    across, down = digits[:40], digits[40:]
    want = [[not any(a and b for a, b in zip(q, p, strict=True)) for p in across] for q in down]
    np.testing.assert_array_equal(known_sets.carpet(40, 0), want)


def made(pixels=64, attrs=None):
    """Results in which each case's maps are of a known set: three chains of four maps."""
    kinds = ["a line", "Koch's snowflake", "a line", "Sierpinski's carpet", "a line"]
    drawn = {
        name: np.stack([draw(pixels, number) for number in range(12)])
        for name, (draw, _) in known_sets.KNOWN.items()
    }
    counts = {name: np.stack([count(each) for each in of]) for name, of in drawn.items()}
    sizes = counts["a line"].shape[1]
    of_cases = np.stack([counts[kind].reshape(3, 4, sizes) for kind in kinds])
    # A chain that has ended after two maps.
    of_cases[4, 2, 2:] = 0
    trained = np.stack([drawn[kind].reshape(3, 4, pixels, pixels) for kind in kinds])
    return xarray.Dataset(
        {
            "count": (("case", "seed", "map", "size"), of_cases),
            "trained": (("case", "seed", "map", "y", "x"), trained),
            "known": (("set", "shape", "size"), np.stack(list(counts.values()))),
        },
        {
            "case": np.asarray(list(dimensions.CASES), dtype=object),
            "set": np.asarray(list(counts), dtype=object),
            "span": ("map", [9.0, 1.0, 0.1, 0.01]),
            "size": 2 ** np.arange(sizes),
        },
        attrs or {"width": 8, "steps": 100, "pixels": pixels, "maps": 4},
    )


def test_a_table_says_what_agrees_and_what_its_settings_leave_open():
    summary = dimensions.summarize(made())
    linear, relu, one, minibatches, tanh = summary["rows"]
    assert abs(linear["dimension"][0] - 1) < 0.02
    assert relu["dimension"][0] == pytest.approx(summary["known"]["Koch's snowflake"]["measured"])
    assert summary["bias"] == pytest.approx(
        max(abs(each["measured"] - each["dimension"]) for each in summary["known"].values())
    )
    assert [row["maps"] for row in summary["rows"]] == [12, 12, 12, 12, 10]
    assert linear["sampling"][0] <= linear["dimension"][0] <= linear["sampling"][1]
    # 1.66 is far from a line, of settings that are not the paper's.
    assert one["dimension"][2] < tanh["published"]
    assert tanh["verdict"] == "not comparable"
    assert summary["order"][-1] == minibatches["case"]
    said = dimensions.show(summary)
    assert "With less width, steps, pixels, maps than the paper's" in said
    assert dimensions.verdict(summary) == 0
    figure = draw_dimensions(made())
    assert figure.axes[0].get_title() == "linear: 9 decades"


@pytest.mark.parametrize("center", [-3.0, 1.5, 6.0])
def test_the_papers_settings_can_be_run(center):
    """Wherever in the first map the border leads."""
    span = dimensions.SPAN[0] / dimensions.SHRINK ** (dimensions.PAPER["maps"] - 1)
    axis, pixels = dimensions.AXES[0], dimensions.PAPER["pixels"]
    places.place_pixels(axis, center, span, pixels, "float64")


def test_at_the_papers_settings_another_number_disagrees():
    summary = dimensions.summarize(made(attrs=dimensions.PAPER))
    assert summary["rows"][4]["verdict"] == "disagrees"
    assert dimensions.verdict(summary) == 1
    # What agrees only because its interval is wide agrees with nothing.
    row = {"published": 1.5, "dimension": [1.4, 1.1, 1.8]}
    assert dimensions._judge(row, []) == "not comparable"
    assert dimensions._judge(row | {"dimension": [1.4, 1.3, 1.6]}, ["width"]) == "agrees"


def test_a_case_without_any_border_is_not_comparable():
    results = made(attrs=dimensions.PAPER)
    results["count"][0] = 0
    # Chains of which all but one map have ended: many a sample of all maps would have no border.
    results["count"][1, 0, 1:] = results["count"][1, 1:] = 0
    summary = dimensions.summarize(results)
    none, one = summary["rows"][:2]
    assert none["dimension"] == [None] * 3
    assert none["sampling"] == [None] * 2
    assert (none["maps"], none["verdict"]) == (0, "not comparable")
    assert one["sampling"] == [one["dimension"][0]] * 2
    assert one["by_map"][1:] == [None] * 3
    assert summary["order"][-1] == none["case"]
    assert "- [-, -]" in dimensions.show(summary)
    json.dumps(summary, allow_nan=False)


@pytest.mark.thorough
def test_a_chain_follows_a_border(tmp_path):
    out = tmp_path / "dimensions"
    said = run_module(
        "experiments.trainability_map", NO_CACHE, "--dimensions", "--pixels=16", "--steps=20",
        "--seeds=1", "--zoom=1", "--width=4", "--out", out,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    summary = json.loads((out / "summary.json").read_text())
    assert [row["maps"] for row in summary["rows"]] == [2] * 5
    with xarray.open_zarr(out / "results.zarr", consolidated=False) as results:
        share = results["trained"].mean(("y", "x")).values
        assert (share[:, :, 1] > 0).all()
        assert (share[:, :, 1] < 1).all()
        # The second map lies where the first one has its border.
        off = np.abs(results["center"].isel(map=1) - 1.5)
        assert (off <= 4.5).all()
        assert float(results["span"][1]) == 9 / 8
