"""Pictures from datasets; with `report`, the only place that knows how results look."""

from initlab.figures.agreement import draw_agreement
from initlab.figures.audit import draw_audit
from initlab.figures.breaking import draw_breaking
from initlab.figures.calibration import draw_calibration
from initlab.figures.coordinates import draw_coordinates
from initlab.figures.defaults import draw_defaults
from initlab.figures.depth_constants import draw_depth_constants
from initlab.figures.escape import draw_escape
from initlab.figures.induction import draw_induction
from initlab.figures.phases import draw_phases
from initlab.figures.saturation import draw_saturation
from initlab.figures.signal import draw_signal
from initlab.figures.starts import draw_starts
from initlab.figures.style import save
from initlab.figures.throughput import draw_throughput
from initlab.figures.zoo import draw_zoo

__all__ = [
    "draw_agreement",
    "draw_audit",
    "draw_breaking",
    "draw_calibration",
    "draw_coordinates",
    "draw_defaults",
    "draw_depth_constants",
    "draw_escape",
    "draw_induction",
    "draw_phases",
    "draw_saturation",
    "draw_signal",
    "draw_starts",
    "draw_throughput",
    "draw_zoo",
    "save",
]
