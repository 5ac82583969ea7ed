"""A model as it is read: its program, where to measure it, and the program that does."""

import dataclasses
import functools
import operator
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.programs.equations import all_equations, has_lasting_effect
from initlab.programs.primitives import CONTROL
from initlab.programs.trace import trace
from initlab.taps.blockwise import gather_blocks, merge_whole
from initlab.taps.facts import Facts, Key, Recentre, Rescale
from initlab.taps.notes import Notes
from initlab.taps.parameter_statistics import parameter_statistics
from initlab.taps.scope import Scope, slots_of
from initlab.taps.statistics import signal_statistics
from initlab.taps.unrolled import Unrolled, add_unrolled, memory_of
from initlab.taps.walk import evaluate
from initlab.types import Apply, OutputLoss, Params

__all__ = ["Model", "leaves_for", "measure", "measure_signals", "read_model"]


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A traced `apply(params, batch)`, and where it is measured.

    Attributes:
      program: its jaxpr, closed.
      paths: the parameters' names, as "layer_1/weight".
      shapes: theirs.
      plan: the sites.
      notes: what the program says besides.
      outputs: the facts of each output.
      out_tree: the outputs' tree.
      unrolled: recurrences without a loop, by the key of the site that stands for each.
    """

    program: Any
    paths: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    plan: Scope
    notes: Notes
    outputs: tuple[Facts, ...]
    out_tree: Any
    unrolled: Mapping[Key, Unrolled]

    @property
    def trained(self) -> int:
        """Bit set of the parameters to which a gradient is backpropagated from some output."""
        return functools.reduce(operator.or_, (each.differentiable for each in self.outputs), 0)


@checks.checked
def read_model(apply: Apply, params: Params, batch: Any) -> Model:
    """Traces a model and finds where it can be measured; nothing is computed.

    Sites are products of a parameter and data (with the bias that follows), activations, and sums
    of two values. `jit`, `remat` and `vmap` are transparent; loops and branches are measured
    inside; what cannot be is named in the notes.

    Args:
      apply: a pure function `(params, batch) -> outputs`.
      params: a pytree of floating arrays, or of `jax.ShapeDtypeStruct`.
      batch: a pytree of inputs, examples first, or of `jax.ShapeDtypeStruct`.

    Returns:
      The model.

    Raises:
      TypeError: if apply is not a function, or a leaf of params is not a floating array.
      ValueError: if params or batch is empty, batch has no axis of examples, or no output of apply
        is floating.
    """
    leaves = checks.check_model(apply, params, batch)
    paths = tuple(path for path, _ in leaves)
    inputs = jax.tree.leaves(batch)
    with checks.naming_exchanged(apply, params, batch):
        if not inputs or not np.shape(inputs[0]):
            raise ValueError(
                f"batch must hold arrays whose first axis is examples, got {batch!r:.60}"
            )
        if not np.shape(inputs[0])[0]:
            raise ValueError("batch must hold at least one example, got none")
        program, out = trace(apply, params, batch)
    if not any(jnp.issubdtype(aval.dtype, jnp.floating) for aval in program.out_avals):
        raise ValueError(f"apply must give a floating output, got {jax.tree.leaves(out)!r:.60}")
    notes = Notes(np.shape(inputs[0])[0])
    for equation in all_equations(program):
        name = equation.primitive.name
        if equation.effects and not has_lasting_effect(equation) and name not in CONTROL:
            notes.untracked[name] = "a side effect, of which nothing is measured"
    plan = Scope(notes)
    outputs: list[Facts] = []

    def plan_sites(*values: Any) -> list[Any]:
        inputs = _input_facts(program, len(leaves))
        pairs = evaluate(program, list(zip(values, inputs, strict=True)), plan)
        for value, facts in pairs:
            plan.end(value, facts, "")
        outputs.extend(facts for _, facts in pairs)
        return [value for value, _ in pairs]

    jax.eval_shape(plan_sites, *program.in_avals)
    gather_blocks(plan)
    unrolled = add_unrolled(program, len(leaves), plan)
    shapes = tuple(tuple(leaf.shape) for _, leaf in leaves)
    # Facts hold traced values, which must not outlive their trace.
    values = dict.fromkeys(("chain", "uniform", "trail", "strided", "product_of"))
    facts = tuple(dataclasses.replace(each, **values) for each in outputs)
    return Model(program, paths, shapes, plan, notes, facts, jax.tree.structure(out), unrolled)


def leaves_for(model: Model, params: Params, batch: Any) -> tuple[list[Any], list[Any]]:
    """The leaves of params and batch; raises ValueError unless the model was read with such.

    >>> model = read_model(lambda p, x: x @ p, jnp.ones((2, 3)), jnp.ones((4, 2)))
    >>> leaves_for(model, jnp.ones((2, 3)), None)
    Traceback (most recent call last):
    ValueError: batch must hold arrays like those that the model was read with, [(4, 2)], got []
    """
    trees = {"params": jax.tree.leaves(params), "batch": jax.tree.leaves(batch)}
    count = len(model.paths)
    known = {"params": model.program.in_avals[:count], "batch": model.program.in_avals[count:]}
    for name, avals in known.items():
        leaves = trees[name]
        wanted = [
            (len(aval.shape), aval.shape[1:], jnp.issubdtype(aval.dtype, jnp.floating))
            for aval in avals
        ]
        dtypes = [getattr(leaf, "dtype", None) or np.asarray(leaf).dtype for leaf in leaves]
        got = [
            (np.ndim(leaf), np.shape(leaf)[1:], jnp.issubdtype(dtype, jnp.floating))
            for leaf, dtype in zip(leaves, dtypes, strict=True)
        ]
        if got != wanted:
            raise ValueError(
                f"{name} must hold arrays like those that the model was read with, "
                f"{[aval.shape for aval in avals]}, got {[np.shape(leaf) for leaf in leaves]}"
            )
    return trees["params"], trees["batch"]


def _input_facts(program: Any, params: int) -> list[Facts]:
    facts: list[Facts] = []
    floating = 0
    for number, aval in enumerate(program.in_avals):
        rank = len(aval.shape)
        if number < params:
            bit = 1 << number
            facts.append(
                Facts(
                    params=bit,
                    differentiable=bit,
                    features=(True,) * rank,
                    names=bit,
                    scales=True,
                    plain=True,
                    factors=bit,
                )
            )
        else:
            is_real = jnp.issubdtype(aval.dtype, jnp.floating)
            raw = floating if is_real else None
            floating += is_real
            paths = {number - params: frozenset[Key]()}
            facts.append(Facts(data=True, features=(False,) * rank, raw=raw, paths=paths))
    return facts


@checks.checked
def measure(
    model: Model, params: Params, batch: Any, key: jax.Array, loss: OutputLoss | None = None
) -> dict[str, Any]:
    """One forward and one backward pass, and what is measured on the way; jit-able and vmap-able.

    Args:
      model: as `read_model` reads it.
      params: its parameters.
      batch: inputs.
      key: draws the cotangent of the outputs where there is no loss.
      loss: `outputs -> scalar`; a random cotangent of unit variance in its place when absent.

    Returns:
      sites and slots (`{key of a site: statistics of its signal}`, and norm of its gradient, with a
      leading axis for each loop around the site), params (a dict of statistics for each), inputs
      and outputs (of each array), gradients (of the params, as they are), loss and loss_at_zero
      (scalars, NaN without a loss).
    """
    leaves, inputs = leaves_for(model, params, batch)
    facts = _input_facts(model.program, len(leaves))

    def run(leaves: list[Any], slots: Any) -> tuple[jax.Array, Any]:
        scope = Scope(model.notes, plan=model.plan, slots=slots, follow=True)
        pairs = evaluate(model.program, list(zip([*leaves, *inputs], facts, strict=True)), scope)
        for value, each in pairs:
            scope.end(value, each, "")
        outputs = [jnp.asarray(value) for value, _ in pairs]
        results = merge_whole(model.plan, scope.results)
        for place, each in model.unrolled.items():
            results[place] = memory_of(model.program, [*leaves, *inputs], each)
        tree = jax.tree.unflatten(model.out_tree, outputs)
        if loss is not None:
            with checks.calling("loss", "(outputs)"):
                return loss(tree), (results, outputs)
        real = [each for each in outputs if jnp.issubdtype(each.dtype, jnp.floating)]
        cotangents = [
            jax.random.normal(jax.random.fold_in(key, n), each.shape, each.dtype)
            for n, each in enumerate(real)
        ]
        pairs = zip(real, cotangents, strict=True)
        total = [jnp.sum((one * other).astype(jnp.float32)) for one, other in pairs]
        return sum(total[1:], start=total[0]), (results, outputs)

    differentiate = jax.value_and_grad(run, (0, 1), has_aux=True)
    (value, (sites, outputs)), (gradients, slots) = differentiate(leaves, slots_of(model.plan))
    nan = jnp.full((), jnp.nan)
    at_zero = nan
    if loss is not None:
        # Behind a barrier: a compiler that sees zeros computes the loss itself, and slowly.
        zeros = jax.lax.optimization_barrier([jnp.zeros_like(y) for y in outputs])
        at_zero = loss(jax.tree.unflatten(model.out_tree, zeros))
    return {
        "sites": sites,
        "slots": slots,
        "params": parameter_statistics(
            leaves, gradients, [bool(model.notes.stacked >> n & 1) for n in range(len(leaves))]
        ),
        "inputs": [
            signal_statistics(x, 0) for x in inputs if jnp.issubdtype(x.dtype, jnp.floating)
        ],
        "outputs": [
            signal_statistics(y, 0 if y.ndim else None)
            for y in outputs
            if jnp.issubdtype(y.dtype, jnp.floating)
        ],
        "gradients": jax.tree.unflatten(jax.tree.structure(params), gradients),
        "loss": nan if loss is None else value.astype(jnp.float32),
        "loss_at_zero": at_zero.astype(jnp.float32),
    }


@checks.checked
def measure_signals(
    model: Model,
    params: Params,
    batch: Any,
    rescale: Rescale | None = None,
    fixed: frozenset[int] = frozenset(),
    recentre: Recentre | None = None,
) -> dict[Key, Any]:
    """The forward pass of `measure` alone, without gradients; jit-able and vmap-able.

    Args:
      model: as `read_model` reads it.
      params: its parameters.
      batch: inputs.
      rescale: gives the operands of each product of data and one parameter that is no table, and
        says what is recorded of it; so each weight may be rescaled just before its product is
        computed, and all that follows sees it.
      fixed: numbers of parameters that are not rescaled.
      recentre: gives the sum of a rescaled product and its bias, and what is recorded besides.

    Returns:
      The statistics of products, sums and activations inside by site, as of `measure`, with what
      was recorded as "recorded".

    Raises:
      ValueError: if params or batch are not as the model was read, or recentre comes without
        rescale.
      TypeError: if rescale or recentre gives no pair.
    """
    if recentre is not None and rescale is None:
        raise ValueError("rescale must be given with recentre, whose products are rescaled ones")
    rescale = _giving_pairs("rescale", rescale, "(equation, place, values, facts, added)")
    recentre = _giving_pairs("recentre", recentre, "(total, product, bias, facts)")
    leaves, inputs = leaves_for(model, params, batch)
    facts = [
        dataclasses.replace(each, scales=each.scales and n not in fixed)
        for n, each in enumerate(_input_facts(model.program, len(leaves)))
    ]
    scope = Scope(model.notes, plan=model.plan, rescale=rescale, recentre=recentre)
    evaluate(model.program, list(zip([*leaves, *inputs], facts, strict=True)), scope)
    return merge_whole(model.plan, scope.results)


def _giving_pairs(name: str, function: Any, call: str) -> Any:
    """The function, whose errors name it and the call; None for None."""

    def checking(*given: Any) -> tuple[Any, Any]:
        with checks.calling(name, call):
            pair = function(*given)
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise TypeError(
                f"{name} must return two, the second of which is recorded, got {pair!r:.80}"
            )
        return pair

    return None if function is None else checking
