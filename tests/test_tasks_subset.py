"""A task's first examples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from initlab import objectives, tasks

X = np.arange(10.0).reshape(5, 2)
WHOLE = tasks.from_arrays(X, [0, 2, 1, 0, 2], x_test=X[:3], y_test=[0, 1, 2])


@given(st.integers(1, 5), st.data())
def test_the_first_examples_in_their_order_and_nothing_held_out(count, data):
    part = tasks.take(WHOLE, count)
    np.testing.assert_array_equal(part.x, X[:count])
    np.testing.assert_array_equal(part.y, WHOLE.y[:count])
    assert part.objective is WHOLE.objective is objectives.softmax
    assert part.x_test is None
    assert part.y_test is None
    # Taking twice is taking the smaller count.
    fewer = data.draw(st.integers(1, count))
    np.testing.assert_array_equal(tasks.take(part, fewer).x, tasks.take(WHOLE, fewer).x)


@pytest.mark.parametrize(
    ("count", "error", "message"),
    [
        (6, ValueError, "count must be at most 5, the task's size, got 6"),
        (0, ValueError, "count must be at least 1, got 0"),
        (2.0, TypeError, "count must be an integer, got 2.0"),
        (True, TypeError, "count must be an integer, got True"),
    ],
)
def test_a_count_that_the_task_does_not_have(count, error, message):
    with pytest.raises(error, match=message):
        tasks.take(WHOLE, count)
