"""Axes as expressions that can be set equal: what a permutation of units may act on.

A dimension is an atom (n positions that one permutation moves), a product of dimensions (a merged
axis, outermost first) or a sum of them (a concatenated axis, first part first). An analysis makes
one for each axis of each array and sets those equal that an operation ties together; atoms are
taken apart where two expressions meet that divide an axis differently. What remains an atom and is
not pinned may be permuted, wherever it occurs, without the computation noticing.

Whatever cannot be expressed is pinned: nothing may be permuted there.
"""

import math
from collections.abc import Iterable, Sequence

__all__ = [
    "Dimension",
    "atoms",
    "cut",
    "equate",
    "factors",
    "mark_read",
    "parts",
    "pin",
    "product",
    "resolve",
    "total",
]


class Dimension:
    """One axis, or a part of one; changed in place as more becomes known of it.

    Attributes:
      size: how many positions it has.
      same: the dimension that this one was found to be, if any.
      product: its factors, outermost first; empty for an atom and a sum.
      total: its parts, first one first; empty for an atom and a product.
      pinned: whether nothing may be permuted here.
      read: whether an operation other than a slice has looked at it.
      untold: the operations without a rule that pinned it.
    """

    __slots__ = ("pinned", "product", "read", "same", "size", "total", "untold")

    def __init__(self, size: int, *, pinned: bool = False):
        self.size = size
        self.same: Dimension | None = None
        self.product: tuple[Dimension, ...] = ()
        self.total: tuple[Dimension, ...] = ()
        self.pinned = pinned
        self.read = False
        self.untold: set[str] = set()


def product(dimensions: Iterable[Dimension]) -> Dimension:
    """Axes merged into one, outermost first."""
    given = [each for each in dimensions if each.size != 1]
    if len(given) == 1:
        return given[0]
    merged = Dimension(math.prod(each.size for each in given))
    merged.product = tuple(given)
    return merged


def total(dimensions: Iterable[Dimension]) -> Dimension:
    """Axes laid end to end."""
    given = [each for each in dimensions if each.size]
    if len(given) == 1:
        return given[0]
    joined = Dimension(sum(each.size for each in given))
    joined.total = tuple(given)
    return joined


def resolve(dimension: Dimension) -> Dimension:
    """What a dimension was found to be."""
    found = dimension
    while found.same is not None:
        found = found.same
    # The next one who asks is told at once.
    while dimension.same is not None:
        dimension.same, dimension = found, dimension.same
    return found


def factors(dimension: Dimension) -> list[Dimension]:
    """Its factors that are no products themselves, outermost first; none for a single position."""
    dimension = resolve(dimension)
    if dimension.size == 1:
        return []
    if not dimension.product:
        return [dimension]
    return [factor for each in dimension.product for factor in factors(each)]


def parts(dimension: Dimension) -> list[Dimension]:
    """Its parts that are no sums themselves, first one first."""
    found: list[Dimension] = []
    # A loop: an axis that a program takes apart piece by piece nests as deep as it is long.
    left = [dimension]
    while left:
        each = resolve(left.pop())
        if each.total:
            left.extend(reversed(each.total))
        else:
            found.append(each)
    return found


def atoms(dimension: Dimension) -> list[Dimension]:
    """All atoms of an expression, in its order."""
    found: list[Dimension] = []
    left = [dimension]
    while left:
        each = resolve(left.pop())
        if each.product or each.total:
            left.extend(reversed(each.product or each.total))
        else:
            found.append(each)
    return found


def pin(dimension: Dimension, untold: Iterable[str] = ()) -> None:
    """Nothing may be permuted in it from now on."""
    for atom in atoms(dimension):
        atom.pinned = True
        atom.untold.update(untold)


def mark_read(dimension: Dimension) -> None:
    """An operation has looked at all of it."""
    for atom in atoms(dimension):
        atom.read = True


def equate(one: Dimension, other: Dimension) -> None:
    """One permutation moves both from now on; what divides them differently is pinned."""
    one, other = resolve(one), resolve(other)
    if one is other:
        return
    if _is_atom(other):
        one, other = other, one
    if _is_atom(one):
        _inherit(one, other)
        one.same = other
    elif one.product and other.product:
        _align_factors(factors(one), factors(other))
        one.same = other
    else:
        _align_parts(parts(one), parts(other))
        # A product says more than a sum: that its blocks are alike.
        kept, gone = (other, one) if other.product else (one, other)
        if kept.total:
            kept.total = tuple(parts(kept))
        gone.same = kept


def cut(dimension: Dimension, sizes: Sequence[int]) -> list[Dimension]:
    """Pieces of the given sizes, first one first."""
    dimension = resolve(dimension)
    left, pieces = [dimension], []
    for size in sizes:
        inside = []
        while size:
            part = resolve(left.pop())
            if part.total:
                left.extend(reversed(parts(part)))
                continue
            if part.size > size:
                part, rest = _split(part, size)
                left.extend(rest)
            inside.append(part)
            size -= part.size
        pieces.append(total(inside))
    if dimension.total:
        dimension.total = tuple(parts(dimension))
    return pieces


def _is_atom(dimension: Dimension) -> bool:
    return not dimension.product and not dimension.total


def _inherit(atom: Dimension, heir: Dimension) -> None:
    if atom.pinned:
        pin(heir, atom.untold)
    if atom.read:
        mark_read(heir)


def _align_factors(ones: list[Dimension], others: list[Dimension]) -> None:
    """Sets two products equal, innermost factors first; both lists are used up."""
    while ones and others:
        one, other = resolve(ones.pop()), resolve(others.pop())
        # A factor may have been taken apart since the list was made.
        if one.product or other.product:
            ones.extend(factors(one))
            others.extend(factors(other))
            continue
        inner = math.gcd(one.size, other.size)
        if inner == 1:
            for each in (one, other, *ones, *others):
                pin(each)
            return
        (outer_one, inner_one), (outer_other, inner_other) = (
            _divide(one, inner),
            _divide(other, inner),
        )
        equate(inner_one, inner_other)
        ones.extend(factors(outer_one))
        others.extend(factors(outer_other))


def _divide(dimension: Dimension, inner: int) -> tuple[Dimension, Dimension]:
    """An atom or a sum as `outer x inner`."""
    dimension = resolve(dimension)
    if dimension.size == inner:
        return Dimension(1), dimension
    outer, block = Dimension(dimension.size // inner), Dimension(inner)
    if dimension.total:
        # The parts of a sum are unlike each other, so that their order is fixed.
        pin(outer)
        if any(part.size % inner for part in parts(dimension)):
            pin(dimension)
            pin(block)
        for part in parts(dimension):
            if part.size % inner == 0:
                count = Dimension(part.size // inner, pinned=True)
                equate(product((count, block)), part)
        dimension.total = ()
    _inherit_division(dimension, outer, block)
    dimension.product = (outer, block)
    return outer, block


def _inherit_division(atom: Dimension, *pieces: Dimension) -> None:
    for piece in pieces:
        _inherit(atom, piece)


def _align_parts(ones: list[Dimension], others: list[Dimension]) -> None:
    """Sets two sums equal, first parts first."""
    ones, others = ones[::-1], others[::-1]
    while ones and others:
        one, other = resolve(ones.pop()), resolve(others.pop())
        if one.total or other.total:
            ones.extend(parts(one)[::-1])
            others.extend(parts(other)[::-1])
            continue
        if one.size == other.size:
            equate(one, other)
            continue
        length = min(one.size, other.size)
        (first_one, rest_one), (first_other, rest_other) = (
            _split(one, length),
            _split(other, length),
        )
        equate(first_one, first_other)
        ones.extend(rest_one)
        others.extend(rest_other)


def _split(dimension: Dimension, length: int) -> tuple[Dimension, list[Dimension]]:
    """An atom's or a product's first `length` positions, and the rest where there is one."""
    if dimension.size == length:
        return dimension, []
    rest = dimension.size - length
    if not dimension.product:
        dimension.total = Dimension(length), Dimension(rest)
        _inherit_division(dimension, *dimension.total)
        return dimension.total[0], [dimension.total[1]]
    outer, *inner = factors(dimension)
    block = product(inner)
    pin(outer)
    if length % block.size:
        pin(block)
        return Dimension(length, pinned=True), [Dimension(rest, pinned=True)]
    first, second = (
        product((Dimension(count // block.size, pinned=True), block)) for count in (length, rest)
    )
    return first, [second]
