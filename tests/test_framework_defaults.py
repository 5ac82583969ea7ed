"""Other libraries' defaults: the laws that their draws follow, and where those lead."""

import math

import numpy as np
import pytest

from experiments.framework_defaults.layers import FRAMEWORKS, KINDS, library
from initlab.initializers import weight_law
from initlab.types import ParamSpec

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

UNIFORM_BIASES = {
    *((name, kind) for name in ("equinox", "torch") for kind in ("dense", "convolution")),
}
"""Biases that are U[-r, r), r = 1/sqrt(fan_in)."""

NO_BIASES = {
    *((name, "embedding") for name in FRAMEWORKS),
    *(("equinox", kind) for kind in KINDS if ":" in kind),
}


@pytest.fixture(scope="module")
def libraries():
    return {name: library(name) for name in FRAMEWORKS}


def test_every_layer_of_every_library_is_in_the_table(libraries):
    found = {(name, kind) for name, each in libraries.items() for kind in each.draw}
    assert found == set(LAWS)
    assert libraries["flax"].source.startswith("flax ")


@pytest.mark.parametrize(("name", "kind"), LAWS)
def test_weights_follow_their_library_s_law(name, kind, libraries):
    # The fewest shapes that tell the fans apart.
    shapes = [(64, 64), (24, 24)] if ":" in kind else [(64, 64), (24, 64), (64, 24)]
    draw = libraries[name].draw[kind]
    draws = [[draw(*shape, seed) for seed in range(4)] for shape in shapes]
    fan, factor = weight_law(
        [
            (
                ParamSpec(each[0].weight.shape, each[0].fan_in, each[0].fan_out),
                [d.weight for d in each],
            )
            for each in draws
        ]
    )
    published = LAWS[name, kind]
    assert fan == published[0]
    # Five standard errors of a mean of logarithms; no weight here has heavier tails than a normal.
    counts = [sum(one.weight.size for one in each) for each in draws]
    error = math.sqrt(sum(2 / count for count in counts)) / len(counts)
    np.testing.assert_allclose(math.log(factor / published[1]), 0, atol=5 * error)


@pytest.mark.parametrize(("name", "kind"), LAWS)
def test_biases_follow_their_library_s_law(name, kind, libraries):
    draws = [libraries[name].draw[kind](64, 64, seed) for seed in range(4)]
    if (name, kind) in NO_BIASES:
        assert all(one.bias is None for one in draws)
        return
    biases = np.concatenate([np.ravel(one.bias) for one in draws]).astype(np.float64)
    assert biases.size == 4 * 64
    if (name, kind) not in UNIFORM_BIASES:
        assert not biases.any()
        return
    # In units of the bound, U[-1, 1). Its end is nearly reached: 256 draws all stay under 0.95
    # once in half a million times, so that the scale is known to 5 % where a variance is to 30 %.
    unit = biases * math.sqrt(draws[0].fan_in)
    assert 0.95 < np.abs(unit).max() <= 1
    assert abs(unit.mean()) < 5 * math.sqrt(1 / 3 / unit.size)
    # The largest distance of the empirical distribution from U[-1, 1): Kolmogorov's bound, which
    # one draw of three million passes.
    steps = np.arange(unit.size + 1) / unit.size
    expected = (np.sort(unit) + 1) / 2
    distance = max(np.max(steps[1:] - expected), np.max(expected - steps[:-1]))
    assert distance < 2.8 / math.sqrt(unit.size)


def test_the_same_seed_draws_the_same_layer():
    draw = library("flax").draw["dense"]
    np.testing.assert_array_equal(draw(8, 8, 3).weight, draw(8, 8, 3).weight)
    assert (draw(8, 8, 3).weight != draw(8, 8, 4).weight).any()


def test_kinds_of_attention_have_a_colon():
    assert [kind for kind in KINDS if ":" in kind] == ["attention: query", "attention: output"]
