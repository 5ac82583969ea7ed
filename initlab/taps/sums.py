"""Sums of two signals: two inputs of one unit, or a stream and a branch of it."""

from collections.abc import Sequence
from typing import Any

from initlab.taps.facts import Facts, Pair
from initlab.taps.scope import Scope, Site
from initlab.taps.statistics import rms

__all__ = ["add_signals"]


def add_signals(
    value: Any, result: Facts, operands: Sequence[Pair], scope: Scope, where: str
) -> Pair:
    """Two products added are one pre-activation; a value and a branch of it are a stream.

    Args:
      value: the sum.
      result: its facts.
      operands: the two signals.
      scope: gains the site; with `branch_ratio`, rms of the branch over rms of the stream.
      where: the model's own name for the place.

    Returns:
      The sum and its facts.
    """
    data = [facts for _, facts in operands]
    if not all(any(facts.features) for facts in data):
        return value, result
    keys = [None if facts.site is None else scope.key(facts.site) for facts in data]
    began = [keys[1 - n] in facts.passed for n, facts in enumerate(data)]
    # Two products, neither begun with the other: both inputs of a recurrent cell, say.
    both = None not in keys and not any(began)
    if both:
        names = data[0].names | data[1].names
    else:
        # A stream is called by the branch that was added last.
        branch = [facts for facts, with_other in zip(data, began, strict=True) if with_other]
        products = [facts for facts in data if facts.site is not None]
        names = (branch or products or data)[-1].names
    kind = "product" if both else "sum"
    number = scope.add(Site(kind, names, where, _any_sliced(data, scope), gradient=scope.gradient))
    site = number if both else None
    result = result.at(scope.key(number), site=site, names=names, is_blend=False)
    value = scope.visit(number, value, result)
    if not both and scope.measures:
        scope.results[scope.key(number)] |= _branch_ratio(operands)
    return value, result


def _branch_ratio(operands: Sequence[Pair]) -> dict[str, Any]:
    """Of a stream that parameters have made, and a branch that passes all that it passes, and more.

    A sum of an input, a mask or a table has no stream; nor has one of two ways of a fork, such as a
    state space's output and the skip beside it.
    """
    (one, first), (other, second) = operands
    if first.params and _is_stream(first, second):
        return {"branch_ratio": rms(other) / rms(one)}
    if second.params and _is_stream(second, first):
        return {"branch_ratio": rms(one) / rms(other)}
    return {}


def _is_stream(stream: Facts, branch: Facts) -> bool:
    """Whether a branch begins with a stream: it passes all that that passes, in proportion."""
    if stream.is_blend or not stream.passed < branch.passed:
        return False
    return all(
        keys <= branch.paths.get(number, frozenset())
        and branch.mixed.get(number, 0) == stream.mixed.get(number, 0)
        for number, keys in stream.paths.items()
    )


def _any_sliced(data: list[Facts], scope: Scope) -> bool:
    sites = [scope.entries[facts.site] for facts in data if facts.site is not None]
    return any(isinstance(site, Site) and site.sliced for site in sites)
