"""Slopes of activations, whatever they are made of: carried along operation by operation."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.activations import SATURATED_SLOPE
from initlab.programs.control import Call, control
from initlab.programs.equations import run_equation
from initlab.programs.primitives import (
    CUSTOM_DERIVATIVES,
    ELEMENTWISE,
    NONLINEARITIES,
    UNCHANGED,
)
from initlab.programs.walk import walk
from initlab.taps.apart import has_parts, share_of_units
from initlab.taps.facts import Chain, Facts
from initlab.taps.statistics import rms, share

__all__ = [
    "GRID",
    "SATURATED_SLOPE",
    "activation_statistics",
    "extend",
    "is_elementwise",
    "root_of",
]

GRID = np.linspace(-8.0, 8.0, 257, dtype=np.float32)
"""Where an activation is evaluated to find its largest slope, and its usual one."""

GOLDEN = 2654435769
"""2^32 over the golden ratio: its multiples modulo 2^32 are spread evenly, however many."""

ACTIVATIONS = CUSTOM_DERIVATIVES & NONLINEARITIES
"""Calls with a derivative of their own that may be activations, as relu is."""


def is_elementwise(equation: Any) -> bool:
    """Whether an equation computes each entry of its one result from one entry of each operand."""
    shape = equation.outvars[0].aval.shape
    if len(equation.outvars) != 1 or not all(
        _fits(each.aval.shape, shape) for each in equation.invars
    ):
        return False
    if equation.primitive.name in ELEMENTWISE:
        return True
    call = control(equation) if equation.primitive.name in ACTIVATIONS else None
    return isinstance(call, Call) and _all_elementwise(call.body)


def _fits(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether an operand is a number, or has the result's axes, some of them of size 1."""
    if not shape:
        return True
    return len(shape) == len(whole) and all(a in (1, b) for a, b in zip(shape, whole, strict=True))


def _all_elementwise(program: Any) -> bool:
    for equation in program.jaxpr.eqns:
        call = control(equation)
        if isinstance(call, Call):
            if not _all_elementwise(call.body):
                return False
        elif not (equation.primitive.name in ELEMENTWISE | UNCHANGED or _is_fill(equation)):
            return False
    return True


def _is_fill(equation: Any) -> bool:
    """Whether an equation makes an array of one number."""
    return equation.primitive.name == "broadcast_in_dim" and not equation.invars[0].aval.shape


def extend(equation: Any, operands: Sequence[tuple[Any, Facts]]) -> Chain | None:
    """The result of an elementwise equation as a function of one value, if it is that.

    Args:
      equation: an elementwise one.
      operands: its operands, each with its facts.

    Returns:
      The chain, or None where operands depend on different data, or on parameters.
    """
    shape, name = equation.outvars[0].aval.shape, equation.primitive.name
    inside = [(value, facts) for value, facts in operands if facts.data]
    roots = {id(root_of(facts)) for _, facts in inside}
    if len(roots) != 1 or any(facts.is_weight for _, facts in operands):
        return None
    if any(np.shape(value) != shape for value, _ in inside):
        return None
    if name == "select_n" and not operands[0][1].data:
        # A mask that does not come from the value itself: not a function of the value alone.
        return None
    if name == "mul" and any(_is_zero(facts) for _, facts in operands):
        # As a gate of a state that starts at zero: the gate is no flatter for it.
        return None
    value, first = inside[0]
    was_nonlinear = any(facts.chain is not None and facts.chain.is_nonlinear for _, facts in inside)
    # max(x, -inf), as softmax has it, is x.
    is_nonlinear = was_nonlinear or (
        name in NONLINEARITIES and not any(_is_infinite(facts) for _, facts in operands)
    )
    root_value = value if first.chain is None else first.chain.root_value
    return Chain(root_of(first), root_value, is_nonlinear, equation, tuple(operands))


def root_of(facts: Facts) -> Facts:
    """The root of a value's chain: itself where it has none."""
    return facts if facts.chain is None else facts.chain.root


def _is_infinite(facts: Facts) -> bool:
    """Whether it is an infinite number: the larger of it and a value is no function."""
    return checks.is_concrete(facts.uniform) and bool(np.isinf(facts.uniform or 0))


def _is_zero(facts: Facts) -> bool:
    return checks.is_concrete(facts.uniform) and bool(facts.uniform == 0)


def _run_anywhere(equation: Any, values: Sequence[Any]) -> Any:
    """An elementwise equation on operands of another shape than the program's."""
    call = control(equation)
    if not isinstance(call, Call):
        return run_equation(equation, values)[0]

    def step(each: Any, operands: list[Any]) -> list[Any]:
        # A number written into the program has the shape and dtype of the program's array.
        pairs = zip(operands, each.invars, strict=True)
        wide = [jnp.broadcast_to(jnp.asarray(x, v.aval.dtype), GRID.shape) for x, v in pairs]
        return [wide[0] if _is_fill(each) else _run_anywhere(each, wide)]

    (result,) = walk(call.body, values, step, constant=lambda x: x, unused=lambda aval: None)
    return jnp.broadcast_to(jnp.asarray(result, equation.outvars[0].aval.dtype), GRID.shape)


def _function(chain: Chain) -> Callable[[Any], Any]:
    """A chain as a function of its root."""

    def at(given: Any) -> Any:
        done: dict[int, Any] = {}

        def value_of(value: Any, facts: Facts) -> Any:
            if facts is chain.root:
                return given
            if facts.chain is None:
                return jax.lax.stop_gradient(value)
            if id(facts) not in done:
                done[id(facts)] = result(facts.chain)
            return done[id(facts)]

        def result(each: Chain) -> Any:
            return run_equation(each.equation, [value_of(*pair) for pair in each.operands])[0]

        return result(chain)

    return at


def _on_grid(chain: Chain) -> Callable[[Any], Any]:
    """A chain as a function on GRID, where it is one function for all units."""

    def at(given: Any) -> Any:
        done: dict[int, Any] = {}

        def value_of(facts: Facts, variable: Any) -> Any:
            if facts is chain.root:
                return given
            if facts.chain is None:
                if facts.uniform is None:
                    raise _NotUniformError
                return jnp.full(GRID.shape, jnp.asarray(facts.uniform, variable.aval.dtype))
            if id(facts) not in done:
                done[id(facts)] = result(facts.chain)
            return done[id(facts)]

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


def _normal(shape: Sequence[int], dtype: Any) -> jax.Array:
    """Entries that are spread as N(0, 1) is, at multiples of the golden ratio modulo 1."""
    number = jax.lax.iota(jnp.uint32, math.prod(shape)) * np.uint32(GOLDEN)
    uniform = (number >> 9).astype(jnp.float32) * np.float32(2**-23) + np.float32(2**-24)
    return jax.scipy.special.ndtri(uniform).astype(dtype).reshape(shape)


def activation_statistics(
    x: jax.Array, chain: Chain, features: Sequence[bool], *, is_factor: bool = False
) -> dict[str, jax.Array]:
    """What is measured of an activation.

    A factor of one sign, such as a softplus or a gate, may be small on purpose: what counts is
    its slope beside its own size. A time step of 1e-3 by softplus has a slope of 1e-3, and a change
    of 1 in its argument multiplies it by e.

    Args:
      x: its values.
      chain: what function it is.
      features: the axes of units.
      is_factor: whether something multiplies it.

    Returns:
      rms, saturated (share of units x examples with a slope under SATURATED_SLOPE of the
      largest), usual (that share where its root is N(0, 1)), dead [units] (slope of exactly 0 on
      every example); where units lie on several axes also unit_saturated, saturated of each.
    """
    slope = _slope(_function(chain), chain.root_value)
    largest, usual = jnp.max(slope), jnp.zeros(())
    is_small = jnp.zeros((1,) * slope.ndim, bool)
    grid = jnp.asarray(GRID, chain.root_value.dtype)
    others = tuple(n for n, is_unit in enumerate(features) if not is_unit)
    try:
        on_grid = _slope(_on_grid(chain), grid)
        values = jax.lax.stop_gradient(_on_grid(chain)(grid))
    except _NotUniformError:
        # Entries with slopes of their own, as where a mask or a degree multiplies them.
        own = _slope(_function(chain), _normal(np.shape(chain.root_value), grid.dtype))
        largest = jnp.maximum(largest, jnp.max(own))
        usual = share(own < SATURATED_SLOPE * largest)
    else:
        largest = jnp.maximum(largest, jnp.max(on_grid))
        weights = jnp.asarray(np.exp(-(GRID**2) / 2) / np.exp(-(GRID**2) / 2).sum())
        usual = jnp.sum(jnp.where(on_grid < SATURATED_SLOPE * largest, weights, 0))
        if is_factor:
            steps = jnp.diff(values)
            has_sign = jnp.all(values > 0) | jnp.all(values < 0)
            is_scale = has_sign & (jnp.all(steps >= 0) | jnp.all(steps <= 0))
            size = jnp.abs(jax.lax.stop_gradient(x)).astype(jnp.float32)
            # On every example: a gate that is now open, now closed is saturated.
            follows = (slope > 0) & (slope >= SATURATED_SLOPE * size)
            is_small = is_scale & jnp.all(follows, axis=others, keepdims=True)
    is_flat = (slope < SATURATED_SLOPE * largest) & ~jnp.broadcast_to(is_small, slope.shape)
    statistics = {
        "rms": rms(x),
        "saturated": share(is_flat),
        "usual": usual,
        "dead": jnp.all(slope == 0, axis=others).ravel(),
    }
    if has_parts(features):
        statistics["unit_saturated"] = share_of_units(is_flat, features)
    return statistics
