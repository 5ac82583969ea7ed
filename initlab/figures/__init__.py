"""Pictures from datasets; with `report`, the only place that knows how results look."""

from initlab.figures.starts import draw_starts
from initlab.figures.style import save

__all__ = ["draw_starts", "save"]
