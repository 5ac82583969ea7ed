"""The points of the lab's tasks, as the page draws and trains on them."""

from typing import Any

import numpy as np

from initlab import tasks
from initlab.types import Task

__all__ = ["TASKS", "page_data"]

TASKS = {
    "flower": tasks.flower,
    "moons": tasks.moons,
    "circles": tasks.circles,
    "xor": tasks.xor,
    "spiral": tasks.spiral,
}
"""The page's tasks by name, with the defaults of `initlab.tasks`."""


def page_data() -> dict[str, dict[str, Any]]:
    """The tasks in values that JSON holds, inputs rounded to the float32 that networks read.

    Returns:
      `{name: {"x": [[x1, x2], ...], "y": [0 or 1, ...]}}`, the training part.

    >>> flower = page_data()["flower"]
    >>> len(flower["x"]), sorted(set(flower["y"]))
    (400, [0, 1])
    """
    return {name: _points(make()) for name, make in TASKS.items()}


def _points(task: Task) -> dict[str, Any]:
    # The shortest decimals that are read back as the same float32.
    shortest = np.asarray(task.x, np.float32).astype(str).astype(float)
    return {"x": shortest.tolist(), "y": np.asarray(task.y).tolist()}
