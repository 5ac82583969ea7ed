"""A refiner between two audits: what it made worse is not kept."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from initlab import checks
from initlab.audits.auditing import audit
from initlab.audits.report import Report
from initlab.audits.thresholds import Thresholds
from initlab.types import Apply, OutputLoss, Params

__all__ = ["Refined", "refine"]

VERDICTS = ("pass", "warn", "fail")
"""From the best to the worst."""


class Refined(NamedTuple):
    """What a refiner did, and whether it is kept.

    Attributes:
      params: the refined ones, or the start where those are worse.
      reason: why they are not kept; "" where they are.
      before: the audit of the start.
      after: the audit of the refined params, kept or not.
    """

    params: Params
    reason: str
    before: Report
    after: Report


@checks.checked
def refine(
    refiner: Callable[[jax.Array, Apply, Params, Any], Params],
    key: jax.Array,
    apply: Apply,
    params: Params,
    batch: Any,
    *,
    loss: OutputLoss | None = None,
    thresholds: Thresholds | None = None,
) -> Refined:
    """`refiner(key, apply, params, batch)` with an audit before and after it.

    Args:
      refiner: one of `calibration`; what it takes besides is bound by `functools.partial`.
      key: for the refiner.
      apply: a pure function `(params, batch) -> outputs`.
      params: where to begin.
      batch: inputs.
      loss: `outputs -> scalar`, for the audits, labels closed over.
      thresholds: of the audits.

    Returns:
      The params and both reports. The start is given back where the verdict is worse than its own,
      or the loss is more than twice as large and larger by `excess_loss` of the thresholds.

    Raises:
      TypeError: if refiner is not a function or raises, or as `audit`.
      ValueError: as the refiner and `audit`.

    >>> import jax.numpy as jnp
    >>> from initlab.calibration import lsuv
    >>> x = jax.random.normal(jax.random.key(0), (16, 4))
    >>> params = {"in": 0.01 * jnp.eye(4), "out": jnp.eye(4)}
    >>> apply = lambda p, x: jnp.tanh(x @ p["in"]) @ p["out"]
    >>> done = refine(lsuv, jax.random.key(1), apply, params, x)
    >>> done.reason, bool(done.params["in"][0, 0] > 0.5)
    ('', True)
    """
    checks.check_callable("refiner", refiner)
    checks.check_known("key", key, "refine")
    limits = Thresholds() if thresholds is None else thresholds
    before = audit(apply, params, batch, loss=loss, thresholds=thresholds)
    with checks.calling("refiner", "(key, apply, params, batch)"):
        refined = refiner(key, apply, params, batch)
    after = audit(apply, refined, batch, loss=loss, thresholds=thresholds)
    reason = _what_is_worse(before, after, limits.excess_loss[0])
    return Refined(params if reason else refined, reason, before, after)


def _what_is_worse(before: Report, after: Report, excess: float) -> str:
    if VERDICTS.index(after.verdict) > VERDICTS.index(before.verdict):
        return f"the verdict goes from {before.verdict!r} to {after.verdict!r}"
    start, end = (float(np.median(report.loss)) for report in (before, after))
    # Not by the difference alone: a loss of millions may end as another one of millions.
    if not np.isnan(start) and not (end <= start + excess or end <= 2 * start):
        return f"the loss goes from {start:.3g} to {end:.3g}"
    return ""
