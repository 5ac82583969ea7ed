"""The audit: one forward and one backward pass through any model, and a verdict on its params."""

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.audits.diagnostics import DIAGNOSTICS, NETWORK_WIDE, diagnose
from initlab.audits.duplicates import count_distinct, find_duplicates
from initlab.audits.evidence import Evidence, signals_of, weights_of
from initlab.audits.finding import SEVERITIES, Finding
from initlab.audits.report import Report
from initlab.audits.thresholds import Thresholds
from initlab.compilation import compile_to_run_once
from initlab.symmetry import Coverage, UnitGroup, find_groups
from initlab.taps import Model, measure, read_model, rows_of
from initlab.types import Apply, OutputLoss, Params

__all__ = ["assert_sound_initialization", "audit", "merge_seeds"]

SEEDS = 16
"""How many starts are drawn where `init` is given and `keys` are not."""


def audit(
    apply: Apply,
    params: Params,
    batch: Any,
    *,
    loss: OutputLoss | None = None,
    key: jax.Array | None = None,
    keys: jax.Array | None = None,
    init: Callable[[jax.Array], Params] | None = None,
    thresholds: Thresholds | None = None,
) -> Report:
    """Will these params train? Checks every layer's signal, slopes and gradient, and the params.

    `apply` is traced and measured in its own program: products of parameters, activations and sums
    of two values, through jit, remat, vmap, loops and branches. One compiled program does a forward
    and a backward pass; of signals and gradients only statistics are kept.

    Args:
      apply: a pure function `(params, batch) -> outputs`, of any framework.
      params: a pytree of floating arrays; may be None where `init` is given.
      batch: what apply takes, examples on the first axis of the first array; at least two for
        their correlation to be seen, eight or more for dead units.
      loss: `outputs -> scalar`, labels closed over. Without one a random cotangent of unit variance
        is backpropagated, and `confident_start` is not checked.
      key: of either style; draws that cotangent, and the seeds where keys are not given.
      keys: one for each start that `init` draws, [seeds].
      init: `key -> params`; findings are then those of most seeds, with intervals.
      thresholds: what a measured number is compared with; `Thresholds` gives the reasons.

    Returns:
      The report: verdict "pass", "warn" or "fail", findings, and a row for every place.

    Raises:
      TypeError: if apply, loss or init is not a function, key not a JAX key, thresholds not
        Thresholds, or a leaf of params is not a floating array.
      ValueError: if there are no params, keys come without init, loss gives no scalar, or batch
        has no examples.

    >>> params = {"in": jnp.zeros((3, 4)), "out": jnp.zeros((4, 2))}
    >>> report = audit(lambda p, x: jnp.tanh(x @ p["in"]) @ p["out"], params, jnp.ones((8, 3)))
    >>> report.verdict, report.findings[0].code
    ('fail', 'symmetric_units')
    """
    thresholds = Thresholds() if thresholds is None else thresholds
    if not isinstance(thresholds, Thresholds):
        raise TypeError(f"thresholds must be Thresholds, got {thresholds!r:.60}")
    for name, given in (("loss", loss), ("init", init)):
        if given is not None:
            checks.check_callable(name, given)
    checks.check_callable("apply", apply)
    key = jax.random.key(0) if key is None else key
    if not isinstance(key, jax.Array):
        raise TypeError(f"key must be a JAX key, got {key!r:.60}")
    starts, draws = _starts(params, init, keys, key)
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), starts)
    batch = jax.tree.map(jnp.asarray, batch)
    if any(leaf.shape[:1] == (0,) for leaf in jax.tree.leaves(batch)[:1]):
        raise ValueError("batch must hold at least one example, got none")
    described = (*_described(shapes), *_described(batch), *_described(draws)[1])
    make = _instrument if checks.is_hashable(apply, loss) else _instrument.__wrapped__
    instrument = make(apply, loss, *described)
    model, groups, coverage = instrument.model, instrument.groups, instrument.coverage
    measured = jax.device_get(instrument.program(starts, batch, draws))
    rows = rows_of(model, measured)
    found = []
    for seed in range(draws.shape[0]):
        params = jax.tree.map(lambda leaf, seed=seed: leaf[seed], starts)
        evidence = Evidence(
            model,
            signals_of(rows, seed),
            weights_of(model, measured["params"], seed),
            _widths(params, groups),
            find_duplicates(_tensors(model, params), thresholds.duplicate_correlation),
            float(measured["loss"][seed]),
            float(measured["loss_at_zero"][seed]),
            instrument.classes,
            coverage,
        )
        found.append(diagnose(evidence, thresholds))
    findings = found[0] if len(found) == 1 else merge_seeds(found)
    return Report(
        tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))),
        tuple(rows),
        int(draws.shape[0]),
        len(model.paths),
        sum(int(np.prod(shape)) for shape in model.shapes),
        np.asarray(measured["loss"]),
        np.asarray(measured["loss_at_zero"]),
    )


def assert_sound_initialization(
    apply: Apply,
    params: Params,
    batch: Any,
    *,
    loss: OutputLoss | None = None,
    key: jax.Array | None = None,
    keys: jax.Array | None = None,
    init: Callable[[jax.Array], Params] | None = None,
    thresholds: Thresholds | None = None,
    strict: bool = False,
) -> None:
    """Asserts that an audit finds no failure: one line in a test of a model of your own.

    Args:
      apply: as for `audit`.
      params: as for `audit`.
      batch: as for `audit`.
      loss: as for `audit`.
      key: as for `audit`.
      keys: as for `audit`.
      init: as for `audit`.
      thresholds: as for `audit`.
      strict: whether a warning fails too.

    Raises:
      AssertionError: with the first failure: code, place, number, threshold, cause and remedy.
      TypeError: as `audit`.
      ValueError: as `audit`.

    >>> params = {"in": jnp.eye(3), "out": jnp.eye(3)[::-1]}
    >>> apply = lambda p, x: jnp.tanh(x @ p["in"]) @ p["out"]
    >>> assert_sound_initialization(apply, params, jax.random.normal(jax.random.key(0), (8, 3)))
    """
    # Written out, so that an editor and a type checker know the names.
    given = {"loss": loss, "key": key, "keys": keys, "init": init, "thresholds": thresholds}
    report = audit(apply, params, batch, **given)
    unsound = ("fail", "warn") if strict else ("fail",)
    for finding in report.findings:
        if finding.severity in unsound:
            raise AssertionError(report.describe(finding))


class _Instrument(NamedTuple):
    """What is traced and compiled once for a model, and measures any of its params."""

    model: Model
    groups: Sequence[UnitGroup]
    coverage: Coverage | str
    classes: int
    program: Callable[[Params, Any, jax.Array], Any]


@functools.lru_cache(maxsize=8)
def _instrument(
    apply: Apply,
    loss: OutputLoss | None,
    tree: Any,
    leaves: Any,
    batch_tree: Any,
    inputs: Any,
    draws: jax.ShapeDtypeStruct,
) -> _Instrument:
    """Compiled once for a function and the shapes that it takes, as `jax.jit` would."""
    shapes, batch = jax.tree.unflatten(tree, leaves), jax.tree.unflatten(batch_tree, inputs)
    model = read_model(apply, shapes, batch)
    _check_loss(apply, shapes, batch, loss)

    def program(starts: Params, batch: Any, draws: jax.Array) -> Any:
        def one(params: Params, draw: jax.Array) -> Any:
            return measure(model, params, batch, draw, loss)

        if draws.shape[0] == 1:
            # A batched program of one would be another, and slower, than the model's own.
            alone = one(jax.tree.map(lambda leaf: leaf[0], starts), draws[0])
            return jax.tree.map(lambda x: x[None], alone)
        return jax.vmap(one)(starts, draws)

    outputs = jax.tree.leaves(jax.eval_shape(apply, shapes, batch))
    classes = outputs[0].shape[-1] if outputs and outputs[0].shape else 1
    many = [jax.ShapeDtypeStruct((draws.shape[0], *leaf.shape), leaf.dtype) for leaf in leaves]
    lowered = jax.jit(program).lower(jax.tree.unflatten(tree, many), batch, draws)
    return _Instrument(model, *_groups(apply, shapes, batch), classes, compile_to_run_once(lowered))


def _described(tree: Any) -> tuple[Any, tuple[jax.ShapeDtypeStruct, ...]]:
    """A tree's structure and its leaves' shapes, which are hashable."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves)


def _starts(params: Params, init: Any, keys: Any, key: jax.Array) -> tuple[Params, jax.Array]:
    """Params with a first axis of seeds, and a key for each."""
    if init is None:
        if keys is not None:
            raise ValueError(
                "keys require init, a function that draws params from each of them, got init=None"
            )
        for path, leaf in jax.tree_util.tree_leaves_with_path(params):
            if not hasattr(leaf, "dtype"):
                name = checks.path_name(path)
                raise TypeError(f"params[{name!r}] must be an array, got {type(leaf).__name__}")
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], params), key[None]
    keys = jax.random.split(key, SEEDS) if keys is None else keys
    if getattr(keys, "ndim", 0) < 1 or keys.shape[0] < 1:
        raise ValueError(f"keys must be an array of at least one key, got {keys!r:.60}")
    draws = jax.vmap(lambda each: jax.random.fold_in(each, 1))(keys)
    compiled = _compiled_init if checks.is_hashable(init) else _compiled_init.__wrapped__
    return compiled(init, jax.ShapeDtypeStruct(keys.shape, keys.dtype))(keys), draws


@functools.lru_cache(maxsize=8)
def _compiled_init(init: Any, keys: jax.ShapeDtypeStruct) -> Callable[[jax.Array], Params]:
    return compile_to_run_once(jax.jit(jax.vmap(init)).lower(keys))


def _check_loss(apply: Apply, shapes: Params, batch: Any, loss: OutputLoss | None) -> None:
    if loss is None:
        return
    value = jax.eval_shape(lambda params, x: loss(apply(params, x)), shapes, batch)
    if getattr(value, "shape", None) != () or not jnp.issubdtype(value.dtype, jnp.floating):
        raise ValueError(f"loss must return one real number, got {value}")


def _groups(apply: Apply, shapes: Params, batch: Any) -> tuple[Sequence[UnitGroup], Coverage | str]:
    try:
        return find_groups(apply, shapes, batch, report=True)
    except ValueError as error:
        # A model that ignores its params, or has effects, has no units to compare: the rest of the
        # audit still applies, and the reason is a finding (`untracked`).
        return (), f"the symmetry analysis does not support the model: {error}"


def _widths(
    params: Params, groups: Sequence[UnitGroup]
) -> dict[str, tuple[int, int, tuple[str, ...]]]:
    by_path = jax.tree_util.tree_leaves_with_path(params)
    leaves = {checks.path_name(path): np.asarray(leaf) for path, leaf in by_path}
    return {
        group.name: (
            count_distinct(params, leaves, group),
            group.size,
            tuple(unit.path for unit in group.axes),
        )
        for group in groups
    }


def _tensors(model: Model, params: Params) -> list[tuple[str, np.ndarray]]:
    """Every parameter, and every slice of one that a loop scans over."""
    tensors = []
    for bit, (path, leaf) in enumerate(zip(model.paths, jax.tree.leaves(params), strict=True)):
        array = np.asarray(leaf)
        if model.notes.stacked >> bit & 1:
            tensors += [(f"{path}[{n}]", each) for n, each in enumerate(array)]
        else:
            tensors.append((path, array))
    return tensors


def merge_seeds(found: Sequence[Sequence[Finding]]) -> list[Finding]:
    """Findings over seeds: as severe as in at least half of them, else one step less.

    Args:
      found: the findings of each seed.

    Returns:
      One for each code and place, or for each network-wide code, with the median of its values,
      their interval, and the share of the seeds that have it.
    """
    codes = list(DIAGNOSTICS)
    sets: dict[tuple[str, str], list[Finding]] = {}
    for findings in found:
        # A seed counts once: NaN in a parameter is NaN in a signal too.
        worst: dict[tuple[str, str], Finding] = {}
        for each in sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)):
            place = "" if each.code in NETWORK_WIDE else each.place
            worst.setdefault((each.code, place), each)
        for where, each in worst.items():
            sets.setdefault(where, []).append(each)
    merged = []
    for (code, _), each in sorted(sets.items(), key=lambda item: codes.index(item[0][0])):
        ranks = sorted(SEVERITIES.index(one.severity) for one in each)
        half = (len(found) + 1) // 2
        rank = ranks[half - 1] if len(ranks) >= half else min(len(SEVERITIES) - 1, ranks[0] + 1)
        values = np.asarray([one.value for one in each], float)
        place = Counter(one.place for one in each).most_common(1)[0][0]
        like = next((one for one in each if one.severity == SEVERITIES[rank]), each[0])
        ends = np.quantile(values, [0.05, 0.5, 0.95], method="inverted_cdf")
        merged.append(
            like._replace(
                code=code,
                place=place,
                severity=SEVERITIES[rank],
                value=float(ends[1]),
                interval=(float(ends[0]), float(ends[2])),
                seeds=len(each) / len(found),
            )
        )
    return merged
