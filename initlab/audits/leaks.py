"""What an output must not depend on: other examples, and inputs of later times."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab.audits.evidence import Evidence
from initlab.audits.finding import Finding
from initlab.audits.thresholds import Thresholds
from initlab.compilation import compile_to_run_once
from initlab.programs.trace import as_function
from initlab.taps import Model
from initlab.types import Params

__all__ = ["Leak", "find_leaks", "leak"]


class Leak(NamedTuple):
    """An output that depends on what it must not see.

    Attributes:
      kind: "independent" (another example) or "causal" (a later time).
      place: which output.
      change: the largest change over the largest output.
      tolerance: what rounding may make of no change, of the outputs' dtype.
      where: which example, or before which time.
    """

    kind: str
    place: str
    change: float
    tolerance: float
    where: int


def find_leaks(
    model: Model, params: Params, batch: Any, *, independent: bool, causal: bool
) -> tuple[Leak, ...]:
    """Changes what an output must not see, and compares the outputs; forward passes alone.

    A gradient would say nothing of token ids, and a sum over outputs of one example's is zero where
    it goes through a norm. So inputs are replaced by others of the batch, which are valid whatever
    they mean: all examples by copies of the first, then of the last; the later half of a sequence
    by that of the next example, reversed.

    Args:
      model: as `read_model` reads it.
      params: of one start. Those that are all zero are drawn at random: a zero readout hides all.
      batch: its inputs; those whose first axis is the examples are changed.
      independent: whether examples must not see each other.
      causal: whether outputs [examples, times, ...] must not see inputs of later times.

    Returns:
      What was found; empty where neither is asked for.

    Raises:
      ValueError: if no output has such axes, or no two inputs differ in them.
    """
    if not (independent or causal):
        return ()
    inputs = jax.tree.leaves(batch)
    avals = model.program.out_avals
    leaves = [_drawn(leaf, bit) for bit, leaf in enumerate(jax.tree.leaves(params))]
    shapes = [jax.ShapeDtypeStruct(np.shape(x), x.dtype) for x in [*leaves, *inputs]]
    compiled = compile_to_run_once(jax.jit(as_function(model.program)).lower(*shapes))

    def run(inputs: Sequence[Any]) -> list[np.ndarray]:
        return jax.device_get(compiled(*leaves, *inputs))

    before, found = run(inputs), []
    number = inputs[0].shape[0]
    if independent:
        places = [n for n, aval in enumerate(avals) if aval.shape[:1] == (number,)]
        _require("independent", places, f"an output whose first axis is {number} examples", avals)
        for example in (0, number - 1):
            copies = _examples_replaced(inputs, number, example)
            after = run(copies)
            found += [
                _compared("independent", n, before[n][example], after[n][example], example)
                for n in places
            ]
    if causal:
        places = [n for n, a in enumerate(avals) if a.shape[:1] == (number,) and len(a.shape) > 1]
        _require("causal", places, f"an output [{number} examples, times, ...]", avals)
        times = avals[places[0]].shape[1]
        places = [n for n in places if avals[n].shape[1] == times]
        # Two cuts in a row: no chunk within which a model sees ahead ends at both.
        for cut in sorted({max(1, times // 2), min(times - 1, times // 2 + 1)} - {0}):
            after = run(_later_replaced(inputs, (number, times), cut))
            found += [
                _compared("causal", n, before[n][:, :cut], after[n][:, :cut], cut) for n in places
            ]
    worst: dict[tuple[str, str], Leak] = {}
    for each in sorted(found, key=lambda found: -found.change):
        # `not <=`: NaN is a change too.
        if not each.change <= each.tolerance:
            worst.setdefault((each.kind, each.place), each)
    return tuple(worst.values())


def _require(name: str, places: Sequence[int], what: str, avals: Sequence[Any]) -> None:
    if not places:
        shapes = [tuple(aval.shape) for aval in avals]
        raise ValueError(f"{name}=True requires {what}, got outputs of shapes {shapes}")


def _drawn(leaf: Any, bit: int) -> Any:
    # An embedding's usual size does no harm in a gate, a bias or a weight.
    if np.any(np.asarray(leaf) != 0):
        return leaf
    draws = 0.1 * np.random.default_rng(bit).normal(size=np.shape(leaf))
    return jnp.asarray(draws, leaf.dtype)


def _examples_replaced(inputs: Sequence[Any], number: int, example: int) -> list[Any]:
    replaced = [
        jnp.broadcast_to(x[example][None], x.shape) if x.shape[:1] == (number,) else x
        for x in inputs
    ]
    if not any(map(_differs, inputs, replaced)):
        raise ValueError("independent=True requires examples that differ, got copies of one")
    return replaced


def _later_replaced(inputs: Sequence[Any], shape: tuple[int, int], cut: int) -> list[Any]:
    """Inputs whose part from a time on is another; in each of several ways until one is."""
    ways: tuple[Callable[[Any], Any], ...] = (
        lambda x: jnp.roll(x, 1, axis=0)[:, ::-1],
        lambda x: jnp.roll(x, 1, axis=0),
        lambda x: x[:, ::-1],
    )
    for way in ways:
        replaced = [
            x.at[:, cut:].set(way(x[:, cut:])) if x.shape[:2] == shape else x for x in inputs
        ]
        now = [(x[:, cut], y[:, cut]) for x, y in zip(inputs, replaced, strict=True) if x is not y]
        if any(_differs(x, y) for x, y in now):
            return replaced
    raise ValueError(
        f"causal=True requires inputs [{shape[0]} examples, {shape[1]} times, ...] that differ "
        f"from time {cut} on, got {[tuple(x.shape) for x in inputs]}"
    )


def _differs(one: Any, other: Any) -> bool:
    if jnp.issubdtype(one.dtype, jax.dtypes.prng_key):
        one, other = jax.random.key_data(one), jax.random.key_data(other)
    return bool(jnp.any(one != other))


def _compared(kind: str, number: int, before: Any, after: Any, where: int) -> Leak:
    is_real = jnp.issubdtype(before.dtype, jnp.inexact)
    # The same program on the same rows rounds alike; a transform along time (an FFT, a scan by
    # halves) mixes the rounding of all times, some digits above that of one operation.
    tolerance = 0.0
    if is_real:
        tolerance = max(128 * 2.0**-23, 8 * float(jnp.finfo(before.dtype).eps))
        if before.dtype == np.float64:
            tolerance = 128 * 2.0**-52
    wide = np.complex128 if jnp.issubdtype(before.dtype, jnp.complexfloating) else np.float64
    one, other = np.asarray(before).astype(wide), np.asarray(after).astype(wide)
    largest = np.max(np.abs(one), initial=0.0)
    change = np.max(np.abs(one - other), initial=0.0) / (largest if largest > 0 else 1.0)
    return Leak(kind, "output" if number == 0 else f"output {number}", change, tolerance, where)


def leak(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """An output that depends on another example, or on inputs of a later time; where asked for."""
    del thresholds
    for each in evidence.leaks:
        if each.kind == "independent":
            cause = (
                f"the output of example {each.where} changes with the other examples of its batch, "
                f"by {each.change:.2g} of the largest output: something is computed over examples"
            )
            remedy = (
                "use batch norm with its running averages, or another norm (a batch's statistics "
                "are one), and check the axes of softmaxes, means and reshapes: the first is the "
                "examples'"
            )
        else:
            cause = (
                f"outputs before time {each.where} change with inputs from then on, by "
                f"{each.change:.2g} of the largest output: they have seen what they are to predict"
            )
            remedy = (
                "mask the attention (tril, applied before the softmax), pad convolutions on the "
                "left only, and take no statistics over times"
            )
        yield Finding("leak", "warn", each.place, each.change, each.tolerance, cause, remedy)
