"""Pictures from datasets; with `report`, the only place that knows how results look."""

from initlab.figures.agreement import draw_agreement
from initlab.figures.audit import draw_audit
from initlab.figures.breaking import draw_breaking
from initlab.figures.calibration import draw_calibration
from initlab.figures.escape import draw_escape
from initlab.figures.induction import draw_induction
from initlab.figures.saturation import draw_saturation
from initlab.figures.starts import draw_starts
from initlab.figures.style import save
from initlab.figures.throughput import draw_throughput

__all__ = [
    "draw_agreement",
    "draw_audit",
    "draw_breaking",
    "draw_calibration",
    "draw_escape",
    "draw_induction",
    "draw_saturation",
    "draw_starts",
    "draw_throughput",
    "save",
]
