"""Roles and fans of a model's weights, read off their use in its traced program."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from initlab.adoption.adopt import one_use
from initlab.adoption.reader import read_usage
from initlab.adoption.rules import RULES, compute
from initlab.symmetry import UnitGroup
from initlab.taps import Model
from initlab.types import Role

__all__ = ["Fans", "read_fans"]


WEIGHTS = frozenset({Role.WEIGHT, Role.INPUT, Role.RESIDUAL, Role.READOUT})


class Fans(NamedTuple):
    """How one weight is used.

    Attributes:
      role: what for.
      fan_in: terms in one unit's sum.
      fan_out: units that one input reaches; of one part, where several are packed.
      parts: how many layers' weights lie side by side in it, as 3 of a packed qkv.
      shape: of the whole parameter, stacked layers included.
      stack: how many layers are stacked in it, 1 for a plain one.
      copies: how many matrices of these fans it holds: stacked layers times members, as experts.
    """

    role: Role
    fan_in: int
    fan_out: int
    parts: int
    shape: tuple[int, ...]
    stack: int
    copies: int


def read_fans(model: Model, groups: Sequence[UnitGroup]) -> dict[int, Fans]:
    """The fans of every weight whose uses are understood and agree.

    Args:
      model: a traced model.
      groups: its units, which tell parts that are packed along one axis.

    Returns:
      `{number of the parameter: its fans}`.
    """
    usage = read_usage(model.program, model.shapes, RULES, compute)
    pieces = _pieces(groups)
    fans = {}
    for number, path in enumerate(model.paths):
        use, shape = one_use(number, usage), model.shapes[number]
        # Tables, biases, norms and gates are drawn by no law of fans.
        if use.doubt or use.role not in WEIGHTS:
            continue
        parts = _parts(pieces, path, shape, use.fan_out)
        stack = usage.stacked.get(number, 0) or 1
        copies = stack * math.prod(shape[axis] for axis in use.members)
        fan_out = use.fan_out // parts
        fans[number] = Fans(use.role, use.fan_in, fan_out, parts, shape, stack, copies)
    return fans


def _pieces(groups: Sequence[UnitGroup]) -> dict[tuple[str, int], int]:
    """How many entries of an axis the units of one layer take: of a packed qkv's a third."""
    pieces: dict[tuple[str, int], int] = {}
    for group in groups:
        axes = {(unit.path, unit.axis) for unit in group.axes}
        # Gates of a recurrent cell lie side by side too, and published cells are drawn as one.
        if len({path for path, _ in axes}) < len(axes):
            continue
        for unit in group.axes:
            where = unit.path, unit.axis
            pieces[where] = max(pieces.get(where, 0), group.size * unit.inner)
    return pieces


def _parts(
    pieces: Mapping[tuple[str, int], int], path: str, shape: tuple[int, ...], fan_out: int
) -> int:
    """How many layers' weights, 4 at most, lie side by side along an axis that is all fan_out."""
    for axis, size in enumerate(shape):
        piece = pieces.get((path, axis), size)
        if size == fan_out and piece < size <= 4 * piece and size % piece == 0:
            return size // piece
    return 1
