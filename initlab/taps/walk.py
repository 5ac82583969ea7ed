"""Runs a traced program equation by equation, and measures it on the way."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab.adoption.facts import PASSING
from initlab.jaxprs import inner_program, is_literal, live_equations, run_equation
from initlab.taps import loops
from initlab.taps.known import Known, constant, join
from initlab.taps.rules import CONTRACTIONS, known_result
from initlab.taps.scope import Scope, Site
from initlab.taps.slopes import CUSTOM, extend, is_elementwise

__all__ = ["walk"]

Pair = tuple[Any, Known]

CALLS = "checkpoint closed_call composite core_call custom_vmap_call jit pjit remat remat2"
INLINE = frozenset(CALLS.split())
"""Calls that are read as if they were written out."""

CASTS = ("convert_element_type", "reduce_precision")

CONTROL = {"scan": loops.scan, "cond": loops.branch, "while": loops.repeat}


def walk(program: Any, operands: Sequence[Pair], scope: Scope) -> list[Pair]:
    """Runs a program.

    Args:
      program: a closed jaxpr.
      operands: its inputs, each with what is known of it.
      scope: gains the sites, and what is measured at them.

    Returns:
      Its outputs, each with what is known of it: those of the program, taps being identities.
    """
    jaxpr = program.jaxpr
    known: dict[Any, Pair] = dict(zip(jaxpr.invars, operands, strict=True))
    consts = [(value, constant(value)) for value in program.consts]
    known |= dict(zip(jaxpr.constvars, consts, strict=True))

    def look_up(atom: Any) -> Pair:
        return (atom.val, constant(atom.val)) if is_literal(atom) else known[atom]

    for equation, is_live in zip(jaxpr.eqns, live_equations(jaxpr), strict=True):
        if is_live:
            results = _step(equation, [look_up(atom) for atom in equation.invars], scope)
        else:
            results = [_empty(variable.aval) for variable in equation.outvars]
        known |= dict(zip(equation.outvars, results, strict=True))
    return [look_up(atom) for atom in jaxpr.outvars]


def _empty(aval: Any) -> Pair:
    """What bears on no output, but may be read where it has no entries, as padding by nothing."""
    shape = getattr(aval, "shape", ())
    if 0 not in shape:
        return None, Known()
    value = jnp.zeros(shape, aval.dtype)
    return value, constant(value)


def _step(equation: Any, operands: list[Pair], scope: Scope) -> list[Pair]:
    name = equation.primitive.name
    inner = inner_program(equation.params)
    if name in INLINE and inner is not None:
        return walk(inner, operands, scope)
    where = str(equation.source_info.name_stack)
    if name in CONTROL:
        for value, known in operands:
            scope.end(value, known, where)
        return CONTROL[name](walk, equation, operands, scope)
    values, knowns = [value for value, _ in operands], [known for _, known in operands]
    if is_elementwise(equation):
        return [_elementwise(equation, operands, scope, where)]
    for value, known in operands:
        scope.end(value, known, where)
    if name in PASSING and len(operands) == 1:
        return _moved(equation, operands[0])
    told = None
    if scope.weigh is not None and name in CONTRACTIONS:
        (place, *others) = [n for n, known in enumerate(knowns) if known.is_weight] or [None]
        if place is not None and not others and _may_be_scaled(knowns[place], scope):
            values, told = scope.weigh(equation, place, values)
    results = run_equation(equation, values)
    if inner is not None or name in CUSTOM:
        return _custom(equation, inner, operands, results, scope)
    pairs = [(each, known_result(equation, knowns, n)) for n, each in enumerate(results)]
    weights = [known for known in knowns if known.is_weight]
    data = [known for known in knowns if known.data]
    if weights and data:
        pairs[0] = _product(equation, pairs[0], weights[0], data[0], scope, where, told)
    elif name in CONTRACTIONS and len(weights) == 2:
        scope.notes.consume(*weights)
        scope.notes.consume(*reversed(weights))
    return pairs


def _may_be_scaled(weight: Known, scope: Scope) -> bool:
    """Whether a scale of what a product takes is one of a parameter, which is no table."""
    return weight.scales and bool(weight.open) and not weight.open & scope.notes.looked_up


def _elementwise(equation: Any, operands: list[Pair], scope: Scope, where: str) -> Pair:
    values, knowns = [value for value, _ in operands], [known for _, known in operands]
    chain = extend(equation, operands)
    result = known_result(equation, knowns, 0)
    (value,) = run_equation(equation, values)
    if chain is not None:
        site = knowns[0].site if equation.primitive.name in CASTS else None
        return value, dataclasses.replace(result, chain=chain, site=site)
    for each, known in operands:
        scope.end(each, known, where)
    if result.uniform is None and not (result.data or result.is_weight):
        uniform = [known.uniform for known in knowns]
        if all(each is not None for each in uniform):
            result = dataclasses.replace(result, uniform=run_equation(equation, uniform)[0])
    data = [known for known in knowns if known.data]
    weights = [known for known in knowns if known.is_weight]
    if data and equation.primitive.name == "mul":
        # What is multiplied by a parameter of zero gets no gradient; a bias holds nothing back.
        for weight in weights:
            scope.notes.consume(weight, data[0])
    elif equation.primitive.name == "mul" and len(weights) == 2:
        scope.notes.consume(*weights)
        scope.notes.consume(*reversed(weights))
    if equation.primitive.name not in ("add", "add_any", "sub") or not any(result.features):
        return value, result
    if len(data) == 1 and weights and data[0].site is not None:
        # The bias of a product: its site moves on.
        result = dataclasses.replace(result, site=data[0].site, names=data[0].names)
        return scope.visit(data[0].site, value, result), result
    if len(data) == 2 and equation.primitive.name != "sub":
        return _sum(value, result, data, scope, where)
    return value, result


def _sum(value: Any, result: Known, data: list[Known], scope: Scope, where: str) -> Pair:
    """Two products added are one pre-activation; a value and a branch of it are a stream."""
    if not all(any(known.features) for known in data):
        return value, result
    keys = [None if known.site is None else (*scope.path, known.site) for known in data]
    began = [keys[1 - n] in known.above for n, known in enumerate(data)]
    both = None not in keys and not any(began)
    if both:
        names = data[0].names | data[1].names
    else:
        # A stream is called by the branch that was added last.
        branch = [known for known, with_other in zip(data, began, strict=True) if with_other]
        products = [known for known in data if known.site is not None]
        names = (branch or products or data)[-1].names
    kind = "product" if both else "sum"
    number = scope.add(Site(kind, names, where, _any_sliced(data, scope), gradient=scope.gradient))
    above = result.above | {(*scope.path, number)}
    site = number if both else None
    result = dataclasses.replace(result, site=site, above=above, names=names)
    return scope.visit(number, value, result), result


def _any_sliced(data: list[Known], scope: Scope) -> bool:
    sites = [scope.entries[known.site] for known in data if known.site is not None]
    return any(isinstance(site, Site) and site.sliced for site in sites)


def _product(
    equation: Any,
    pair: Pair,
    weight: Known,
    data: Known,
    scope: Scope,
    where: str,
    told: Any,
) -> Pair:
    value, result = pair
    notes = scope.notes
    notes.consume(weight, data)
    name = equation.primitive.name
    if name in CONTRACTIONS:
        notes.contracted |= weight.params
    elif name == "gather":
        notes.looked_up |= weight.params
    else:
        return value, result
    site = Site(
        "product",
        weight.names,
        where,
        weight.sliced,
        gradient=scope.gradient,
        scales=weight.scales,
    )
    number = scope.add(site)
    if told is not None:
        scope.told[number] = told
    above = result.above | {(*scope.path, number)}
    result = dataclasses.replace(result, site=number, above=above, names=weight.names)
    return scope.visit(number, value, result), result


def _moved(equation: Any, operand: Pair) -> list[Pair]:
    """A product that is moved as a whole is still that product."""
    value, known = operand
    pairs = []
    for place, each in enumerate(run_equation(equation, [value])):
        whole = each.size == np.size(value) and equation.primitive.name != "stop_gradient"
        result = known_result(equation, [known], place)
        pairs.append((each, dataclasses.replace(result, site=known.site if whole else None)))
    return pairs


def _custom(
    equation: Any, inner: Any, operands: list[Pair], results: list[Any], scope: Scope
) -> list[Pair]:
    """A function with a derivative of its own, which is kept: its inside is measured beside it."""
    name = equation.primitive.name
    values, knowns = zip(*operands, strict=True)
    if inner is None or len(inner.jaxpr.invars) != len(operands):
        scope.notes.untracked[name] = "an operation whose inside cannot be read"
        return [(each, join(knowns, each.shape)) for each in results]
    before, found = scope.gradient, len(scope.entries)
    scope.gradient = False
    held = [jax.lax.stop_gradient(value) for value in values]
    beside = [dataclasses.replace(known, chain=None, site=None) for known in knowns]
    shadows = walk(inner, list(zip(held, beside, strict=True)), scope)
    scope.gradient = before
    if len(scope.entries) > found:
        given = getattr(inner.jaxpr.debug_info, "func_name", name)
        scope.notes.untracked[given] = "a derivative of its own: no gradients inside"
    return [
        (each, dataclasses.replace(known, chain=None, site=None))
        for each, (_, known) in zip(results, shadows, strict=True)
    ]
