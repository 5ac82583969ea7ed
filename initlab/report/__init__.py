"""Statistics of a dataset of results: shares with intervals, edges, tables, JSON."""

from initlab.files import write_json
from initlab.report.edges import measured_edges
from initlab.report.runs import best_rate, best_rates, steps_to, trained
from initlab.report.shares import tied_best, wilson_interval
from initlab.report.tables import format_quartiles, format_share, format_table, quartiles

__all__ = [
    "best_rate",
    "best_rates",
    "format_quartiles",
    "format_share",
    "format_table",
    "measured_edges",
    "quartiles",
    "steps_to",
    "tied_best",
    "trained",
    "wilson_interval",
    "write_json",
]
