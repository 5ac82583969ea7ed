"""Text that every machine has: licences and docstrings of the packages that the lab requires.

The same versions of the packages, as wheels of one platform, give the same characters; their digest
goes with the results, in each sweep's description of its task.
"""

import functools
import inspect
from importlib import metadata

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
    """The licences of five packages, and the docstrings of five modules' public names, sorted.

    Raises:
      ValueError: if there are no docstrings, as under `python -OO`.
    """
    docstrings = []
    for module in (numpy, jax.numpy, scipy.special, scipy.linalg, optax):
        for name in sorted(set(dir(module))):
            each = getattr(module, name) if name[0] != "_" else None
            if inspect.isroutine(each) or inspect.isclass(each) or isinstance(each, numpy.ufunc):
                docstrings.append(inspect.getdoc(each) or "")
    if len(words := _ascii(docstrings)) < EXAMPLES * 64:
        raise ValueError(
            f"the packages' docstrings must have at least {EXAMPLES * 64} characters, got "
            f"{len(words)}: Python leaves them out with -OO"
        )
    return _ascii(_licences()) + words


def _licences() -> list[str]:
    """Each different text once: several packages have the same one, and some builds none."""
    texts = {}
    for package in ("numpy", "jax", "jaxlib", "scipy", "optax"):
        for file in sorted(metadata.files(package) or [], key=str):
            if file.name.upper().startswith(("LICENSE", "LICENCE")):
                texts[file.read_text(encoding="utf-8")] = None
    return list(texts)


def _ascii(parts: list[str]) -> str:
    return "".join(f"{each}\n\n" for each in parts).encode("ascii", "ignore").decode()


@functools.cache
def next_characters() -> Task:
    """Which character follows LENGTH others: 1,024 places of the text, evenly apart."""
    codes = numpy.frombuffer(read().encode(), numpy.uint8).astype(numpy.int32)
    starts = numpy.linspace(0, len(codes) - LENGTH - 1, EXAMPLES).astype(int)
    x = codes[starts[:, None] + numpy.arange(LENGTH)]
    return Task(x, codes[starts + LENGTH], objectives.softmax)
