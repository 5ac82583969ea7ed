"""Runs a traced program equation by equation, and measures it on the way.

An evaluator of jaxprs whose values come with facts. It runs under JAX's own transformations: inside
`eval_shape` it finds the sites of a model, inside `value_and_grad` it is a program that gives what
the given one gives, taps being identities.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab.programs.axes import contracts_nothing
from initlab.programs.control import Call, Cond, Scan, While, control
from initlab.programs.equations import inner_program, run_equation
from initlab.programs.primitives import (
    CALLBACKS,
    CALLS,
    CASTS,
    CONTRACTIONS,
    INDEXING,
    KNOWN,
    PASSING,
    RAGGED,
    UNCHANGED,
)
from initlab.programs.walk import walk
from initlab.taps import loops, whiles
from initlab.taps.decays import follow_decays
from initlab.taps.facts import Facts, Pair, constant, join
from initlab.taps.generated import generated_weight, multiply_generated, summed_product
from initlab.taps.memory import composed, strided_of
from initlab.taps.paths import is_blend, multiplied
from initlab.taps.rules import result_facts
from initlab.taps.scope import Scope, Site
from initlab.taps.singular import measure_singular
from initlab.taps.slopes import extend, is_elementwise
from initlab.taps.softmax import follow
from initlab.taps.sums import add_signals

__all__ = ["evaluate"]


def evaluate(program: Any, operands: Sequence[Pair], scope: Scope) -> list[Pair]:
    """Runs a program.

    Args:
      program: a closed jaxpr.
      operands: its inputs, each with its facts.
      scope: gains the sites, and what is measured at them.

    Returns:
      Its outputs, each with its facts: those of the program, taps being identities.
    """

    def step(equation: Any, operands: list[Pair]) -> list[Pair]:
        pairs = follow(equation, operands, _step(equation, operands, scope), scope)
        pairs = follow_decays(equation, operands, pairs, scope)
        # Only what is recorded of the weights is differentiated then, not the model.
        return [_cut(pair) for pair in pairs] if scope.rescale is not None else pairs

    return walk(
        program,
        operands,
        step,
        constant=lambda value: (value, constant(value)),
        unused=_unused,
    )


def _cut(pair: Pair) -> Pair:
    value, facts = pair
    return (jax.lax.stop_gradient(value), facts) if facts.data else pair


def _unused(aval: Any) -> Pair:
    """A result of dead code, which may be read where it has no entries, as padding by nothing."""
    shape = getattr(aval, "shape", ())
    # None is safe: `walk` says that nothing live reads it.
    if 0 not in shape:
        return None, Facts()
    value = jnp.zeros(shape, aval.dtype)
    return value, constant(value)


def _step(equation: Any, operands: list[Pair], scope: Scope) -> list[Pair]:
    name = equation.primitive.name
    held = control(equation)
    # Inlined: sites inside jit or remat are the model's own, numbered with those around them.
    if isinstance(held, Call) and not held.custom_derivative:
        return evaluate(held.body, operands, scope)
    where = str(equation.source_info.name_stack)
    # A Call that is left may be an activation with a derivative of its own, as relu is.
    if (held is None or isinstance(held, Call)) and is_elementwise(equation):
        return [_elementwise(equation, operands, scope, where)]
    # Whatever else takes a value ends its chain: up to here it was one activation.
    is_summed = name in CONTRACTIONS and any(facts.is_weight for _, facts in operands)
    for value, facts in operands:
        scope.end(value, facts, where, is_factor=not is_summed)
    match held:
        case Scan():
            return loops.scan(evaluate, held, operands, scope)
        case Cond():
            return loops.branch(evaluate, held, operands, scope)
        case While():
            return whiles.repeat(evaluate, equation, held, operands, scope)
        case Call():
            return _custom(equation, held, operands, scope)
    if name in CALLBACKS:
        return _callback(equation, operands, scope)
    if name in UNCHANGED or (name in PASSING and len(operands) == 1):
        return _moved(equation, operands, scope)
    operands = _entered(operands, scope, where)
    values, facts = [value for value, _ in operands], [each for _, each in operands]
    # The sizes of the runs are no factor.
    facts = facts[:2] if name in RAGGED else facts
    data = [each for each in facts if each.data]
    scope.join(data)
    recorded = None
    # Of a product with constants, as a bias times ones, nothing would be recorded.
    if scope.rescale is not None and data and _is_contraction(equation):
        (place, *others) = [n for n, each in enumerate(facts) if each.is_weight] or [None]
        if place is not None and not others and _may_be_scaled(facts[place], scope):
            added = _biases_of_next(scope)
            values, recorded = scope.rescale(equation, place, values, facts[place], added)
    results = run_equation(equation, values)
    if name in CALLS or (name not in KNOWN and inner_program(equation.params) is not None):
        # A program on other operands than the equation's: nobody here knows what it is given.
        scope.notes.untracked[name] = "an operation whose inside cannot be read"
        return [(each, join(facts, each.shape)) for each in results]
    pairs = [(each, result_facts(equation, facts, n)) for n, each in enumerate(results)]
    weights = [each for each in facts if each.is_weight]
    if weights and data:
        pairs[0] = _product(equation, pairs[0], weights[0], scope, where, recorded)
    elif (side := generated_weight(equation, facts)) is not None:
        pairs[0] = multiply_generated(pairs[0], operands, side, scope, where)
    elif (factors := summed_product(equation, facts)) is not None:
        pairs[0] = _summed(equation, pairs[0], factors, scope, where)
    elif is_blend(equation, data):
        pairs[0] = pairs[0][0], dataclasses.replace(pairs[0][1], is_blend=True)
    elif name in CONTRACTIONS and len(weights) == 2:
        scope.notes.multiplied |= weights[0].params | weights[1].params
    return pairs


def _entered(operands: list[Pair], scope: Scope, where: str) -> list[Pair]:
    """Operands of an operation; data that meet their first parameter in it are measured."""
    names = 0
    for _, facts in operands:
        names |= facts.names if facts.is_weight else 0
    if not names:
        return operands
    return [(value, scope.enter(value, facts, names, where)) for value, facts in operands]


def _is_contraction(equation: Any) -> bool:
    """Whether it is a product that sums: one that does not is a multiplication, as by a scale."""
    return equation.primitive.name in CONTRACTIONS and not contracts_nothing(equation)


def _biases_of_next(scope: Scope) -> int:
    """Bit set of the parameters that are added to the site that comes next, by the plan."""
    if scope.plan is None or len(scope.entries) >= len(scope.plan.entries):
        return 0
    site = scope.plan.entries[len(scope.entries)]
    return site.biases if isinstance(site, Site) else 0


def _may_be_scaled(weight: Facts, scope: Scope) -> bool:
    """Whether a scale of what a product takes is one of a parameter, which is no table."""
    return (
        weight.scales
        and bool(weight.differentiable)
        and not weight.differentiable & scope.notes.looked_up
    )


def _elementwise(equation: Any, operands: list[Pair], scope: Scope, where: str) -> Pair:
    values, all_facts = [value for value, _ in operands], [facts for _, facts in operands]
    chain = extend(equation, operands)
    result = result_facts(equation, all_facts, 0)
    (value,) = run_equation(equation, values)
    result = composed(equation, all_facts, result, scope, where)
    if chain is not None:
        # A product that is cast is that product still, and its bias may follow in the new dtype.
        site = all_facts[0].site if equation.primitive.name in CASTS else None
        return value, dataclasses.replace(result, chain=chain, site=site)
    for each, facts in operands:
        scope.end(each, facts, where, is_factor=True)
    operands = _entered(operands, scope, where)
    all_facts = [facts for _, facts in operands]
    entries = frozenset().union(*(facts.entries for facts in all_facts))
    result = dataclasses.replace(result, entries=entries)
    scope.join([facts for facts in all_facts if facts.data])
    if result.uniform is None and not (result.data or result.is_weight):
        uniform = [facts.uniform for facts in all_facts]
        if all(each is not None for each in uniform):
            result = dataclasses.replace(result, uniform=run_equation(equation, uniform)[0])
    measure_singular(equation, operands, value, result, scope)
    data = [facts for facts in all_facts if facts.data]
    weights = [facts for facts in all_facts if facts.is_weight]
    result = dataclasses.replace(
        result,
        is_blend=result.is_blend or is_blend(equation, data),
        product_of=multiplied(equation, operands),
    )
    if equation.primitive.name in ("mul", "div") and len(weights) + len(data) == 2:
        # What is multiplied by a parameter of zero gets no gradient; what a bias is added to does.
        for weight in weights:
            scope.notes.multiplied |= weight.params
        if not all(facts.is_gate for facts in data):
            for gate in data:
                scope.notes.gating |= gate.names if gate.is_gate else 0
    if equation.primitive.name not in ("add", "add_any", "sub") or not any(result.features):
        return value, result
    if len(data) == 1 and weights and data[0].site is not None:
        # The bias of a product: its site moves on.
        scope.add_bias(data[0].site, weights[0])
        recorded = scope.recorded.get(data[0].site)
        if scope.recentre is not None and recorded is not None:
            (bias,) = (
                each for each, facts in zip(values, all_facts, strict=True) if not facts.data
            )
            (product,) = (each for each, facts in zip(values, all_facts, strict=True) if facts.data)
            value, more = scope.recentre(value, product, bias, weights[0])
            scope.recorded[data[0].site] = recorded + more
        result = dataclasses.replace(result, site=data[0].site, names=data[0].names)
        return scope.visit(data[0].site, value, result), result
    if len(data) == 2 and equation.primitive.name != "sub":
        parts = [pair for pair in operands if pair[1].data]
        return add_signals(value, result, parts, scope, where)
    return value, result


def _product(
    equation: Any,
    pair: Pair,
    weight: Facts,
    scope: Scope,
    where: str,
    recorded: Any,
) -> Pair:
    value, result = pair
    notes = scope.notes
    name = equation.primitive.name
    if name in INDEXING and name != "gather":
        return value, result
    notes.multiplied |= weight.params
    if _is_contraction(equation):
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
    if recorded is not None:
        scope.recorded[number] = recorded
    result = result.at(scope.key(number), site=number, names=weight.names, is_blend=False)
    return scope.visit(number, value, result), result


def _summed(
    equation: Any, pair: Pair, factors: tuple[Pair, Pair], scope: Scope, where: str
) -> Pair:
    """A product with a weight that is written as a multiplication and a sum."""
    value, result = pair
    (_, weight), (_, signal) = factors
    gone = equation.params["axes"]
    both = zip(weight.features, signal.features, strict=True)
    features = tuple(a or b for n, (a, b) in enumerate(both) if n not in gone)
    result = dataclasses.replace(result, features=features)
    if weight.data:
        return multiply_generated((value, result), factors, 0, scope, where)
    scope.notes.contracted |= weight.params
    site = Site("product", weight.names, where, weight.sliced, gradient=scope.gradient)
    number = scope.add(site)
    result = result.at(scope.key(number), site=number, names=weight.names, is_blend=False)
    return scope.visit(number, value, result), result


def _moved(equation: Any, operands: list[Pair], scope: Scope) -> list[Pair]:
    """A product that is moved as a whole is still that product."""
    results = run_equation(equation, [value for value, _ in operands])
    if equation.primitive.name == "stop_gradient":
        scope.notes.frozen |= operands[0][1].params if operands[0][1].is_weight else 0
    pairs = []
    for place, each in enumerate(results):
        # Of several operands each result is its own (`UNCHANGED`); a split has one for all.
        value, facts = operands[place] if len(operands) > 1 else operands[0]
        whole = each.size == np.size(value) and equation.primitive.name != "stop_gradient"
        result = result_facts(equation, [facts], place)
        site, strided = facts.site if whole else None, strided_of(equation, value, facts)
        pairs.append((each, dataclasses.replace(result, site=site, strided=strided)))
    return pairs


def _callback(equation: Any, operands: list[Pair], scope: Scope) -> list[Pair]:
    """What Python gives back for arrays: it is asked in every pass, and has no derivative."""
    scope.notes.untracked[equation.primitive.name] = "a call of Python: no gradients through it"
    # As its author has it, it may be neither differentiated nor batched: over several seeds it is
    # called for one after the other.
    params = dict(equation.params)
    if params.get("ordered"):
        params["ordered"] = False
    if "vmap_method" in params and params["vmap_method"] is None:
        params["vmap_method"] = "sequential"
    values = [jax.lax.stop_gradient(jnp.asarray(value)) for value, _ in operands]
    results = run_equation(equation.replace(params=params), values)
    known = [facts for _, facts in operands]
    return [
        (each, dataclasses.replace(join(known, each.shape), differentiable=0, live=frozenset()))
        for each in results
    ]


def _custom(equation: Any, call: Call, operands: list[Pair], scope: Scope) -> list[Pair]:
    """A function with a derivative of its own, which is kept: its inside is measured beside it.

    Were its body evaluated in its place, the model would be differentiated otherwise than its
    author has said. So it is run as it is, and once more for its sites and facts, cut off from the
    gradient.
    """
    values, facts = zip(*operands, strict=True)
    results = run_equation(equation, values)
    before, found = scope.gradient, len(scope.entries)
    scope.gradient = False
    copies = [jax.lax.stop_gradient(value) for value in values]
    beside = [dataclasses.replace(each, chain=None, site=None) for each in facts]
    shadows = evaluate(call.body, list(zip(copies, beside, strict=True)), scope)
    scope.gradient = before
    # A softmax has no gradient of its own to be seen.
    inside = [getattr(each, "kind", "loop") for each in scope.entries[found:]]
    if any(kind not in ("softmax", "router", "function") for kind in inside):
        given = getattr(call.body.jaxpr.debug_info, "func_name", equation.primitive.name)
        scope.notes.untracked[given] = "a derivative of its own: no gradients inside"
    return [
        (each, dataclasses.replace(shadow, chain=None, site=None))
        for each, (_, shadow) in zip(results, shadows, strict=True)
    ]
