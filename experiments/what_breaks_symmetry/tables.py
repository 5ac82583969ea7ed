"""The truth table as printed, and its runs counted."""

import xarray

from experiments import names
from experiments.harness import Settings
from experiments.what_breaks_symmetry import truth_table
from initlab import report

__all__ = ["show", "summarize", "trained_under", "verdict"]


def summarize(results: xarray.Dataset, settings: Settings) -> dict:
    """The truth table's codes, and counts over its runs."""
    table = truth_table.cells(results, trained_under(settings))
    rows = [
        {
            "activation": str(activation),
            "start": str(start),
            "cells": dict(
                zip(
                    map(str, table["treatment"].values),
                    table["code"].sel(activation=activation, start=start).values.tolist(),
                    strict=True,
                )
            ),
        }
        for activation in table["activation"].values
        for start in table["start"].values
    ]
    counted = truth_table.summary_of(results, trained_under(settings))
    return {"trained_under": trained_under(settings), "rows": rows, **counted}


def show(summary: dict, settings: Settings) -> str:
    """A table for each activation, its legend, and what they say."""
    harmless = summary["harmless"]
    harmful = [name for name in summary["symmetric"] if name not in harmless]
    parts = [
        f"{settings['task']} data, {settings['hidden']} hidden units, {settings['seeds']} seeds, "
        f"{settings['steps']} steps. A run learned if its loss ended under "
        f"{summary['trained_under']:.4f}.",
        *(_table(summary, activation) for activation in settings["activation"]),
        truth_table.LEGEND,
        "Starts without a random piece:\n" + report.format_table(_symmetric_rows(summary)),
    ]
    if summary["random"]:
        by = f"Starts with random pieces, trained by {', '.join(harmless)}:\n"
        parts.append(by + report.format_table(_random_rows(summary)))
    said = [
        f"A start without a random piece is broken by {', '.join(harmful) or 'no treatment'}; "
        f"to the last bit never by {', '.join(harmless) or 'none of the others'}.",
        *map(_sentence, summary["random"].items()),
        f"Events that no term explains: {summary['unexplained']}.",
    ]
    return "\n\n".join([*parts, "\n".join(said)])


def _table(summary: dict, activation: str) -> str:
    rows = [
        {"W1 b1 W2": row["start"], **row["cells"]}
        for row in summary["rows"]
        if row["activation"] == activation
    ]
    losses = [
        f"{name} {report.format_quartiles(quartiles)}"
        for name, quartiles in summary["losses"][activation].items()
    ]
    return (
        f"{activation}\n{report.format_table(rows)}\n"
        f"Final loss [quartiles] of runs whose units are: {'; '.join(losses)}."
    )


def _symmetric_rows(summary: dict) -> list[dict[str, str]]:
    return [
        {
            "treatment": name,
            "units came apart": f"{row['happened']}/{row['runs']}",
            **_first_step_and_terms(row),
            "stood still": f"{row['still']}/{row['runs']}",
        }
        for name, row in summary["symmetric"].items()
    ]


def _random_rows(summary: dict) -> list[dict[str, str]]:
    return [
        {
            "random": pieces,
            "functions differ": f"{row['happened']}/{row['runs']}",
            **_first_step_and_terms(row),
            "learned": f"{row['learned']}/{row['runs']}",
        }
        for pieces, row in summary["random"].items()
    ]


def _first_step_and_terms(row: dict) -> dict[str, str]:
    steps = "-" if row["step"] is None else "-".join(map(str, sorted(set(row["step"]))))
    by = ", ".join(f"{term.replace('_', ' ')} {count}" for term, count in row["by"].items())
    return {"first at step": steps, "by": by or "-"}


def _sentence(item: tuple[str, dict]) -> str:
    pieces, row = item
    how = "always" if row["happened"] == row["runs"] else f"in {row['happened']} of {row['runs']}"
    unless = f", and in no run of: {', '.join(row['not'])}" if row["not"] else ""
    return f"Random {pieces.replace(' ', ' and ')}: broken {how}{unless}."


def verdict(summary: dict) -> int:
    """1 if units came apart by none of the terms: by rounding, which the layers rule out."""
    return int(summary["unexplained"] > 0)


def trained_under(settings: Settings) -> float:
    """The loss under which a run has learned: a share of the constant predictor's."""
    task = names.BINARY_TASKS[settings["task"]]()
    return settings["trained_fraction"] * task.objective.constant_loss(task.y)
