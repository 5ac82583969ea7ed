"""Schemes that build a whole matrix: its rows, columns and singular values, in every shape."""

import math

import numpy as np
import pytest
from initializer_tables import draw_wide, weight_spec
from scipy.linalg import hadamard

from initlab import initializers as I  # noqa: N812


@pytest.mark.parametrize("shape", [(4, 4), (7, 3), (2, 4), (3, 5), (1, 6), (20, 33)], ids=str)
def test_zero_hadamard_is_algorithm_1_of_zero(shape):
    inputs, units = shape
    if inputs >= units:
        want = np.eye(inputs, units)
    else:
        m = math.ceil(math.log2(units))
        rows, columns = np.eye(inputs, 2**m), np.eye(2**m, units)
        want = 2 ** (-(m - 1) / 2) * rows @ hadamard(2**m) @ columns
    got = draw_wide(I.zero_hadamard(), weight_spec(*shape))
    np.testing.assert_allclose(got, want, rtol=1e-7)
    np.testing.assert_allclose(draw_wide(I.zero_hadamard(-0.5), weight_spec(*shape)), -0.5 * got)
    distinct = min(units, 2 ** math.ceil(math.log2(inputs))) if inputs < units else None
    if distinct:
        assert len(np.unique(got, axis=1).T) == distinct


def test_zero_hadamard_at_the_authors_scale_is_an_isometry():
    w = draw_wide(I.zero_hadamard(2**-0.5), weight_spec(5, 16))
    np.testing.assert_allclose(w @ w.T, np.eye(5), atol=1e-6)


def test_zero_hadamard_stands_in_the_middle_of_a_window():
    w = draw_wide(I.zero_hadamard(), weight_spec(3, 5, 2, 4))
    np.testing.assert_array_equal(w[1, 2], draw_wide(I.zero_hadamard(), weight_spec(2, 4)))
    assert np.count_nonzero(w) == 2 * 4
