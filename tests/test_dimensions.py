"""Axes as expressions: what is set equal moves alike, however what is left free is permuted."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initlab.symmetry.dimensions import (
    Dimension,
    atoms,
    concatenation,
    cut,
    factors,
    mark_read,
    parts,
    pin,
    product,
    resolve,
    unify,
)

law = settings(max_examples=200, deadline=None)
choosers = st.randoms(use_true_random=False)


def action(dimension, permutations):
    """Where each position goes when every free atom moves by its permutation."""
    dimension = resolve(dimension)
    if dimension.product:
        order = np.zeros(1, int)
        for factor in dimension.product:
            inner = action(factor, permutations)
            order = (order[:, None] * inner.size + inner[None]).ravel()
        return order
    if dimension.concatenation:
        pieces = [action(part, permutations) for part in dimension.concatenation]
        starts = itertools.accumulate((piece.size for piece in pieces[:-1]), initial=0)
        return np.concatenate([start + piece for start, piece in zip(starts, pieces, strict=True)])
    if dimension.pinned:
        return np.arange(dimension.size)
    return permutations.setdefault(dimension, np.random.permutation(dimension.size))


def is_permutation(order):
    return sorted(order) == list(range(order.size))


def expression(chooser, size, known, depth=2):
    """A random expression of a size, at times of atoms that other expressions hold too."""
    same = [atom for atom in known if atom.size == size]
    kind = chooser.randrange(4 if depth else 2)
    if same and kind == 0:
        return chooser.choice(same)
    divisors = [n for n in range(2, size) if size % n == 0]
    if kind == 2 and divisors:
        outer = chooser.choice(divisors)
        return product(expression(chooser, n, known, depth - 1) for n in (outer, size // outer))
    if kind == 3 and size > 1:
        first = 1 + chooser.randrange(size - 1)
        return concatenation(
            expression(chooser, n, known, depth - 1) for n in (first, size - first)
        )
    atom = Dimension(size, pinned=chooser.randrange(12) == 0)
    known.append(atom)
    return atom


@law
@given(choosers, st.sampled_from((2, 4, 6, 8, 12)))
def test_what_was_set_equal_moves_alike(chooser, size):
    known: list[Dimension] = []
    expressions = [expression(chooser, size, known) for _ in range(2 + chooser.randrange(4))]
    for one, other in itertools.pairwise(expressions):
        unify(one, other)
    np.random.seed(chooser.randrange(1000))
    for _ in range(3):
        permutations: dict[Dimension, np.ndarray] = {}
        first, *others = (action(each, permutations) for each in expressions)
        assert is_permutation(first)
        for other in others:
            np.testing.assert_array_equal(first, other)


@law
@given(choosers, st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_pieces_laid_end_to_end_are_the_whole(chooser, sizes):
    whole = expression(chooser, sum(sizes), [])
    pieces = cut(whole, sizes)
    assert [piece.size for piece in pieces] == sizes
    permutations: dict[Dimension, np.ndarray] = {}
    np.testing.assert_array_equal(
        action(concatenation(pieces), permutations), action(whole, permutations)
    )


@law
@given(choosers, st.sampled_from((6, 8, 12)))
def test_what_is_pinned_stays_pinned(chooser, size):
    one, other, plain = (*(expression(chooser, size, []) for _ in range(2)), Dimension(size))
    pin(one, ["fft"])
    unify(one, plain)
    unify(other, plain)
    for dimension in (one, other, plain):
        np.testing.assert_array_equal(action(dimension, {}), np.arange(size))


@law
@given(choosers, st.sampled_from((6, 8, 12)))
def test_the_operations_that_pinned_an_axis_are_remembered(chooser, size):
    plain, other = Dimension(size), expression(chooser, size, [])
    pin(plain, ["fft"])
    unify(plain, other)
    assert all(atom.unsupported == {"fft"} for atom in atoms(other))


@law
@given(choosers, st.sampled_from((6, 8, 12)))
def test_what_was_read_stays_read(chooser, size):
    one, other = (expression(chooser, size, []) for _ in range(2))
    mark_read(one)
    unify(one, other)
    assert all(atom.read or atom.pinned for atom in (*atoms(one), *atoms(other)))


@pytest.mark.parametrize(
    ("one", "other", "free"),
    [
        (lambda: Dimension(6), lambda: product([Dimension(2), Dimension(3)]), [2, 3]),
        (lambda: Dimension(6), lambda: concatenation([Dimension(2), Dimension(4)]), [2, 4]),
        (
            lambda: product([Dimension(4), Dimension(3)]),
            lambda: product([Dimension(2), Dimension(6)]),
            [2, 2, 3],
        ),
        # 4 x 6 read as 6 x 4: pairs are all that both have.
        (
            lambda: product([Dimension(4), Dimension(6)]),
            lambda: product([Dimension(6), Dimension(4)]),
            [2],
        ),
        (
            lambda: concatenation([Dimension(2), Dimension(5)]),
            lambda: concatenation([Dimension(4), Dimension(3)]),
            [2, 2, 3],
        ),
        # Three gates end to end, as an axis of three gates: the gates stay, their units move.
        (
            lambda: concatenation([Dimension(4), Dimension(4), Dimension(4)]),
            lambda: product([Dimension(3), Dimension(4)]),
            [4],
        ),
        (
            lambda: concatenation([Dimension(4), Dimension(8)]),
            lambda: product([Dimension(3), Dimension(4)]),
            [4],
        ),
        (
            lambda: concatenation([Dimension(3), Dimension(5)]),
            lambda: product([Dimension(2), Dimension(4)]),
            [],
        ),
        (
            lambda: product([concatenation([Dimension(2), Dimension(4)]), Dimension(2)]),
            lambda: product([Dimension(3), Dimension(4)]),
            [2, 2],
        ),
    ],
)
def test_what_stays_free_where_two_divide_an_axis_differently(one, other, free):
    for left, right in ((one(), other()), reversed((one(), other()))):
        unify(left, right)
        found = set(atoms(left)) | set(atoms(right))
        assert sorted(a.size for a in found if not a.pinned and a.size > 1) == sorted(free)


def test_expressions_flatten():
    a, b, c = Dimension(2), Dimension(3), Dimension(4)
    merged = product([product([a, Dimension(1), b]), c])
    assert (merged.size, factors(merged)) == (24, [a, b, c])
    joined = concatenation([concatenation([a, Dimension(0), b]), merged])
    assert (joined.size, parts(joined)) == (29, [a, b, merged])
    assert atoms(joined) == [a, b, a, b, c]
    assert product([a]) is a
    assert concatenation([Dimension(0), a]) is a
    assert factors(product([])) == []


@law
@given(choosers)
def test_plain_axes_fall_into_classes(chooser):
    axes = [Dimension(4, pinned=chooser.randrange(5) == 0) for _ in range(5)]
    pinned = {axis for axis in axes if axis.pinned}
    classes = [{axis} for axis in axes]
    for _ in range(3):
        one, other = chooser.choice(axes), chooser.choice(axes)
        unify(one, other)
        merged = [each for each in classes if one in each or other in each]
        classes = [each for each in classes if each not in merged] + [set().union(*merged)]
    found = [{resolve(axis) for axis in group} for group in classes]
    assert [len(each) for each in found] == [1] * len(classes)
    assert len(set().union(*found)) == len(classes)
    for group, (axis,) in zip(classes, found, strict=True):
        assert axis.pinned == bool(group & pinned)
