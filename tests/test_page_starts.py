"""What the page says of its starts is so: gallery, program, settings, and the map of a scan."""

import contextlib
import io
import itertools
import re

import jax
import numpy as np
import pytest
from lab_pages import page

__all__ = ["page"]

SCAN = """async (state) => {
  const whole = [];
  const stopped = [];
  const grid = { scales: [0.5, 1, 2], rates: [0.1, 0.2, 0.3, 0.4] };
  const axes = { state, side: 0, ...grid, steps: 5, seeds: 3 };
  await lab.handle({ id: 1, type: "scan", ...axes }, (part) => whole.push(plain(part)));
  await lab.handle({ id: 2, type: "scan", ...axes }, (part) => {
    stopped.push(part);
    lab.handle({ id: 3, type: "cancel", target: 2 }, () => {});
  });
  return { whole, stopped };
}"""


def claims():
    """What each sentence of the gallery says, of the snapshots at the start and at the end."""
    ln2 = np.log(2)

    def loss(snapshot):
        return snapshot["sides"][0]["loss"]

    def layers(snapshot, name, side=0):
        return np.asarray([layer[name] for layer in snapshot["sides"][side]["layers"]])

    def trained(snapshot):
        return [side["ensemble"]["trained"] for side in snapshot["sides"]]

    def near(value, wanted, most=0.01):
        return abs(value - wanted) < most

    return {
        "zero": lambda a, z: near(loss(z), 0.693, 0.0005) and not layers(z, "gradientNorm").any(),
        "constant": lambda a, z: near(loss(z), 0.65) and layers(z, "distinct")[0] == 1,
        "zero_outgoing": lambda a, z: (
            layers(a, "gradientNorm")[0] == 0 < layers(a, "gradientNorm")[1] and trained(z) == [15]
        ),
        "small_deep": lambda a, z: (
            layers(a, "signal")[-1] < 1e-13
            and (layers(a, "gradientNorm") < 1e-12).all()
            and near(loss(z), ln2, 1e-6)
        ),
        "hundred": lambda a, z: near(layers(a, "saturation")[0], 0.97) and trained(z) == [0],
        "dead_relus": lambda a, z: (
            layers(z, "dead")[0] == 4
            and layers(z, "gradientNorm")[0] == 0
            and near(loss(a), 10)
            and near(loss(z), ln2)
        ),
        "saturated_output": lambda a, z: (
            near(layers(a, "saturation")[1], 0.96) and near(layers(z, "saturation")[0], 0.86)
        ),
        "sigmoid_deep": lambda a, z: (
            layers(a, "gradientNorm")[0] < layers(a, "gradientNorm")[-1] / 1000
            and near(loss(z), ln2, 0.002)
        ),
        "he_glorot": lambda a, z: (
            near(layers(a, "signal")[-1] / layers(a, "signal", 1)[-1], 35, 1)
            and trained(z) == [11, 0]
        ),
        "one_key": lambda a, z: layers(z, "distinct")[0] == 3 and trained(z) == [8],
        "bias_only": lambda a, z: layers(z, "distinct")[0] == 4 and trained(z) == [12],
        "lucky": lambda a, z: trained(z) == [1] and loss(z) < ln2 / 2,
    }


@pytest.mark.thorough
@pytest.mark.parametrize("name", claims())
def test_the_gallery_says_what_its_runs_show(page, name):
    entry = page.evaluate("name => window.page.GALLERY.find((each) => each.name === name)", name)
    begun = page.evaluate("state => ask({ type: 'load', state })", entry["state"])
    ended = page.evaluate("count => ask({ type: 'step', count })", entry["steps"])
    assert claims()[name](begun, ended), (entry["sentence"], ended)


def test_the_gallery_has_twelve_starts_that_load(page):
    gallery = page.evaluate("window.page.GALLERY")
    assert [each["name"] for each in gallery] == list(claims())
    for each in gallery:
        assert page.evaluate("state => ask({ type: 'load', state })", each["state"])["step"] == 0


POINTS = [[0.5, 1.0, 0], [-1.0, 2.0, 1], [1.5, -0.25, 1], [-0.5, -1.0, 0]]
PROGRAMS = {
    "copies and factors": (
        {
            "task": "own",
            "own": POINTS,
            "seed": 5,
            "seeds": 2,
            "sides": [
                {
                    "width": 3,
                    "depth": 2,
                    "optimizer": "adam",
                    "learningRate": 0.01,
                    "start": {
                        "scheme": "glorot_uniform",
                        "scale": 2,
                        "factors": [1, 0.5, 3],
                        "copies": 2,
                    },
                    "bias": {"scheme": "normal", "scale": 0.1},
                }
            ],
        },
        4,
    ),
}
MORE_PROGRAMS = {
    "two sides": (
        {
            "task": "spiral",
            "sides": [
                {"activation": "gelu", "optimizer": "momentum", "learningRate": 0.05},
                {"activation": "linear", "depth": 3, "start": {"scheme": "orthogonal"}},
            ],
        },
        20,
    ),
    "before a step": (
        {"task": "circles", "sides": [{"activation": "sigmoid", "start": {"scheme": "zeros"}}]},
        0,
    ),
    "relu from a constant": (
        {
            "task": "flower",
            "sides": [
                {
                    "activation": "relu",
                    "learningRate": 0.1,
                    "start": {"scheme": "constant", "scale": -0.25},
                    "bias": {"scheme": "constant", "scale": 1},
                }
            ],
        },
        50,
    ),
}
NAMED = [
    *(pytest.param(*each, id=name) for name, each in PROGRAMS.items()),
    *(
        pytest.param(*each, id=name, marks=pytest.mark.thorough)
        for name, each in MORE_PROGRAMS.items()
    ),
]


@pytest.mark.parametrize(("state", "step"), NAMED)
def test_the_program_reproduces_what_is_on_the_screen(page, state, step):
    text = page.evaluate("of => window.page.pythonProgram(...of)", [state, step])
    page.evaluate("state => ask({ type: 'load', state })", state)
    shown = page.evaluate("count => ask({ type: 'step', count })", step)
    names: dict = {}
    with (
        contextlib.redirect_stdout(io.StringIO()) as printed,
        jax.numpy_dtype_promotion("standard"),
    ):
        exec(compile(text, "program.py", "exec"), names)
    assert printed.getvalue().count("\n") == len(state["sides"]) * state.get("seeds", 16)
    snapshot = 0 if step == 0 else -1
    for ours, values in zip(shown["sides"], names["results"].values(), strict=True):
        losses = ours["ensemble"]["loss"]
        np.testing.assert_allclose(losses, values["loss"][:, snapshot], 1e-4)
        distinct = [layer["distinct"] for layer in ours["layers"]]
        assert distinct == values["distinct_units"][0, snapshot].tolist()


@pytest.mark.quick
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "rings"}, "task must be one of flower, .* got .rings"),
        ({"seed": -1}, "seed must be a number from 0 to"),
        ({"seed": 2**31 - 1}, "seed must be low enough for all seeds"),
        ({"colour": 1}, "state must be an object of .* got .colour"),
        ({"sides": []}, "sides must be 1 or 2"),
        ({"sides": [{"depth": 9}]}, r"sides\[0\].depth must be a number from 1 to 8, got 9"),
        ({"sides": [{"width": 2.5}]}, "width must be a whole number, got 2.5"),
        ({"sides": [{"start": {"factors": [1]}}]}, "factors must be null or 2 numbers"),
        ({"sides": [{"learningRate": None}]}, "learningRate must be a number"),
        ({"task": "own"}, "own must be at least one point"),
        ({"task": "own", "own": [[0, 0, 2]]}, r"own\[0\]\[2\] must be 0 or 1, got 2"),
    ],
)
def test_a_state_that_no_network_can_be_made_of_is_refused(page, changes, message):
    refused = page.evaluate(
        "state => { try { window.page.checkState(state); return ''; }"
        " catch (error) { return error.message; } }",
        changes,
    )
    assert re.search(message, refused), refused


def test_a_scan_fills_every_pixel_once_and_stops_when_it_is_told(page):
    seen = page.evaluate(SCAN, {"task": "xor", "sides": [{"width": 2}]})
    done, cancelled = seen["whole"], seen["stopped"]
    places = [tuple(pixel[:2]) for part in done[:-1] for pixel in part["pixels"]]
    assert sorted(places) == list(itertools.product(range(3), range(4)))
    assert places[0] == (0, 0)
    assert done[-1]["done"] is True
    assert len(cancelled) == 2
    assert cancelled[-1]["cancelled"] is True
    # One pixel is what a run of that scale and rate shows.
    alone = {
        "task": "xor",
        "seeds": 3,
        "sides": [{"width": 2, "learningRate": 0.4, "start": {"scale": 2}}],
    }
    page.evaluate("state => ask({ type: 'load', state })", alone)
    ensemble = page.evaluate("ask({ type: 'step', count: 5 })")["sides"][0]["ensemble"]
    (pixel,) = [p for part in done[:-1] for p in part["pixels"] if p[:2] == [2, 3]]
    np.testing.assert_allclose(pixel[2], np.median(ensemble["loss"]), 1e-6)
    assert pixel[3] == ensemble["share"]
