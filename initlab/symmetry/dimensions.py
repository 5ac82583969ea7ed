"""Axes as expressions, and their unification: what a permutation of units may act on.

A dimension is an atom (n positions that one permutation moves), a product of dimensions (a merged
axis, outermost first) or a concatenation of them (first part first). An analysis makes one for each
axis of each array and unifies those that an operation ties together. Dimensions form a union-find
forest: one that was unified with another points to it as its `parent`, and the root represents
them all. Where two expressions that divide an axis differently are unified, atoms are taken apart
into the coarsest pieces that both can be made of. What remains an atom and is not pinned may be
permuted, wherever it occurs, without a change of the results.

Whatever cannot be expressed is pinned: nothing may be permuted there. That is sound because a pin
only takes permutations away: those that are left form a subgroup of the true symmetries, so that a
symmetry may be missed and none is made up.

There is no occurs check, as unification needs one elsewhere: a dimension would have to be unified
with an expression that holds it, but only dimensions of one size are unified, and what an
expression holds is smaller than itself (factors of size 1 and parts of size 0 are left out).
"""

import math
from collections.abc import Iterable, Sequence

__all__ = [
    "Dimension",
    "atoms",
    "concatenation",
    "cut",
    "factors",
    "mark_read",
    "parts",
    "pin",
    "product",
    "resolve",
    "unify",
]


class Dimension:
    """One axis, or a part of one; changed in place as more becomes known of it.

    Attributes:
      size: how many positions it has.
      parent: the dimension that it was unified with; None at a root, which represents its set.
      product: its factors, outermost first; empty for an atom and a concatenation.
      concatenation: its parts, first one first; empty for an atom and a product.
      pinned: whether nothing may be permuted here.
      read: whether an operation other than a slice has read it.
      uniform: whether its array is the same all along it: each use of the array may then exchange
        its positions differently, so that it stands for no dimension of its own.
      unsupported: the operations without a rule that pinned it.
    """

    __slots__ = (
        "concatenation",
        "parent",
        "pinned",
        "product",
        "read",
        "size",
        "uniform",
        "unsupported",
    )

    def __init__(self, size: int, *, pinned: bool = False, uniform: bool = False):
        self.size = size
        self.parent: Dimension | None = None
        self.product: tuple[Dimension, ...] = ()
        self.concatenation: tuple[Dimension, ...] = ()
        self.pinned = pinned
        self.read = False
        self.uniform = uniform
        self.unsupported: set[str] = set()


def product(dimensions: Iterable[Dimension]) -> Dimension:
    """Axes merged into one, outermost first."""
    given = [each for each in dimensions if each.size != 1]
    if len(given) == 1:
        return given[0]
    merged = Dimension(math.prod(each.size for each in given))
    merged.product = tuple(given)
    return merged


def concatenation(dimensions: Iterable[Dimension]) -> Dimension:
    """Axes concatenated."""
    given = [each for each in dimensions if each.size]
    if len(given) == 1:
        return given[0]
    joined = Dimension(sum(each.size for each in given))
    joined.concatenation = tuple(given)
    return joined


def resolve(dimension: Dimension) -> Dimension:
    """The root that represents a dimension's set: the find of union-find."""
    found = dimension
    while found.parent is not None:
        found = found.parent
    # Path compression: the next lookup finds the root at once. A program of many layers that share
    # an axis would make chains as long as the program.
    while dimension.parent is not None:
        dimension.parent, dimension = found, dimension.parent
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
    """Its parts that are no concatenations themselves, first one first."""
    found: list[Dimension] = []
    # A loop, not recursion: an axis that a program takes apart piece by piece nests as deep as it
    # is long.
    left = [dimension]
    while left:
        each = resolve(left.pop())
        if each.concatenation:
            left.extend(reversed(each.concatenation))
        else:
            found.append(each)
    return found


def atoms(dimension: Dimension) -> list[Dimension]:
    """All atoms of an expression, in its order."""
    found: list[Dimension] = []
    left = [dimension]
    while left:
        each = resolve(left.pop())
        if each.product or each.concatenation:
            left.extend(reversed(each.product or each.concatenation))
        else:
            found.append(each)
    return found


def pin(dimension: Dimension, unsupported: Iterable[str] = ()) -> None:
    """Nothing may be permuted in it from now on."""
    # The atoms, not the expression: an axis of which a factor is pinned may still be permuted along
    # another, and an atom that lies elsewhere too is pinned there as well.
    for atom in atoms(dimension):
        atom.pinned = True
        atom.unsupported.update(unsupported)


def mark_read(dimension: Dimension) -> None:
    """An operation has read all of it."""
    for atom in atoms(dimension):
        atom.read = True


def unify(one: Dimension, other: Dimension) -> None:
    """One permutation moves both from now on; what divides them differently is pinned."""
    one, other = resolve(one), resolve(other)
    if one is other:
        return
    if _is_atom(other):
        one, other = other, one
    if _is_atom(one):
        # A variable bound to a term: nothing inside has to be compared.
        _inherit(one, other)
        one.parent = other
    elif one.product and other.product:
        _align_factors(factors(one), factors(other))
        # Their factors are now the same dimensions, or pinned on both sides: either may stand.
        one.parent = other
    else:
        # At least one is a concatenation; parts takes a product as the only part of itself.
        _align_parts(parts(one), parts(other))
        # The product stays the root: it says more, that the blocks it consists of are alike and
        # moved by one permutation. The concatenation's parts are unified with those blocks.
        kept, gone = (other, one) if other.product else (one, other)
        if kept.concatenation:
            # Flat, or an axis that is cut once for each of n pieces would cost n^2 to read.
            kept.concatenation = tuple(parts(kept))
        gone.parent = kept


def cut(dimension: Dimension, sizes: Sequence[int]) -> list[Dimension]:
    """Pieces of the given sizes, first one first."""
    dimension = resolve(dimension)
    left, pieces = [dimension], []
    for size in sizes:
        inside = []
        while size:
            part = resolve(left.pop())
            # A cut before may have taken this part apart.
            if part.concatenation:
                left.extend(reversed(parts(part)))
                continue
            if part.size > size:
                part, rest = _split(part, size)
                left.extend(rest)
            inside.append(part)
            size -= part.size
        pieces.append(concatenation(inside))
    # Flat, as in `unify`: repeated cuts would nest, and cost the square of their number to read.
    if dimension.concatenation:
        dimension.concatenation = tuple(parts(dimension))
    return pieces


def _is_atom(dimension: Dimension) -> bool:
    return not dimension.product and not dimension.concatenation


def _inherit(atom: Dimension, *heirs: Dimension) -> None:
    """What is known of an atom holds for the expressions that take its place."""
    for heir in heirs:
        if atom.pinned:
            pin(heir, atom.unsupported)
        if atom.read:
            mark_read(heir)


def _align_factors(ones: list[Dimension], others: list[Dimension]) -> None:
    """Unifies two products of one size, innermost factors first; both lists are used up.

    The common refinement of two mixed radix systems: as with digits, the innermost positions of
    both count together up to the greatest common divisor of the two innermost factors.
    """
    while ones and others:
        one, other = resolve(ones.pop()), resolve(others.pop())
        # A factor that occurs twice may have been taken apart at its first occurrence.
        if one.product or other.product:
            ones.extend(factors(one))
            others.extend(factors(other))
            continue
        inner = math.gcd(one.size, other.size)
        if inner == 1:
            # Coprime, as 2 x 3 against 3 x 2: no block of the one ends where a block of the other
            # does, so that no permutation of a factor alone is one of the other's factors. Nor do
            # those further out, whose inner neighbours would have to correspond.
            for each in (one, other, *ones, *others):
                pin(each)
            return
        (outer_one, inner_one), (outer_other, inner_other) = (
            _divide(one, inner),
            _divide(other, inner),
        )
        unify(inner_one, inner_other)
        ones.extend(factors(outer_one))
        others.extend(factors(outer_other))


def _divide(dimension: Dimension, inner: int) -> tuple[Dimension, Dimension]:
    """An atom or a concatenation as `outer x inner`: blocks of the size `inner`, one by one."""
    dimension = resolve(dimension)
    if dimension.size == inner:
        return Dimension(1), dimension
    outer, block = Dimension(dimension.size // inner), Dimension(inner)
    if dimension.concatenation:
        # Parts of a concatenation are unlike each other, so that the order of blocks is fixed; what
        # is inside a block may still move, in all blocks alike.
        pin(outer)
        # Unless a block lies across a border of two parts: then not even that.
        if any(part.size % inner for part in parts(dimension)):
            pin(dimension)
            pin(block)
        for part in parts(dimension):
            if part.size % inner == 0:
                count = Dimension(part.size // inner, pinned=True)
                unify(product((count, block)), part)
        # Its parts are made of blocks now, or pinned: the product says all that they did.
        dimension.concatenation = ()
    _inherit(dimension, outer, block)
    dimension.product = (outer, block)
    return outer, block


def _align_parts(ones: list[Dimension], others: list[Dimension]) -> None:
    """Unifies two concatenations of one size, first parts first.

    The common refinement of their borders: where a part of the one ends inside a part of the other,
    the longer one is split there.
    """
    ones, others = ones[::-1], others[::-1]
    while ones and others:
        one, other = resolve(ones.pop()), resolve(others.pop())
        # As with factors, a part that occurs twice may have been split meanwhile.
        if one.concatenation or other.concatenation:
            ones.extend(parts(one)[::-1])
            others.extend(parts(other)[::-1])
            continue
        if one.size == other.size:
            unify(one, other)
            continue
        length = min(one.size, other.size)
        (first_one, rest_one), (first_other, rest_other) = (
            _split(one, length),
            _split(other, length),
        )
        unify(first_one, first_other)
        ones.extend(rest_one)
        others.extend(rest_other)


def _split(dimension: Dimension, length: int) -> tuple[Dimension, list[Dimension]]:
    """An atom's or a product's first `length` positions, and the rest where there is one."""
    if dimension.size == length:
        return dimension, []
    rest = dimension.size - length
    if not dimension.product:
        # An atom's positions on both sides of the border can move, each among their own.
        dimension.concatenation = Dimension(length), Dimension(rest)
        _inherit(dimension, *dimension.concatenation)
        return dimension.concatenation[0], [dimension.concatenation[1]]
    # A product is cut between its outermost blocks: those before the border and those behind it are
    # no longer exchanged, and to keep the outer atom whole in both would let it move across.
    outer, *inner = factors(dimension)
    block = product(inner)
    pin(outer)
    # Inside a block: the block's own positions lie on both sides, in different blocks differently.
    if length % block.size:
        pin(block)
        return Dimension(length, pinned=True), [Dimension(rest, pinned=True)]
    first, second = (
        product((Dimension(count // block.size, pinned=True), block)) for count in (length, rest)
    )
    return first, [second]
