"""Slopes of activations, whatever they are made of: carried along operation by operation."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.activations import SATURATED_SLOPE
from initlab.jaxprs import inner_program, is_literal, run_equation
from initlab.symmetry.primitive_rules import RULES
from initlab.symmetry.rule_types import elementwise
from initlab.taps.known import Chain, Known
from initlab.taps.statistics import rms, share

__all__ = [
    "ELEMENTWISE",
    "GRID",
    "SATURATED_SLOPE",
    "activation_statistics",
    "extend",
    "is_elementwise",
    "root_of",
]

GRID = np.linspace(-8.0, 8.0, 257, dtype=np.float32)
"""Where an activation is looked at to learn its largest slope, and its usual one."""

ELEMENTWISE = frozenset(name for name, rule in RULES.items() if rule is elementwise)

BENDING = """
    atan clamp cos custom_jvp_call custom_vjp_call erf erf_inv erfc expm1 log1p logistic max min
    select_n sin tanh
"""
BENDS = frozenset(BENDING.split())
"""Operations that make a function of one value an activation; squares and roots belong to norms."""

CUSTOM = ("custom_jvp_call", "custom_vjp_call")


def is_elementwise(equation: Any) -> bool:
    """Whether an equation computes each entry of its one result from one entry of each operand."""
    shape = equation.outvars[0].aval.shape
    if len(equation.outvars) != 1 or not all(
        _fits(each.aval.shape, shape) for each in equation.invars
    ):
        return False
    if equation.primitive.name in ELEMENTWISE:
        return True
    if equation.primitive.name not in CUSTOM:
        return False
    return _all_elementwise(inner_program(equation.params))


def _fits(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether an operand is a number, or has the result's axes, some of them of size 1."""
    if not shape:
        return True
    return len(shape) == len(whole) and all(a in (1, b) for a, b in zip(shape, whole, strict=True))


def _all_elementwise(program: Any) -> bool:
    for equation in program.jaxpr.eqns:
        name, inner = equation.primitive.name, inner_program(equation.params)
        spread = name == "broadcast_in_dim" and not equation.invars[0].aval.shape
        if inner is not None:
            if not _all_elementwise(inner):
                return False
        elif not (name in ELEMENTWISE or name in ("copy", "stop_gradient") or spread):
            return False
    return True


def extend(equation: Any, operands: Sequence[tuple[Any, Known]]) -> Chain | None:
    """The result of an elementwise equation as a function of one value, if it is that.

    Args:
      equation: an elementwise one.
      operands: its operands, each with what is known of it.

    Returns:
      The chain, or None where operands depend on different data, or on parameters.
    """
    shape, name = equation.outvars[0].aval.shape, equation.primitive.name
    inside = [(value, known) for value, known in operands if known.data]
    roots = {id(root_of(known)) for _, known in inside}
    if len(roots) != 1 or any(known.is_weight for _, known in operands):
        return None
    if any(np.shape(value) != shape for value, _ in inside):
        return None
    if name == "select_n" and not operands[0][1].data:
        # A mask that does not come from the value itself: not a function of the value alone.
        return None
    value, first = inside[0]
    bent = any(known.chain is not None and known.chain.bends for _, known in inside)
    bends = bent or (name in BENDS and not any(_is_infinite(known) for _, known in operands))
    start = value if first.chain is None else first.chain.start
    return Chain(root_of(first), start, bends, equation, tuple(operands))


def root_of(known: Known) -> Known:
    """The root of a value's chain: itself where it has none."""
    return known if known.chain is None else known.chain.root


def _is_infinite(known: Known) -> bool:
    """Whether it is an infinite number: the larger of it and a value is no function."""
    return checks.is_concrete(known.uniform) and bool(np.isinf(known.uniform or 0))


def _run_anywhere(equation: Any, values: Sequence[Any]) -> Any:
    """An elementwise equation on operands of another shape than the program's."""
    inner = inner_program(equation.params)
    if inner is None:
        return run_equation(equation, values)[0]
    known = dict(zip(inner.jaxpr.constvars, inner.consts, strict=True))
    known |= dict(zip(inner.jaxpr.invars, values, strict=True))

    def look_up(atom: Any) -> Any:
        if is_literal(atom):
            return jnp.full(GRID.shape, jnp.asarray(atom.val, atom.aval.dtype))
        return jnp.broadcast_to(known[atom], GRID.shape)

    for each in inner.jaxpr.eqns:
        operands = [look_up(atom) for atom in each.invars]
        spread = each.primitive.name == "broadcast_in_dim"
        known[each.outvars[0]] = operands[0] if spread else _run_anywhere(each, operands)
    return look_up(inner.jaxpr.outvars[0])


def _function(chain: Chain) -> Callable[[Any], Any]:
    """A chain as a function of its root."""

    def at(given: Any) -> Any:
        done: dict[int, Any] = {}

        def value_of(value: Any, known: Known) -> Any:
            if known is chain.root:
                return given
            if known.chain is None:
                return jax.lax.stop_gradient(value)
            if id(known) not in done:
                done[id(known)] = result(known.chain)
            return done[id(known)]

        def result(each: Chain) -> Any:
            return run_equation(each.equation, [value_of(*pair) for pair in each.operands])[0]

        return result(chain)

    return at


def _on_grid(chain: Chain) -> Callable[[Any], Any]:
    """A chain as a function on GRID, where it is one function for all units."""

    def at(given: Any) -> Any:
        done: dict[int, Any] = {}

        def value_of(known: Known, variable: Any) -> Any:
            if known is chain.root:
                return given
            if known.chain is None:
                if known.uniform is None:
                    raise _NotUniformError
                return jnp.full(GRID.shape, jnp.asarray(known.uniform, variable.aval.dtype))
            if id(known) not in done:
                done[id(known)] = result(known.chain)
            return done[id(known)]

        def result(each: Chain) -> Any:
            pairs = zip(each.operands, each.equation.invars, strict=True)
            return _run_anywhere(each.equation, [value_of(k, v) for (_, k), v in pairs])

        return result(chain)

    return at


class _NotUniformError(Exception):
    """An operand that is not one number."""


def _slope(function: Callable[[Any], Any], at: Any) -> jax.Array:
    """`|f'|`, float32: entries are independent, so ones pull it back."""
    out, pull = jax.vjp(function, jax.lax.stop_gradient(at))
    (slope,) = pull(jnp.ones_like(out))
    return jnp.abs(slope).astype(jnp.float32)


def activation_statistics(
    x: jax.Array, chain: Chain, features: Sequence[bool]
) -> dict[str, jax.Array]:
    """What is measured of an activation.

    Args:
      x: its values.
      chain: what function it is.
      features: the axes of units.

    Returns:
      rms, saturated (share of units x examples with a slope under SATURATED_SLOPE of the
      largest), usual (that share where its root is N(0, 1)), dead [units] (slope of exactly 0 on
      every example).
    """
    slope = _slope(_function(chain), chain.start)
    largest, usual = jnp.max(slope), jnp.zeros(())
    grid = jnp.asarray(GRID, chain.start.dtype)
    try:
        on_grid = _slope(_on_grid(chain), grid)
    except _NotUniformError:
        # Units with slopes of their own, as a trained leak: the largest seen must do.
        pass
    else:
        largest = jnp.maximum(largest, jnp.max(on_grid))
        weights = jnp.asarray(np.exp(-(GRID**2) / 2) / np.exp(-(GRID**2) / 2).sum())
        usual = jnp.sum(jnp.where(on_grid < SATURATED_SLOPE * largest, weights, 0))
    others = tuple(n for n, is_unit in enumerate(features) if not is_unit)
    return {
        "rms": rms(x),
        "saturated": share(slope < SATURATED_SLOPE * largest),
        "usual": usual,
        "dead": jnp.all(slope == 0, axis=others).ravel(),
    }
