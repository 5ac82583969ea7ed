"""The audit: one forward and one backward pass through any model, and a verdict on its params."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from initlab import checks
from initlab.audits.class_prior import read_prior
from initlab.audits.collect import Asked, collect
from initlab.audits.diagnostics import diagnose
from initlab.audits.finding import SEVERITIES
from initlab.audits.ignores import Ignored, apply_ignores, read_ignores
from initlab.audits.instrument import described, make_instrument
from initlab.audits.keys import compare_starts
from initlab.audits.matrices import measure_matrices
from initlab.audits.optimizers import check_optimizer
from initlab.audits.report import Report
from initlab.audits.seeds import merge_seeds
from initlab.audits.starts import draw_starts
from initlab.audits.text import rows_text
from initlab.audits.thresholds import Thresholds
from initlab.signals.predict import predict_starts
from initlab.types import Apply, OutputLoss, Params

__all__ = ["assert_sound_initialization", "audit"]


@checks.checked
def audit(
    apply: Apply,
    params: Params = None,
    batch: Any = None,
    *,
    loss: OutputLoss | None = None,
    labels: Any = None,
    prior: Any = None,
    optimizer: optax.GradientTransformation | None = None,
    key: jax.Array | None = None,
    keys: jax.Array | None = None,
    init: Callable[[jax.Array], Params] | None = None,
    thresholds: Thresholds | None = None,
    ignore: Ignored | None = None,
    independent: bool = False,
    causal: bool = False,
    predicted: bool = False,
) -> Report:
    """Will these params train? Checks every layer's signal, slopes and gradient, and the params.

    `apply` is traced and measured in its own program: products of parameters, activations and sums
    of two values, through jit, remat, vmap, loops and branches. One compiled program does a forward
    and a backward pass; of signals and gradients only statistics are kept.

    Args:
      apply: a pure function `(params, batch) -> outputs`, of any framework.
      params: a pytree of floating arrays; left out where `init` draws them.
      batch: what apply takes, examples on the first axis of the first array; at least two for
        their correlation to be seen, eight or more for dead units.
      loss: `outputs -> scalar`, labels closed over. Without one a random cotangent of unit variance
        is backpropagated, and `confident_start` is not checked.
      labels: classes, as integers or one-hot, where the first outputs are logits: the start's
        predictions are compared with them and with their frequencies, in a forward pass of its own.
      prior: the classes' frequencies, where the labels are not a sample of them.
      optimizer: of optax: its first step is measured too (`first_update`), in a program of its own;
        requires loss.
      key: of either style; draws that cotangent, and the seeds where keys are not given.
      keys: one for each start that `init` draws, [seeds].
      init: `key -> params`, in the place of params (`audit(apply, batch=x, init=init)`); findings
        are then those of most seeds, with intervals.
      thresholds: what a measured number is compared with; `Thresholds` gives the reasons.
      ignore: findings that are accepted, as `{code: [path patterns]}` or `{code: {pattern:
        reason}}`: `{"unused_parameter": ["**/position_bias"]}`. In a pattern `*` is any part of a
        name and `**` any number of names. They are in `Report.ignored`, and in no verdict.
      independent: whether an output's example must not see the others: three forward passes more.
      causal: whether outputs must not see inputs of later times, on axis 1: three more.
      predicted: whether `signals.predict` is asked too: what wide layers of these variances would
        show, beside what was measured, in `Report.predicted` and below its table.

    Returns:
      The report: verdict "pass", "warn" or "fail", findings, and a row for every place.

    Raises:
      TypeError: if apply, loss or init is not a function, key not a JAX key, thresholds not
        Thresholds, ignore not of that form, or a leaf of params is not a floating array.
      ValueError: if there are no params, keys come without init, loss gives no scalar, batch has no
        examples, ignore has a code that is none, labels or prior do not fit the first outputs, or
        no outputs have the axes that independent or causal require.

    >>> params = {"in": jnp.zeros((3, 4)), "out": jnp.zeros((4, 2))}
    >>> report = audit(lambda p, x: jnp.tanh(x @ p["in"]) @ p["out"], params, jnp.ones((8, 3)))
    >>> report.verdict, report.findings[0].code
    ('fail', 'symmetric_units')
    """
    for name, tree in (("params", params), ("batch", batch), ("key", key), ("keys", keys)):
        checks.check_known(name, tree, "audit")
    thresholds = Thresholds() if thresholds is None else thresholds
    key = jax.random.key(0) if key is None else key
    ignores = read_ignores(ignore)
    if optimizer is not None:
        check_optimizer(optimizer, loss)
    starts, draws = draw_starts(params, init, keys, key)
    drawn = None
    if init is not None:
        drawn = compare_starts(starts, draws, thresholds.duplicate_correlation)
        if drawn.starts == 1:
            # Copies of one start are one start: measured once, and counted so.
            starts, draws = jax.tree.map(lambda leaf: leaf[:1], starts), draws[:1]
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), starts)
    with checks.naming_exchanged(apply, shapes, batch):
        batch = jax.tree.map(jnp.asarray, batch)
    if any(leaf.shape[:1] == (0,) for leaf in jax.tree.leaves(batch)[:1]):
        raise ValueError("batch must hold at least one example, got none")
    abstract = (*described(shapes), *described(batch), *described(draws)[1])
    instrument = make_instrument(apply, loss, *abstract)
    model = instrument.model
    known = read_prior(labels, prior, tuple(model.program.out_avals[0].shape))
    asked = Asked(loss, optimizer, known, independent, causal)
    collected = collect(instrument, starts, batch, draws, drawn, asked, thresholds)
    found = [diagnose(each, thresholds) for each in collected.evidence]
    findings = found[0] if len(found) == 1 else merge_seeds(found)
    findings, ignored = apply_ignores(findings, ignores)
    return Report(
        tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))),
        tuple(collected.rows),
        int(draws.shape[0]),
        len(model.paths),
        sum(int(np.prod(shape)) for shape in model.shapes),
        np.asarray(collected.measured["loss"]),
        np.asarray(collected.measured["loss_at_zero"]),
        ignored,
        class_bias=None if known is None else known.bias,
        first_update=collected.first_update,
        matrices=measure_matrices(model, instrument.fans, starts),
        predicted=predict_starts(apply, starts, batch) if predicted else None,
    )


@checks.checked
def assert_sound_initialization(
    apply: Apply,
    params: Params = None,
    batch: Any = None,
    *,
    loss: OutputLoss | None = None,
    labels: Any = None,
    prior: Any = None,
    optimizer: optax.GradientTransformation | None = None,
    key: jax.Array | None = None,
    keys: jax.Array | None = None,
    init: Callable[[jax.Array], Params] | None = None,
    thresholds: Thresholds | None = None,
    ignore: Ignored | None = None,
    independent: bool = False,
    causal: bool = False,
    strict: bool = False,
) -> None:
    """Asserts that an audit finds no failure: one line in a test of a model of your own.

    Args:
      apply: as for `audit`.
      params: as for `audit`.
      batch: as for `audit`.
      loss: as for `audit`.
      labels: as for `audit`.
      prior: as for `audit`.
      optimizer: as for `audit`.
      key: as for `audit`.
      keys: as for `audit`.
      init: as for `audit`.
      thresholds: as for `audit`.
      ignore: as for `audit`.
      independent: as for `audit`.
      causal: as for `audit`.
      strict: whether a warning fails too.

    Raises:
      AssertionError: with the first failure (code, place, number, threshold, cause and remedy) and
        the table's rows of its place; units' is the module of their parameters.
      TypeError: as `audit`.
      ValueError: as `audit`.

    >>> params = {"in": jnp.eye(3), "out": jnp.eye(3)[::-1]}
    >>> apply = lambda p, x: jnp.tanh(x @ p["in"]) @ p["out"]
    >>> assert_sound_initialization(apply, params, jax.random.normal(jax.random.key(0), (8, 3)))
    """
    # Written out, so that an editor and a type checker know the names.
    given = {
        "loss": loss,
        "labels": labels,
        "prior": prior,
        "optimizer": optimizer,
        "key": key,
        "keys": keys,
        "init": init,
        "thresholds": thresholds,
        "ignore": ignore,
        "independent": independent,
        "causal": causal,
    }
    # The line that a failing test should show is the caller's.
    __tracebackhide__ = True
    report = audit(apply, params, batch, **given)
    unsound = ("fail", "warn") if strict else ("fail",)
    for finding in report.findings:
        if finding.severity in unsound:
            # Units are called by their parameter, with a number where it has several groups.
            place = finding.place.split(", ")[0].partition(":")[0]
            rows = [row for row in report.rows if f"{row.place}/".startswith(f"{place}/")]
            table = rows_text(rows) if rows else ""
            raise AssertionError("\n\n".join(filter(None, (report.describe(finding), table))))
