"""From starts and training runs to a ranked row for each scheme, and the table."""

import numpy as np
import xarray

from experiments import names
from experiments.harness import Settings
from experiments.initializer_zoo import ranking
from initlab import report

__all__ = ["show", "summarize"]

FIRST_BATCH = (
    "length_growth",
    "gradient_growth",
    "saturation",
    "dead_share",
    "distinct_share",
)
"""What the training examples show before the first step: medians over seeds go into the table."""


def summarize(results: xarray.Dataset, settings: Settings) -> dict:
    """For each network the schemes in their ranking, and those that do not apply with reasons.

    Args:
      results: of the experiment's `measure`.
      settings: task, examples and trained_fraction.

    Returns:
      The numbers of the table.
    """
    task = names.chosen_task(settings["task"], settings["examples"])
    threshold = settings["trained_fraction"] * task.objective.constant_loss(task.y)
    results = results.load()
    groups = []
    for network in results["network"].values:
        of = results.sel(network=network)
        refused = {
            str(scheme): str(reason)
            for scheme, reason in zip(of["initializer"].values, of["refused"].values, strict=True)
            if reason
        }
        rows = [
            {"initializer": str(scheme), **_start_row(one), **ranking.row(one, threshold)}
            for scheme in of["initializer"].values
            if scheme not in refused
            for one in [of.sel(initializer=scheme)]
        ]
        groups.append(
            {"network": str(network), "rows": ranking.rank(rows), "does_not_apply": refused}
        )
    return {
        "seeds": results.sizes["seed"],
        "steps": int(results["step"][-1]),
        "trained_under": threshold,
        "networks": groups,
    }


def show(summary: dict, settings: Settings) -> str:
    """A table for each network, best scheme first.

    Args:
      summary: of `summarize`.
      settings: examples, task, activation and depth, for the head.

    Returns:
      The text.
    """
    said = [
        "{examples} examples of {task}, {activation}, {depth} hidden ".format_map(settings)
        + f"layers or blocks, {summary['seeds']} seeds, {summary['steps']} steps of minibatch "
        "gradient\ndescent. sigma_w2: fan_in times the mean square of hidden weights; chi1 and q "
        "are those of a plain, wide\nnetwork of such weights and biases. Length: of the last hidden"
        " layer over the first; gradient: the first's\nover the last's; medians over seeds at the "
        "start, as the shares of saturated slopes, dead units, distinct\nunits. Trained: under "
        f"{summary['trained_under']:.4f} at the end, at the best learning rate; steps until then. "
        "= ties with the best."
    ]
    for group in summary["networks"]:
        said.append(f"\n\n{group['network']}\n\n")
        if group["rows"]:
            said.append(report.format_table([_shown(row) for row in group["rows"]]))
        for name, reason in group["does_not_apply"].items():
            said.append(f"\n{name} does not apply: {reason}")
    return "".join(said)


def _start_row(of: xarray.Dataset) -> dict:
    """Theory and first batch of one scheme on one network."""
    theory = {name: float(of[name]) for name in ("sigma_w2", "sigma_b2", "chi1", "q")}
    return theory | {name: float(np.median(of[name].values)) for name in FIRST_BATCH}


def _shown(row: dict) -> dict[str, str]:
    steps = [f"{each:.0f}" if np.isfinite(each) else "never" for each in row["steps"]]
    return {
        "rank": f"{row['rank']}{' =' if row['ties'] else ''}",
        "initializer": row["initializer"],
        "sigma_w2": f"{row['sigma_w2']:.3g}",
        "chi1": f"{row['chi1']:.3g}",
        "q": f"{row['q']:.3g}",
        "length": f"{row['length_growth']:.2g}",
        "gradient": f"{row['gradient_growth']:.2g}",
        "saturated": f"{row['saturation']:.0%}",
        "dead": f"{row['dead_share']:.0%}",
        "distinct": f"{row['distinct_share']:.0%}",
        "P(train) [95 % interval]": report.format_share(row["p_train"], row["p_train_interval"]),
        "steps [quartiles]": f"{steps[1]} [{steps[0]}, {steps[2]}]",
        "final loss [quartiles]": report.format_quartiles(row["loss"]),
        "rate": f"{row['learning_rate']:g}",
    }
