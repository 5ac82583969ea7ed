"""Which units may be exchanged within each layer, head, expert or member alone.

An exchange of units U permutes them in all blocks at once: in every layer of a stack, every head.
Where each array that holds U has an axis B too, so that every entry belongs to one block of B, and
where no operation mixes blocks, U may be permuted in each block of B by a permutation of its own: a
local (gauge) symmetry, the wreath product of U's permutations with B's positions.

Proof, equation by equation: let an entry of block b be moved by the permutation of b. An operation
that reads U's entries of one block and writes those of the same block maps moved operands to moved
results. What sums over U sums within one block, in another order. So it suffices that all operands
and results that hold U agree on the block of each entry: by an axis B that the operation keeps
aligned, or by a slice that took one index of B. Whatever is not known to keep blocks apart takes B
away from U: a local symmetry may be missed, none is made up.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from initlab.programs import primitives
from initlab.programs.axes import DotAxes, product_axes
from initlab.symmetry.chosen import Index
from initlab.symmetry.dimensions import Dimension, atoms, factors, resolve
from initlab.symmetry.indexed import indexed
from initlab.symmetry.layout import occurrences
from initlab.symmetry.propagate_axes import Step
from initlab.symmetry.rule_types import Axes

__all__ = ["find_blocks"]

Blocks = dict[Dimension, Hashable]
"""For an atom in an array: the dimensions that its entries have an index in; `ALONG` where that is
an axis of the array, else the index that a slice took, an `Index` where data chose it."""

ALONG = "along"

ALONG_AXES = (
    primitives.CUMULATIVE
    | primitives.ARG_REDUCTIONS
    | primitives.ORDERED
    | primitives.WINDOWS
    | {"fft", "gather", "reduce", "rev"}
)
"""What mixes along some axes of its first operand, and nowhere else."""

APART = (
    primitives.ELEMENTWISE
    | primitives.PASSING
    | primitives.REDUCTIONS
    | primitives.INDEXING
    | primitives.RANDOM
    | {"bitcast_convert_type", "iota", "join"}
) - (ALONG_AXES | {"scatter"})
"""What leaves each entry in the block that it is in, or gives its result another axis for B."""


def find_blocks(
    leaves: Sequence[Axes], steps: Sequence[Step]
) -> tuple[dict[Dimension, tuple[Dimension, ...]], Callable[[Dimension], Dimension]]:
    """For each atom of the params the dimensions in each index of which it may be exchanged alone.

    Args:
      leaves: the axes of each parameter, as a propagation has left them.
      steps: what it recorded.

    Returns:
      Atoms with at least one such dimension, and what gives the one name of a dimension: leaves
      that are sliced index by index (`up[3]` and `down[3]`) have an axis each for one dimension.
    """
    same: dict[Dimension, Dimension] = {}
    # Which axes are one is known only at the end of a reading: read until no more are found.
    before = -1
    while len(same) > before:
        before, reading = len(same), _Reading(same)
        reading.read(leaves, steps)
    found = {
        atom: tuple(each for each in blocks if each.size > 1)
        for atom, blocks in reading.allowed.items()
        if atom in reading.in_signals
    }
    return {atom: blocks for atom, blocks in found.items() if blocks}, reading.root


class _Reading:
    """One pass over the steps of a program.

    Attributes:
      allowed: for each atom the dimensions that all steps so far keep apart.
      in_signals: the atoms that a product has as an axis; those of a stack that is only sliced, or
        of a kernel's window, lie in parameters alone.
    """

    def __init__(self, same: dict[Dimension, Dimension]):
        self.allowed: dict[Dimension, list[Dimension]] = {}
        self.in_signals: set[Dimension] = set()
        self._same = same
        self._taken: dict[int, dict[Dimension, Blocks]] = {}
        self._known: dict[int, dict[Dimension, Blocks]] = {}

    def read(self, leaves: Sequence[Axes], steps: Sequence[Step]) -> None:
        for axes in leaves:
            for atom, blocks in self._blocks(axes).items():
                self._allow(atom, [blocks])
        for step in steps:
            self._step(step)
            if step.name in primitives.CONTRACTIONS:
                self.in_signals.update(atom for axes in step.results for atom in self._blocks(axes))

    def root(self, dimension: Dimension) -> Dimension:
        found = resolve(dimension)
        while found in self._same:
            found = resolve(self._same[found])
        return found

    def _step(self, step: Step) -> None:
        operands = [self._blocks(axes) for axes in step.operands]
        index = indexed(step)
        for number, axes in enumerate(step.results):
            taken: dict[Dimension, Blocks] = {}
            for atom in {each.atom for each in occurrences(axes)}:
                if atom.size == 1:
                    continue
                taken[atom] = self._inherited(atom, operands)
                for dimension, position in index[number] if index else ():
                    if step.name != "leave":
                        taken[atom][self.root(dimension)] = self._resolved(position)
                        continue
                    for each in [e for e, at in taken[atom].items() if at is position]:
                        del taken[atom][each]
                        self._unite(dimension, each)
                    # What an iteration has chosen differs from one to the next.
                    for each in [e for e, at in taken[atom].items() if isinstance(at, Index)]:
                        del taken[atom][each]
            # A tuple that an operation carries is the operand itself, whose blocks are known.
            if not any(axes is each for each in step.operands):
                self._taken[id(axes)] = taken
                self._known.pop(id(axes), None)
        results = [self._blocks(axes) for axes in step.results]
        for atom in {atom for blocks in (*operands, *results) for atom in blocks}:
            held = [blocks[atom] for blocks in (*operands, *results) if atom in blocks]
            if index:
                self._indexed(atom, operands, results, index)
            else:
                self._inherited(atom, operands)
                self._allow(atom, held, self._mixed(step, atom))

    def _inherited(self, atom: Dimension, operands: Sequence[Mapping[Dimension, Blocks]]) -> Blocks:
        """The indices that an operation's operands were taken at, of those that hold an atom."""
        found: Blocks = {}
        for blocks in operands:
            for each, at in blocks.get(atom, {}).items():
                if at is ALONG:
                    continue
                # One index of two axes of one size: from here on they are one dimension.
                for other, position in found.items():
                    if other not in blocks[atom] and position == at and other.size == each.size:
                        self._unite(each, other)
                found.setdefault(each, at)
        return found

    def _unite(self, one: Dimension, other: Dimension) -> None:
        one, other = self.root(one), self.root(other)
        if one is not other:
            self._same[one] = other

    def _indexed(self, atom: Dimension, operands: Any, results: Any, index: Any) -> None:
        """A slice, or slices stacked: the dimension changes from an axis to an index, or back."""
        for blocks in operands:
            for number, after in enumerate(results):
                if atom not in blocks or atom not in after:
                    continue
                both = [dict(each) for each in (blocks[atom], after[atom])]
                for dimension in [self.root(each) for each, _ in index[number]]:
                    if all(dimension in each for each in both):
                        for each in both:
                            each[dimension] = ALONG
                self._allow(atom, both)

    def _allow(
        self, atom: Dimension, held: Sequence[Blocks], mixed: Sequence[Dimension] | None = ()
    ) -> None:
        """Keeps of an atom's dimensions those that every array has, with one index."""
        first = held[0]
        known = self.allowed.get(atom)
        candidates = list(first) if known is None else [self.root(each) for each in known]
        gone = candidates if mixed is None else [self.root(each) for each in mixed]
        self.allowed[atom] = [
            each
            for each in dict.fromkeys(candidates)
            if each not in gone
            and all(each in blocks and blocks[each] == first[each] for blocks in held)
            and not any(other in gone for other in self._behind(first.get(each)))
        ]

    def _resolved(self, position: Hashable) -> Hashable:
        """An index with the dimensions that it was chosen along under their one name each."""
        if not isinstance(position, Index):
            return position
        along = (self.root(each) for axis in position.along for each in factors(axis))
        return position._replace(along=tuple(along))

    def _behind(self, at: Hashable) -> list[Dimension]:
        """The dimensions that an index was chosen along."""
        return [self.root(each) for each in at.along] if isinstance(at, Index) else []

    def _blocks(self, axes: Axes) -> dict[Dimension, Blocks]:
        """For each atom of an array the dimensions that all its occurrences lie beside."""
        known = self._known.get(id(axes))
        if known is not None:
            return known
        found: dict[Dimension, Blocks] = {}
        taken = self._taken.get(id(axes), {})
        for each in occurrences(axes):
            if each.atom.size == 1:
                continue
            beside: Blocks = dict(taken.get(each.atom, {}))
            roots = [self.root(other) for other in each.beside]
            for root in roots:
                # Two axes of one dimension name no block, nor does an axis beside an index.
                if roots.count(root) > 1 or root in beside:
                    beside.pop(root, None)
                else:
                    beside[root] = ALONG
            for other, at in list(beside.items()):
                if any(beside.get(each) != ALONG for each in self._behind(at)):
                    del beside[other]
            before = found.get(each.atom)
            if before is not None:
                beside = {root: at for root, at in before.items() if beside.get(root) == at}
            found[each.atom] = beside
        self._known[id(axes)] = found
        return found

    def _mixed(self, step: Step, atom: Dimension) -> list[Dimension] | None:
        """The dimensions whose blocks an operation may mix among an atom's entries; None is all."""
        if step.name in APART:
            return []
        if step.name == "dot_general":
            return self._mixed_by_product(step, atom, DotAxes(*step.params["dimension_numbers"]))
        if step.name in primitives.PRODUCTS:
            axes = product_axes(step.name, len(step.operands[0]))
            return self._mixed_by_product(step, atom, axes)
        if step.name == "conv_general_dilated":
            return self._mixed_by_convolution(step, atom)
        if step.name in ALONG_AXES:
            return self._on(step.operands[0], _acted(step))
        return None

    def _mixed_by_product(self, step: Step, atom: Dimension, axes: DotAxes) -> list[Dimension]:
        left, right = step.operands[:2]
        summed = [
            *self._on(left, axes.contract[0]),
            *self._on(right, axes.contract[1]),
        ]
        if not any(atom in atoms(left[number]) for number in axes.contract[0]):
            # Another sum than that over the units: over blocks it mixes them.
            return summed
        # The units are summed over: the two entries of each pair must be of one block.
        paired = {
            each
            for ones, others in axes
            for one, other in zip(ones, others, strict=True)
            for each in self._on(left, [one])
            if each in self._on(right, [other])
        }
        both = [*self._on(left, range(len(left))), *self._on(right, range(len(right)))]
        unpaired = [each for each in both if each not in paired]
        # Where the units lie on a free axis too (a recurrent weight), blocks stay in the result.
        if any(atom in self._blocks(axes) for axes in step.results):
            unpaired += summed
        return unpaired

    def _mixed_by_convolution(self, step: Step, atom: Dimension) -> list[Dimension] | None:
        numbers = step.params["dimension_numbers"]
        image, kernel = step.operands[:2]
        channels = self._on(image, [numbers.lhs_spec[1]])
        inputs = self._on(kernel, [numbers.rhs_spec[1]])
        out = self._on(kernel, [numbers.rhs_spec[0]])
        every = [*self._on(image, range(len(image))), *self._on(kernel, range(len(kernel)))]
        if atom in atoms(kernel[numbers.rhs_spec[1]]):
            # A sum over pairs of channels, within each group of them.
            paired = [*inputs, *(out if step.params["feature_group_count"] > 1 else [])]
            return [each for each in every if not (each in channels and each in paired)]
        # Along windows, examples of the image aside, everything is mixed.
        examples = self._on(image, [numbers.lhs_spec[0]])
        return [each for each in every if each not in (*examples, *channels, *out)]

    def _on(self, axes: Axes, numbers: Any) -> list[Dimension]:
        """The dimensions that lie on some axes of an array as a factor."""
        return [
            self.root(each)
            for number in numbers
            if not axes[number].uniform
            for each in factors(axes[number])
        ]


def _acted(step: Step) -> list[int]:
    """The axes of its first operand that an operation of ALONG_AXES mixes along."""
    params, rank = step.params, len(step.operands[0])
    if step.name == "gather":
        along = params["dimension_numbers"].operand_batching_dims
        whole = [
            n for n, axis in enumerate(step.operands[0]) if axis.size == params["slice_sizes"][n]
        ]
        return [n for n in range(rank) if n not in along and n not in whole]
    if step.name == "fft":
        return list(range(rank - len(params["fft_lengths"]), rank))
    if "window_dimensions" in params:
        return [n for n, length in enumerate(params["window_dimensions"]) if length != 1]
    if step.name in primitives.WINDOWS:
        return list(range(rank))
    for name in ("axis", "dimension", "dimensions", "axes"):
        if name in params:
            named = params[name]
            return list(named) if isinstance(named, Sequence) else [named]
    return list(range(rank))
