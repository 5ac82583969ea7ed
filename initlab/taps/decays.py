"""Decays over spans of time without a loop: running sums of their logarithms, and kernels.

`exp(c_t - c_s)`, c a running sum, hands a state on in chunks of a state space (Dao and Gu 2024,
arXiv:2405.21060) and of gated linear attention (Yang et al. 2024, arXiv:2312.06635). `a^t` of
parameters a and of all t at once is the kernel of a long convolution (Gu et al. 2022,
arXiv:2206.11893).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.programs.axes import dot_axes, moved
from initlab.programs.control import control
from initlab.programs.primitives import PASSING
from initlab.taps.facts import Facts, Pair
from initlab.taps.scope import Scope, Site

__all__ = ["follow_decays"]

SHORTEST, LARGEST = 8, 10**6
"""Of how many numbers of steps a kernel has at least, and an array that is looked at at most."""

LINEAR = {"abs", "add", "clamp", "convert_element_type", "div", "max", "min", "mul", "neg", "sub"}
"""What keeps numbers of steps evenly spaced, but for what is cut off."""

CUTS = {"clamp", "max", "min", "select_n"}
"""What masks a running sum, or keeps it below 0."""


class _Running(NamedTuple):
    """A running sum of what data and parameters have made, or a difference of two of its entries.

    Attributes:
      value: the sum.
      features: which of its axes hold units.
      axis: time.
      is_difference: whether two of its entries have been subtracted.
      is_kernel: whether it is a number of steps times parameters instead.
    """

    value: Any
    features: tuple[bool, ...]
    axis: int
    is_difference: bool = False
    is_kernel: bool = False


class _Count(NamedTuple):
    """Numbers of steps, 0 to n, along an axis, or a linear function of them."""

    axis: int


def follow_decays(
    equation: Any, operands: Sequence[Pair], results: list[Pair], scope: Scope
) -> list[Pair]:
    """The results of an equation, each with the running sum that it is; an exponential is a place.

    Args:
      equation: any.
      operands: its operands.
      results: what the evaluator makes of it.
      scope: gains a place where such a decay is taken, once for each running sum.

    Returns:
      The results.
    """
    if control(equation) is not None or len(results) != 1:
        return results
    ((value, facts),) = results
    name, known = equation.primitive.name, [each for _, each in operands]
    where = str(equation.source_info.name_stack)
    if facts.params and not facts.data:
        running = _kernel(equation, operands, value, facts)
        if name in ("cumprod", "pow") and running is not None:
            _measure(name, running, facts, where, scope)
    elif not facts.data:
        running = _count(equation, operands, value)
    else:
        running = _running(name, equation, known, value, facts)
    sum_ = known[0].running if known else None
    if name in ("exp", "exp2") and isinstance(sum_, _Running) and sum_.is_difference:
        _measure(name, sum_, known[0], where, scope)
    return [(value, dataclasses.replace(facts, running=running))]


def _count(equation: Any, operands: Sequence[Pair], value: Any) -> _Count | None:
    """What is known of an array without data and parameters."""
    name, shape = equation.primitive.name, np.shape(value)
    if name == "iota":
        axis = equation.params["dimension"]
        return _Count(axis) if shape[axis] >= SHORTEST else None
    counts = [_count_of(*each) for each in operands]
    known = [each for each in counts if each is not None]
    if len(operands) == 1 and name in PASSING and known:
        flags = [n == known[0].axis for n in range(len(equation.invars[0].aval.shape))]
        axes = [n for n, flag in enumerate(moved(equation, flags)) if flag]
        return _Count(axes[0]) if len(axes) == 1 else None
    is_linear = name in LINEAR and (len(known) == 1 or name in ("add", "sub"))
    # Of a difference of two counts, as of rows and columns, the first.
    return known[0] if known and is_linear and len(shape) > known[0].axis else None


def _count_of(value: Any, facts: Facts) -> _Count | None:
    """What is known of a number of steps; an array that the program closes over may be one."""
    if isinstance(facts.running, _Count) or facts.params or facts.data:
        return facts.running if isinstance(facts.running, _Count) else None
    if not checks.is_concrete(value) or not SHORTEST <= np.size(value) <= LARGEST:
        return None
    axes = [n for n, size in enumerate(np.shape(value)) if size >= SHORTEST]
    numbers = np.asarray(value, complex) if hasattr(value, "dtype") else np.zeros(0)
    steps = [np.diff(numbers, axis=n) for n in axes]
    counted = [n for n, each in zip(axes, steps, strict=True) if each.size and _is_even(each)]
    return _Count(counted[0]) if len(counted) == 1 else None


def _is_even(steps: np.ndarray) -> bool:
    first = steps.ravel()[0]
    return bool(abs(first) > 0 and np.allclose(steps, first, rtol=1e-4))


def _kernel(equation: Any, operands: Sequence[Pair], value: Any, facts: Facts) -> _Running | None:
    """Parameters times numbers of steps, or to their power."""
    name, known = equation.primitive.name, [each for _, each in operands]
    weights = [n for n, each in enumerate(known) if each.is_weight]
    if name in ("mul", "pow", "dot_general") and len(operands) == 2 and len(weights) == 1:
        other = 1 - weights[0]
        count = _count_of(*operands[other])
        if count is None or (name == "pow" and other == 0):
            return None
        axis = count.axis
        if name == "dot_general":
            axes = dot_axes(equation)
            free = [axes.free(n, np.ndim(operands[n][0])) for n in (0, 1)]
            if axes.batch[0] or axes.contract[0]:
                return None
            axis = free[other].index(axis) + other * len(free[0])
        exponents = value
        if name == "pow":
            base, times = (jnp.asarray(each) for each, _ in operands)
            exponents = jnp.log(jnp.abs(base)) * times.astype(base.real.dtype)
        return _Running(exponents, facts.features, axis, is_difference=True, is_kernel=True)
    if name == "cumprod" and np.shape(value)[equation.params["axis"]] >= SHORTEST:
        axis, (factors, _) = equation.params["axis"], operands[0]
        logs = jnp.cumsum(jnp.log(jnp.abs(factors)), axis=axis)
        return _Running(logs, facts.features, axis, is_difference=True, is_kernel=True)
    sums = [each.running for each in known if isinstance(each.running, _Running)]
    return sums[0] if len(sums) == 1 and name in PASSING | CUTS else None


def _running(
    name: str, equation: Any, known: Sequence[Facts], value: Any, facts: Facts
) -> _Running | None:
    if name == "cumsum":
        axis = equation.params["axis"]
        is_time = facts.data and facts.params and not facts.features[axis]
        is_real = jnp.issubdtype(value.dtype, jnp.floating)
        if is_time and is_real and value.shape[axis] > 1:
            return _Running(value, facts.features, axis)
        return None
    sums = [each.running for each in known if isinstance(each.running, _Running)]
    if name == "sub" and len(sums) == 2:
        is_one = sums[0].value is sums[1].value
        return sums[0]._replace(is_difference=True) if is_one else None
    if len(sums) != 1:
        return None
    is_cut = name in CUTS and sum(each.data for each in known) == 1
    return sums[0] if name in PASSING or is_cut else None


def _measure(name: str, running: _Running, facts: Facts, where: str, scope: Scope) -> None:
    """The logarithm of the decay of a step, of the slowest unit and of the fastest."""
    if any(each is running.value for each in scope.decays):
        return
    scope.decays.append(running.value)
    number = scope.add(Site("state", facts.names, where, gradient=False))
    if not scope.measures:
        return
    sums = jax.lax.stop_gradient(running.value).real.astype(jnp.float32)
    sums = jnp.moveaxis(sums, running.axis, 0)
    if name == "exp2":
        sums = sums * jnp.log(2.0)
    slopes = (sums[-1] - sums[0]) / (sums.shape[0] - 1)
    # Written as sums of negative or of positive numbers; of both, they are no decays.
    is_decay, steps = jnp.all(slopes <= 0) | jnp.all(slopes >= 0), -jnp.abs(slopes)
    if running.is_kernel:
        # Equal steps, but where differences of time are cut off at zero; what grows is no decay.
        is_decay, steps = jnp.max(sums) <= 1e-3, -jnp.max(jnp.abs(jnp.diff(sums, axis=0)), axis=0)
    flags = [flag for n, flag in enumerate(running.features) if n != running.axis]
    each = jnp.mean(steps, [n for n, flag in enumerate(flags) if not flag])
    each = jnp.where(is_decay, each, jnp.nan)
    scope.results[scope.key(number)] = {
        "rms": jnp.exp(jnp.max(slopes)),
        "memory": jnp.max(each),
        "fastest": jnp.min(each),
    }
