"""Other libraries' defaults: the laws that their draws follow, and where those lead."""

import math

import numpy as np
import pytest

from experiments.framework_defaults.laws import bias_law, weight_law
from experiments.framework_defaults.layers import FRAMEWORKS, KINDS, Draw, _keras_formulas, library

# The variance of a unit normal that is cut at two.
CUT = 0.87962566103423978**2

LAWS = {
    ("flax", "dense"): ("fan_in", 1),
    ("flax", "convolution"): ("fan_in", 1),
    ("flax", "attention: query"): ("width", 1),
    ("flax", "attention: output"): ("width", 1),
    ("flax", "embedding"): ("fan_out", 1),
    ("equinox", "dense"): ("fan_in", 1 / 3),
    ("equinox", "convolution"): ("fan_in", 1 / 3),
    ("equinox", "attention: query"): ("width", 1 / 3),
    ("equinox", "attention: output"): ("width", 1 / 3),
    ("equinox", "embedding"): ("1", 1),
    ("haiku", "dense"): ("fan_in", CUT),
    ("haiku", "convolution"): ("fan_in", CUT),
    ("haiku", "embedding"): ("1", CUT),
    ("torch", "dense"): ("fan_in", 1 / 3),
    ("torch", "convolution"): ("fan_in", 1 / 3),
    ("torch", "attention: query"): ("width", 1 / 2),
    ("torch", "attention: output"): ("width", 1 / 3),
    ("torch", "embedding"): ("1", 1),
    ("keras", "dense"): ("fan_avg", 1),
    ("keras", "convolution"): ("fan_avg", 1),
    ("keras", "attention: query"): ("width", 1),
    ("keras", "attention: output"): ("width", 1),
    ("keras", "embedding"): ("1", 0.05**2 / 3),
}
"""What each library documents: Var w = factor / fan."""

BIASES = {"equinox": 1 / 3, "torch": 1 / 3}


@pytest.fixture(scope="module")
def libraries():
    return {name: library(name) for name in FRAMEWORKS}


def test_every_layer_of_every_library_is_in_the_table(libraries):
    found = {(name, kind) for name, each in libraries.items() for kind in each.draw}
    assert found == set(LAWS)
    assert libraries["flax"].source.startswith("flax ")


@pytest.mark.parametrize(("name", "kind"), LAWS)
def test_a_layer_follows_its_library_s_law(name, kind, libraries):
    # The fewest shapes that tell the fans apart.
    shapes = [(64, 64), (24, 24)] if ":" in kind else [(64, 64), (24, 64), (64, 24)]
    draws = {
        shape: [libraries[name].draw[kind](*shape, seed) for seed in range(4)] for shape in shapes
    }
    fan, factor = weight_law(draws)
    wanted = LAWS[name, kind]
    assert fan == wanted[0]
    np.testing.assert_allclose(factor, wanted[1], rtol=0.04)
    bias = bias_law(draws[64, 64])
    if kind == "embedding" or (name == "equinox" and ":" in kind):
        assert math.isnan(bias)
    else:
        is_zero = name == "torch" and ":" in kind
        np.testing.assert_allclose(bias, 0 if is_zero else BIASES.get(name, 0), rtol=0.2)


def test_the_same_seed_draws_the_same_layer():
    draw = _keras_formulas()["dense"]
    np.testing.assert_array_equal(draw(8, 8, 3).weight, draw(8, 8, 3).weight)
    assert (draw(8, 8, 3).weight != draw(8, 8, 4).weight).any()


def made(law, shapes):
    stream = np.random.default_rng(0)
    return {
        (i, o): [Draw(stream.normal(0, law(i, o) ** 0.5, (9, i, o)), None, i, o)] for i, o in shapes
    }


def test_laws_are_told_apart():
    every = [(16, 16), (16, 64), (64, 16), (64, 64)]
    for wanted, law in (
        ("1", lambda i, o: 0.3),
        ("fan_in", lambda i, o: 0.3 / i),
        ("fan_out", lambda i, o: 0.3 / o),
        ("fan_avg", lambda i, o: 0.6 / (i + o)),
    ):
        fan, factor = weight_law(made(law, every))
        assert fan == wanted
        np.testing.assert_allclose(factor, 0.3, rtol=0.04)
    assert weight_law(made(lambda i, o: 1 / i**2, every))[0] == "none"
    assert weight_law(made(lambda i, o: 1 / i, [(16, 16), (64, 64)]))[0] == "width"


def test_kinds_of_attention_have_a_colon():
    assert [kind for kind in KINDS if ":" in kind] == ["attention: query", "attention: output"]
