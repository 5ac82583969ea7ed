"""Chunks: every run is in exactly one, at the point that the product of the axes says."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from initlab.sweeps.axes import read_axes
from initlab.sweeps.plan import Plan, chunk_lengths, chunk_points

lengths = st.lists(st.integers(1, 7), min_size=1, max_size=4)


@given(lengths, st.lists(st.integers(1, 3), max_size=2), st.integers(1, 200))
@settings(deadline=None)
def test_chunks_hold_every_run_exactly_once(lengths, structure, limit):
    plan = Plan(tuple(structure), tuple(lengths), chunk_lengths(lengths, limit))
    seen = np.zeros((*structure, *lengths), int)
    for number, chunk in enumerate(plan.chunks()):
        seen[chunk.region] += 1
        assert chunk.number == number
        assert chunk.runs == seen[chunk.region].size <= max(1, limit)
        assert chunk.combination == (
            np.ravel_multi_index(chunk.place, tuple(structure)) if structure else 0
        )
        # Aligned: no two chunks share a chunk of the store.
        whole = (*(1 for _ in structure), *plan.chunk)
        for at, part, length in zip(chunk.region, whole, seen.shape, strict=True):
            assert at.start % part == 0
            assert at.stop == min(at.start + part, length)
    assert (seen == 1).all()
    assert plan.count == number + 1
    assert plan.runs == seen.size


@given(lengths, st.integers(1, 200))
def test_a_chunk_is_whole_last_axes_a_part_of_one_and_single_first_ones(lengths, limit):
    chunk = chunk_lengths(lengths, limit)
    cut = next((k for k, part in enumerate(chunk) if part > 1), len(chunk))
    assert list(chunk[cut + 1 :]) == lengths[cut + 1 :]
    assert math.prod(chunk) <= limit
    # As large as fits: one more along the axis that is cut would be too many.
    if chunk != tuple(lengths):
        last = max(k for k in range(len(chunk)) if chunk[k] < lengths[k])
        assert math.prod(chunk[last + 1 :]) * (chunk[last] + 1) > limit


@given(lengths, st.integers(1, 30), st.data())
@settings(max_examples=50, deadline=None)
def test_points_are_those_of_the_product(lengths, limit, data):
    names = "abcd"[: len(lengths)]
    numbers = read_axes(
        {
            name: data.draw(
                st.lists(st.integers(0, 99), min_size=length, max_size=length, unique=True)
            )
            for name, length in zip(names, lengths, strict=True)
        }
    )
    grids = np.meshgrid(*(axis.columns[axis.dimension] for axis in numbers), indexing="ij")
    plan = Plan((), tuple(lengths), chunk_lengths(lengths, limit))
    for chunk in plan.chunks():
        points = chunk_points(numbers, chunk, np.arange(chunk.runs))
        for name, grid in zip(names, grids, strict=True):
            np.testing.assert_array_equal(points[name].reshape(chunk.shape), grid[chunk.region])


def test_a_million_runs_are_planned_without_an_array_of_them():
    plan = Plan((2,), (10**9, 10), chunk_lengths((10**9, 10), 1024))
    assert plan.runs == 2 * 10**10
    assert plan.chunk == (102, 10)
    last = plan.at(plan.count - 1)
    assert last.place == (1,)
    assert last.start[0] + last.shape[0] == 10**9
    points = chunk_points(read_axes({"a": range(10**6), "b": range(10)}), plan.at(3), np.arange(4))
    assert points["a"].tolist() == [306] * 4
    assert points["b"].tolist() == [0, 1, 2, 3]
