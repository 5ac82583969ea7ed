"""Random architectures: layers and other pieces one after another, and around one another.

A piece is `(net, h) -> h`: it makes choices and takes parameters through `net`, while it is traced.
The first trace writes both down; later ones read them, so that `apply` is a plain pure function.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import architecture_pieces as pieces
import axis_pieces
import jax
import jax.numpy as jnp
import loop_pieces
import numpy as np

SIZES = (1, 2, 3, 4, 6)
LARGEST = 400
"""More entries than this, and a sum over some axis comes next."""


class Architecture(NamedTuple):
    """A pure function, the shapes of its parameters, and the pieces that it is made of."""

    apply: Callable[..., jax.Array]
    shapes: dict[str, tuple[int, ...]]
    inputs: tuple[int, ...]
    names: tuple[str, ...]


class Net:
    """What a piece is given: choices, parameters, and the input of the whole net."""

    def __init__(self, choose, x, tape: Iterator[Any] | None = None, params=None, level=0):
        self._choose = choose
        self._level = level
        self._tape = tape
        self._params = params
        self.x = x
        self.written: list[Any] = []
        self.shapes: dict[str, tuple[int, ...]] = {}

    def _note(self, draw: Callable[[], Any]) -> Any:
        value = draw() if self._tape is None else next(self._tape)
        self.written.append(value)
        return value

    def choice(self, options: Sequence[Any]) -> Any:
        return options[self._note(lambda: self._choose(len(options)))]

    def size(self) -> int:
        return self.choice(SIZES)

    def chance(self, out_of: int = 2) -> bool:
        return self.choice(range(out_of)) == 0

    def leaf(self, *shape: int) -> Any:
        """A parameter; at times one that is used elsewhere too."""
        same = [name for name, other in self.shapes.items() if other == shape]
        name = f"p{len(self.shapes)}"
        if same and self.chance(4):
            name = self.choice(same)
        self.shapes[name] = shape
        if self._params is None:
            return jnp.zeros(shape)
        return self._params[name]

    def inner(self, shape: Sequence[int], length: int = 1) -> Architecture:
        """A net of its own that keeps the shape; its parameters are yet to be taken."""
        table = PRESERVING if self._level == 0 else FLAT
        return self._note(
            lambda: compose(self._choose, shape, length, table, level=self._level + 1)
        )

    def leaves(self, architecture: Architecture, *stacked: int) -> dict[str, Any]:
        return {name: self.leaf(*stacked, *shape) for name, shape in architecture.shapes.items()}


def compose(choose, shape, length, table, first=None, last=None, level=0) -> Architecture:
    """A random architecture of inputs of a shape.

    Args:
      choose: `count -> number below it`.
      shape: of the input, examples first.
      length: how many pieces.
      table: the pieces to choose from, by name.
      first: what is done at the start, if anything.
      last: what is done at the end, if anything.
      level: how many nets it lies in.
    """
    names: list[str] = []

    def run(net, x):
        h = x if first is None else first(net, x)
        for _ in range(length):
            name = net.choice(list(table))
            if net._tape is None:
                names.append(name)
            h = h[:, None] if h.ndim == 1 else h
            h = pieces.sum_out(net, h) if h.size > LARGEST else table[name](net, h)
        return h if last is None else last(net, h)

    trial = Net(choose, None, level=level)

    def discover(x):
        trial.x = x
        return run(trial, x)

    jax.eval_shape(discover, jax.ShapeDtypeStruct(tuple(shape), jnp.float64))

    def apply(params, x):
        return run(Net(choose, x, iter(trial.written), params), x)

    return Architecture(apply, trial.shapes, tuple(shape), tuple(names))


def random_architecture(choose) -> Architecture:
    """A dense layer, 1 to 4 pieces and a readout."""
    features = [SIZES[1 + choose(len(SIZES) - 1)] for _ in range(1 + choose(2))]
    return compose(choose, (2, *features), 1 + choose(4), ALL, pieces.dense, pieces.readout)


def random_inputs(architecture, seed):
    rng = np.random.default_rng(seed)
    params = {name: rng.standard_normal(each) for name, each in architecture.shapes.items()}
    return params, rng.standard_normal(architecture.inputs)


FLAT = {
    **{name: piece for name, piece in pieces.PRESERVING.items() if "residual" not in name},
    **axis_pieces.PRESERVING,
}
PRESERVING = {**pieces.PRESERVING, **axis_pieces.PRESERVING, **loop_pieces.PRESERVING}
ALL = {**PRESERVING, **pieces.RESHAPING, **axis_pieces.RESHAPING, **loop_pieces.RESHAPING}
