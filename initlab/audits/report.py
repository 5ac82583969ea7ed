"""The report of an audit: a verdict, findings, and a row for every place."""

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from initlab import extras
from initlab.audits import html, standalone, text
from initlab.audits.finding import Finding
from initlab.audits.ignores import Ignore
from initlab.audits.matrices import Matrices
from initlab.audits.optimizers import FirstUpdate
from initlab.audits.places import Places
from initlab.audits.predicted import predicted_text
from initlab.audits.text import NUMBERS
from initlab.files import plain
from initlab.signals import WholePrediction
from initlab.taps import Row

if TYPE_CHECKING:
    import xarray

__all__ = ["Report"]


@dataclasses.dataclass(frozen=True, eq=False)
class Report:
    """The result of an audit.

    Attributes:
      findings: worst first.
      rows: every place that was measured, in the order in which the data meet them.
      seeds: how many starts were drawn.
      tensors: how many parameters there are.
      entries: how many numbers they hold.
      loss: of each seed, NaN without one.
      loss_at_zero: the loss of outputs of zero, of each seed.
      ignored: the patterns of the ignore list, each with the findings that it keeps out.
      class_bias: log of the classes' frequencies where labels or prior are given: the readout's
        bias that predicts them, [classes]; of one logit log p / (1 - p), [1].
      first_update: what the optimizer's first step changes; None without an optimizer.
      matrices: spectral norm and stable rank of each weight whose use is understood.
      predicted: what theory predicts of the places; None where it was not asked.
    """

    findings: tuple[Finding, ...]
    rows: tuple[Row, ...]
    seeds: int
    tensors: int
    entries: int
    loss: np.ndarray
    loss_at_zero: np.ndarray
    ignored: tuple[Ignore, ...] = ()
    class_bias: np.ndarray | None = None
    first_update: FirstUpdate | None = None
    matrices: Matrices | None = None
    predicted: WholePrediction | None = None

    @property
    def verdict(self) -> str:
        """The worst finding's severity: "fail", "warn", or "pass" where there is neither."""
        severities = {finding.severity for finding in self.findings}
        return next((each for each in ("fail", "warn") if each in severities), "pass")

    def describe(self, finding: Finding) -> str:
        """A finding in one line: code, place, number, threshold, cause and remedy."""
        return f"{text.head(finding)}: {finding.cause}. Remedy: {finding.remedy}."

    def __str__(self) -> str:
        """The verdict, the findings and the layers, 100 columns wide."""
        parts = [*text.findings_text(self), "", text.rows_text(self.rows)]
        if self.first_update is not None:
            table = text.fitted_text(self.first_update.table())
            parts += ["", self.first_update.headline(), "", table]
        if self.predicted is not None:
            parts += ["", predicted_text(self.predicted, self.rows)]
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        """The same as HTML, for notebooks."""
        return html.report_html(self)

    def to_html(self) -> str:
        """One HTML file: findings, a strip of rms and gradient, the table; nothing is loaded."""
        return standalone.report_page(self)

    @property
    def places(self) -> Places:
        """Rows and findings by place: `report.places["layer_1/weight"].rms`."""
        return Places(self.rows, (*self.findings, *(f for i in self.ignored for f in i.findings)))

    def to_dataset(self) -> "xarray.Dataset":
        """Rows over (seed, place), weights over (seed, weight), findings over `finding`."""
        with extras.needed("Report.to_dataset"):
            import xarray

        variables: dict[str, Any] = {}
        for name in NUMBERS:
            columns = [text.seed_values(row, name, self.seeds) for row in self.rows]
            variables[name] = (("seed", "place"), np.stack(columns, axis=1))
        for name in ("kind", "scope", "norms", "on_path", "units"):
            column = [getattr(row, name) for row in self.rows]
            dtype = object if name in ("kind", "scope") else None
            variables[name] = ("place", np.asarray(column, dtype))
        for name in ("code", "severity", "cause", "remedy"):
            column = np.asarray([getattr(f, name) for f in self.findings], object)
            variables[name] = ("finding", column)
        for name in ("value", "threshold", "seeds"):
            variables[name] = (
                "finding",
                np.asarray([getattr(f, name) for f in self.findings], float),
            )
        places = np.asarray([finding.place for finding in self.findings], object)
        variables |= {
            "found_at": ("finding", places),
            "loss": ("seed", self.loss),
            "loss_at_zero": ("seed", self.loss_at_zero),
        }
        coordinates: dict[str, Any] = {"seed": np.arange(self.seeds)}
        if self.matrices is not None:
            for name in ("spectral_norm", "stable_rank"):
                variables[name] = (("seed", "weight"), getattr(self.matrices, name))
            coordinates["weight"] = np.asarray(self.matrices.names, object)
        names = np.asarray([f"{row.place}: {row.kind}" for row in self.rows], object)
        attrs = {"verdict": self.verdict, "parameters": self.entries}
        return xarray.Dataset(variables, {"place": names, **coordinates}, attrs)

    def to_json(self) -> str:
        """Verdict, findings and rows (medians over seeds) as JSON; null for NaN and infinity."""
        content = {
            "verdict": self.verdict,
            "seeds": self.seeds,
            "parameters": self.entries,
            "loss": float(np.median(self.loss)),
            "loss_at_zero": float(np.median(self.loss_at_zero)),
            "findings": [finding._asdict() for finding in self.findings],
            "ignored": [
                each._asdict() | {"findings": [finding._asdict() for finding in each.findings]}
                for each in self.ignored
            ],
            "first_update": None if self.first_update is None else self.first_update.summary(),
            "rows": [
                {
                    "place": row.place,
                    "scope": row.scope,
                    "kind": row.kind,
                    "on_path": row.on_path,
                    "norms": row.norms,
                }
                | {name: text.median_of(row, name) for name in NUMBERS}
                for row in self.rows
            ],
        }
        return json.dumps(plain(content), indent=2, allow_nan=False)

    def figure(self) -> Any:
        """A matplotlib Figure of signals, distances, gradients and flat slopes, layer by layer."""
        # Imported here: an audit in a test suite must not take the second that Matplotlib does.
        from initlab import figures

        return figures.draw_audit(self.to_dataset())
