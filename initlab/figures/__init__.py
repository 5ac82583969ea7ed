"""Pictures from datasets; with `report`, the only place that knows how results look."""

from initlab import extras

with extras.needed("initlab.figures", "figures"):
    from initlab.figures.audit import draw_audit
    from initlab.figures.coordinates import draw_coordinates
    from initlab.figures.curves import draw_curves
    from initlab.figures.explorer import explorer_page
    from initlab.figures.maps import draw_map, draw_shares
    from initlab.figures.signals import draw_signal
    from initlab.figures.style import save

__all__ = [
    "draw_audit",
    "draw_coordinates",
    "draw_curves",
    "draw_map",
    "draw_shares",
    "draw_signal",
    "explorer_page",
    "save",
]
