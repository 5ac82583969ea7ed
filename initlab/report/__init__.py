"""Statistics of a dataset of results: shares with intervals, edges, boundaries, tables, JSON."""

from initlab.files import write_json
from initlab.report.boundaries import Scaling, boundary, box_dimension, uncertainty_exponent
from initlab.report.edges import measured_edges
from initlab.report.runs import best_rate, best_rates, steps_to, trained
from initlab.report.shares import tied_best, wilson_interval
from initlab.report.tables import format_quartiles, format_share, format_table, quartiles

__all__ = [
    "Scaling",
    "best_rate",
    "best_rates",
    "boundary",
    "box_dimension",
    "format_quartiles",
    "format_share",
    "format_table",
    "measured_edges",
    "quartiles",
    "steps_to",
    "tied_best",
    "trained",
    "uncertainty_exponent",
    "wilson_interval",
    "write_json",
]
