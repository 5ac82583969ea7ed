"""Where the units of a network lie in its params: the axes that an exchange permutes."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from initlab import checks

__all__ = [
    "BlockAxis",
    "UnitAxis",
    "UnitGroup",
    "check_names",
    "in_block",
    "mlp_groups",
    "mlp_units",
]


@dataclasses.dataclass(frozen=True)
class BlockAxis:
    """Where the blocks of a UnitAxis lie in its leaf: `[outer, size, inner]` from `start` on.

    Attributes:
      axis: which axis of the leaf; it may be the units' own.
      size: how many blocks there are.
      outer: how many times they are repeated.
      inner: how many entries of the axis follow each other in one block.
      start: how many entries of the axis come before.
      rest: how many come after.
    """

    axis: int
    size: int
    outer: int = 1
    inner: int = 1
    start: int = 0
    rest: int = 0


@dataclasses.dataclass(frozen=True)
class UnitAxis:
    """One axis of one leaf, read as `[outer, size, inner]` with the units in the middle.

    Where units share an axis with other things (the rows of a weight that takes inputs and a
    hidden state concatenated), the entries between the first `start` and the last `rest` are.

    Attributes:
      path: the leaf, as "layer_1/weight"; "" where params are one array.
      axis: which of its axes carries the units.
      outer: how many blocks of units the axis holds, 1 for a plain axis.
      inner: how many entries each unit has on it, 1 for a plain axis.
      start: how many entries of the axis come before the units.
      rest: how many come after them.
      blocks: axes in each index of which the units may be exchanged alone: layers of a stack,
        heads, experts, members.
      at: the index in each of the first blocks that an exchange is restricted to; the units of one
        leaf may lie in one layer, those of another in the next. The blocks after them, in the same
        order for every axis of a group, are exchanged all at once.
    """

    path: str
    axis: int
    outer: int = 1
    inner: int = 1
    start: int = 0
    rest: int = 0
    blocks: tuple[BlockAxis, ...] = ()
    at: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class UnitGroup:
    """Units that may be exchanged, and every axis that such an exchange permutes.

    Attributes:
      name: what the units are, as "layer_1".
      size: how many there are.
      axes: where they lie.
    """

    name: str
    size: int
    axes: tuple[UnitAxis, ...]

    @property
    def blocks(self) -> tuple[int, ...]:
        """How many blocks there are along each axis of them, each with exchanges of its own."""
        first = self.axes[0] if self.axes else UnitAxis("", 0)
        return tuple(block.size for block in first.blocks[len(first.at) :])


@checks.checked
def in_block(group: UnitGroup, index: Sequence[int]) -> UnitGroup:
    """The units of one block alone: of one layer of a stack, one head, one expert, one member.

    Args:
      group: with blocks, as `find_groups` finds it.
      index: of the block, one number for each of `group.blocks`.

    Returns:
      The group whose exchanges move nothing outside that block.

    Raises:
      ValueError: if index names no block of the group.

    >>> layers = UnitAxis("up", 2, blocks=(BlockAxis(0, 12),))
    >>> in_block(UnitGroup("up", 8, (layers,)), [3]).name
    'up[3]'
    """
    at = tuple(index)
    if (
        not at
        or len(at) != len(group.blocks)
        or not all(0 <= each < size for each, size in zip(at, group.blocks, strict=True))
    ):
        raise ValueError(
            f"index must name one of the blocks {group.blocks} of group {group.name!r}, got {at}"
        )
    axes = tuple(dataclasses.replace(unit, at=unit.at + at) for unit in group.axes)
    return UnitGroup(f"{group.name}[{', '.join(map(str, at))}]", group.size, axes)


def check_names(groups: Sequence[UnitGroup]) -> Sequence[UnitGroup]:
    """The groups as they came; ValueError where two share a name, which results are keyed by."""
    for group in groups:
        if not isinstance(group, UnitGroup):
            raise TypeError(f"groups must be UnitGroups, got {type(group).__name__}")
    name, count = Counter(group.name for group in groups).most_common(1)[0] if groups else ("", 0)
    if count > 1:
        raise ValueError(f"groups must have names of their own, got {count} groups {name!r}")
    return groups


@checks.checked
def mlp_groups(params: Any) -> tuple[UnitGroup, ...]:
    """The hidden units of an mlp: one group for each hidden layer, with its outgoing weights.

    Exchanging two units of a group (columns of its weight, entries of its bias, rows of the next
    weight) leaves the network's function alone (Hecht-Nielsen 1990).

    Args:
      params: `{"layer_1": {"weight", "bias"}, ...}`, biases where there are any, with "hidden" for
        the layers between where they are scanned: arrays, specs or anything with a shape.

    Returns:
      The groups, first layer first.

    Raises:
      ValueError: if params are not shaped like an mlp's.

    >>> import numpy as np
    >>> layer = lambda i, j: {"weight": np.zeros((i, j)), "bias": np.zeros((j,))}
    >>> [group.size for group in mlp_groups({"layer_1": layer(2, 4), "layer_2": layer(4, 1)})]
    [4]
    """
    layers, groups = _mlp_layers(params), mlp_units(params)
    return tuple(
        dataclasses.replace(group, axes=(*group.axes, after.axis("weight", 0)))
        for group, after in zip(groups[:-1], layers[1:], strict=True)
    )


@checks.checked
def mlp_units(params: Any) -> tuple[UnitGroup, ...]:
    """Each layer's units by what comes into them: columns of its weight, entries of its bias.

    Args:
      params: `{"layer_1": {"weight", "bias"}, ...}`, biases where there are any, with "hidden" for
        the layers between where they are scanned: arrays, specs or anything with a shape.

    Returns:
      A group for each layer, the output's included, first layer first.

    Raises:
      ValueError: if params are not shaped like an mlp's.
    """
    groups = []
    for layer in _mlp_layers(params):
        shapes = dict(layer.shapes)
        weight = shapes.pop("weight", None)
        if not weight or len(weight) != 2 or shapes not in ({}, {"bias": weight[1:]}):
            raise ValueError(
                f"params[{layer.key!r}] must hold a weight [i, j] and at most a bias [j], got "
                f"shapes {shapes if weight is None else {'weight': weight, **shapes}}"
            )
        if groups and weight[0] != groups[-1].size:
            raise ValueError(
                f"params[{layer.key!r}] must take the {groups[-1].size} units of "
                f"{groups[-1].name}, got a weight of shape {tuple(weight)}"
            )
        axes = (layer.axis("weight", 1), *(layer.axis(leaf, 0) for leaf in shapes))
        groups.append(UnitGroup(layer.name, weight[1], axes))
    return tuple(groups)


class _Layer(NamedTuple):
    """One layer of an mlp, by itself or within the stack of a scanned one.

    Attributes:
      name: as "layer_2".
      key: of params, where its leaves are.
      shapes: of its own part of each leaf.
      stack: (index, layers) within a stack; empty for a layer by itself.
    """

    name: str
    key: str
    shapes: Mapping[str, tuple[int, ...] | None]
    stack: tuple[int, ...] = ()

    def axis(self, leaf: str, axis: int) -> UnitAxis:
        """The axis of the layer's own part of a leaf, as one of the whole leaf."""
        path = f"{self.key}/{leaf}"
        if not self.stack:
            return UnitAxis(path, axis)
        index, layers = self.stack
        return UnitAxis(path, axis + 1, blocks=(BlockAxis(0, layers),), at=(index,))


def _mlp_layers(params: Any) -> list[_Layer]:
    """The layers of an mlp's params, first layer first."""
    required = "an mlp's params are a dict of layer_1, layer_2, ..."
    if not isinstance(params, Mapping) or not params:
        raise ValueError(f"{required}, got {type(params).__name__}")
    shapes = {
        key: {leaf: getattr(value, "shape", None) for leaf, value in layer.items()}
        if isinstance(layer, Mapping)
        else {}
        for key, layer in params.items()
    }
    stacked = shapes.pop("hidden", {})
    weight = stacked.get("weight")
    count = weight[0] if weight else 0
    names = [f"layer_{number}" for number in range(1, len(shapes) + count + 1)]
    inner = names[1 : 1 + count]
    if set(names) - set(inner) != set(shapes) or ("hidden" in params and not inner):
        raise ValueError(f"{required}, got {sorted(params)}")
    own = {leaf: shape and shape[1:] for leaf, shape in stacked.items()}
    return [
        _Layer(name, "hidden", own, (inner.index(name), count))
        if name in inner
        else _Layer(name, name, shapes[name])
        for name in names
    ]
