"""Text that every machine has: docstrings of the packages that the lab requires.

The same versions of the packages give the same characters; their digest goes with the results, in
each sweep's description of its task.
"""

import functools
import inspect

import jax.numpy
import numpy
import optax
import scipy.linalg
import scipy.special

from initlab import objectives
from initlab.types import Task

__all__ = ["CHARACTERS", "LENGTH", "next_characters"]

CHARACTERS = 128
"""ASCII; what is none of it is left out."""

LENGTH = 8
"""Characters that are seen."""

EXAMPLES = 1024


@functools.cache
def read() -> str:
    """The docstrings of the public functions and classes of five modules, sorted by name.

    Raises:
      ValueError: if there are none, as under `python -OO`.
    """
    parts = []
    for module in (numpy, jax.numpy, scipy.special, scipy.linalg, optax):
        for name in sorted(set(dir(module))):
            each = getattr(module, name) if name[0] != "_" else None
            if inspect.isroutine(each) or inspect.isclass(each) or isinstance(each, numpy.ufunc):
                parts.append(inspect.getdoc(each) or "")
    words = "\n\n".join(parts).encode("ascii", "ignore").decode()
    if len(words) < EXAMPLES * 64:
        raise ValueError(
            f"the packages' docstrings must have at least {EXAMPLES * 64} characters, got "
            f"{len(words)}: Python leaves them out with -OO"
        )
    return words


@functools.cache
def next_characters() -> Task:
    """Which character follows LENGTH others: 1,024 places of the text, evenly apart."""
    codes = numpy.frombuffer(read().encode(), numpy.uint8).astype(numpy.int32)
    starts = numpy.linspace(0, len(codes) - LENGTH - 1, EXAMPLES).astype(int)
    x = codes[starts[:, None] + numpy.arange(LENGTH)]
    return Task(x, codes[starts + LENGTH], objectives.softmax)
