"""Boundaries of maps: dimensions of known sets, exponents of known borders, brute force."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from initlab import report

pytestmark = pytest.mark.quick

BOOLEANS = hnp.arrays(bool, st.tuples(st.integers(2, 9), st.integers(2, 9)))


@given(BOOLEANS)
@settings(max_examples=50)
def test_a_boundary_square_holds_both_kinds(trained):
    want = [
        [len({*trained[row : row + 2, column : column + 2].ravel()}) == 2
         for column in range(trained.shape[1] - 1)]
        for row in range(trained.shape[0] - 1)
    ]  # fmt: skip
    np.testing.assert_array_equal(report.boundary(trained), want)
    # Of several maps each by itself; of the map of what fails the same.
    np.testing.assert_array_equal(report.boundary(np.stack([trained, ~trained])), [want, want])


def triangle(size):
    """Pascal's triangle mod 2: Sierpinski's, of dimension log2 3."""
    row, column = np.indices((size, size))
    return (row & column) == 0


@pytest.mark.parametrize(
    ("marked", "dimension"),
    [
        (triangle(128), np.log2(3)),
        (np.ones((64, 64), bool), 2),
        (np.arange(64)[:, None] == np.full(64, 20), 1),
        (np.eye(100, 64, dtype=bool)[:64], 1),
        (np.arange(64)[:, None] * 64 + np.arange(64) == 500, 0),
    ],
    ids=["triangle", "plane", "line", "diagonal", "point"],
)
def test_sets_of_known_dimension(marked, dimension):
    found = report.box_dimension(marked)
    # These are exact powers, so that nothing is left for the interval.
    np.testing.assert_allclose(found[:3], dimension, atol=1e-12)
    assert found.sizes.tolist() == [1, 2, 4, 8, 16][: len(found.sizes)]
    np.testing.assert_array_equal(report.box_dimension(marked.T).values, found.values)


def test_boxes_are_counted_one_by_one():
    draw = np.random.default_rng(0)
    marked = draw.random((3, 37, 50)) < 0.05
    found = report.box_dimension(marked)
    for size, counted in zip(found.sizes, found.values.T, strict=True):
        want = [
            sum(
                each[row : row + size, column : column + size].any()
                for row in range(0, 37, size)
                for column in range(0, 50, size)
            )
            for each in marked
        ]
        assert counted.tolist() == want
    assert found.low < found.exponent < found.high


def test_maps_without_a_boundary_are_left_out():
    line = np.arange(32)[:, None] == np.full(32, 20)
    both = report.box_dimension(np.stack([line, np.zeros_like(line)]))
    np.testing.assert_array_equal(both.values, report.box_dimension(line).values)


@pytest.mark.parametrize("width", [20, 33])
def test_a_smooth_border_is_as_uncertain_as_its_distance(width):
    found = report.uncertainty_exponent(np.arange(64) < np.full((64, 1), width))
    np.testing.assert_allclose(found[:3], 1, atol=1e-12)


def test_noise_is_uncertain_at_any_distance():
    draw = np.random.default_rng(0)
    found = report.uncertainty_exponent(draw.random((4, 256, 256)) < 0.5)
    assert abs(found.exponent) < 0.01
    np.testing.assert_allclose(found.values, 0.5, atol=0.01)


@pytest.mark.parametrize(
    ("function", "given", "error", "words"),
    [
        (report.boundary, np.ones((4, 4)), TypeError, "trained must be booleans, got float64"),
        (report.boundary, np.ones(4, bool), ValueError, "maps of at least 2 x 2 pixels"),
        (report.box_dimension, np.ones((8, 20), bool), ValueError, "at least 15 x 15 pixels"),
        (report.box_dimension, np.zeros((16, 16), bool), ValueError, "without a boundary"),
        (report.box_dimension, np.ones((1, 1, 16, 16), bool), ValueError, "[H, W] or [M, H, W]"),
        (report.uncertainty_exponent, np.ones((16, 16), bool), ValueError, "both True and False"),
        (report.uncertainty_exponent, np.ones((0, 16, 16), bool), ValueError, "[M, H, W], got"),
    ],
)
def test_what_is_no_map_is_refused(function, given, error, words):
    with pytest.raises(error, match=re.escape(words)):
        function(given)
