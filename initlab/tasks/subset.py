"""A smaller task out of a larger one."""

from initlab.checks import check_count, checked
from initlab.types import Task

__all__ = ["take"]


@checked
def take(task: Task, count: int) -> Task:
    """The task of another's first training examples, x[:count] and y[:count].

    Args:
      task: all examples.
      count: how many to keep, from 1 to the task's size.

    Returns:
      The task, with the same objective and no held-out part; x and y are views.

    Raises:
      TypeError: a count that is not an integer.
      ValueError: a count below 1, or beyond the task's size.

    >>> from initlab import tasks
    >>> take(tasks.digits(), 64).x.shape
    (64, 64)
    """
    check_count("count", count, 1)
    if count > len(task.x):
        raise ValueError(f"count must be at most {len(task.x)}, the task's size, got {count}")
    # Not a random subset: a count must always name the same data. And no held-out part: what
    # measures a run would score it at every snapshot, at many times the cost of the few examples.
    return Task(task.x[:count], task.y[:count], task.objective)
