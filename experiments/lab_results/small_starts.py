"""Does the scale of a small start choose the minimum that condensation reaches?

The relu network, data and rate of the condensation experiments (Luo et al. 2021, arXiv:2007.07497;
Zhou et al. 2022, arXiv:2105.11686), from starts of one standard deviation. A small start waits on a
plateau, for log(1 / std), so each run is given the same time after it has left it.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray

import initlab
from experiments.lab_results.question import Cell, Question
from initlab import networks, objectives, probes, reductions, report, tasks
from initlab.initializers import by_role, normal
from initlab.reductions import Reduction

__all__ = ["QUESTION", "find", "settled"]

STDS = {
    "full": (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1),
    "small": (1e-2, 3e-1),
}
SEEDS = {"full": 512, "small": 4}
AFTER = {"full": 10_000, "small": 100}
"""Steps after the plateau."""

BEFORE = {"full": 1_000, "small": 100}
"""Steps in which a run must have left it."""

EVERY = 100
WIDTH, EXAMPLES, RATE = 50, 50, 0.2

TARGET = 1e-4
"""Loss under which a run has reached the minimum."""


def _cells(size: str, seeds: int) -> list[dict[str, Any]]:
    return [
        {
            "std": std,
            "seeds": seeds or SEEDS[size],
            "before": BEFORE[size],
            "after": AFTER[size],
            "width": WIDTH,
            "examples": EXAMPLES,
            "rate": RATE,
        }
        for std in STDS[size]
    ]


def find(cell: Cell) -> dict[str, np.ndarray]:
    """Of each seed: the step at which it left the plateau, its last loss, its orientations."""
    x = np.linspace(-1, 1, cell["examples"])
    y = (
        -np.maximum(x, 0)
        + np.maximum(2 * (x + 0.3), 0)
        - np.maximum(1.5 * (x - 0.4), 0)
        + np.maximum(0.5 * (x - 0.8), 0)
    )
    task = tasks.from_arrays(x[:, None], y, objective=objectives.regression)
    # Half of the loss of an output of zero: that of a plateau is nearer to it than to this.
    half = 0.5 * float(task.loss(jnp.zeros((x.size, 1)), jnp.asarray(task.y)))
    steps = cell["before"] + cell["after"]
    run = initlab.make_run(
        networks.mlp((1, cell["width"], 1), jax.nn.relu, bias=(True, False)),
        lambda point: by_role(normal(point["std"]), bias=normal(point["std"])),
        task,
        optimizer=lambda point: optax.sgd(cell["rate"]),
        steps=steps,
        every=EVERY,
        probes=(probes.loss, probes.orientations(cosine=0.9)),
        reductions={
            "left": reductions.first_below("loss", half),
            "reached": reductions.first_below("loss", TARGET),
            "end": settled(half, TARGET, cell["after"]),
            "last_loss": reductions.value_at("loss", steps),
            "last_orientations": reductions.value_at("orientations", steps),
        },
        stop="end",
        curves=False,
    )
    swept = initlab.sweep(
        run, {"seed": range(cell["seeds"]), "std": [cell["std"]]}, progress=False
    ).isel(std=0)
    found = {name: swept[name].values for name in ("left", "reached", "last_loss")}
    return found | {"orientations": swept["last_orientations"].isel(layer=0).values}


def settled(half: float, target: float, after: int) -> Reduction:
    """The first step at which the loss is under target, or which is `after` steps past half.

    Args:
      half: loss under which the plateau is left.
      target: of the minimum.
      after: steps that a run is given.

    Returns:
      The event; -1 where it does not come.

    >>> event = settled(0.5, 0.1, 2)
    >>> carry = event.start(jax.ShapeDtypeStruct((), np.float32), np.arange(5))
    >>> for step, loss in enumerate((0.9, 0.4, 0.3, 0.2, 0.2)):
    ...     carry = event.update(carry, jnp.int32(step), jnp.float32(loss))
    >>> event.result(carry).item()
    3
    """

    def start(like: jax.ShapeDtypeStruct, steps: np.ndarray) -> tuple[jax.Array, jax.Array]:
        del steps
        never = jnp.full(like.shape, -1, jnp.int32)
        return never, never

    def update(
        carry: tuple[jax.Array, jax.Array], step: jax.Array, loss: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        left, end = carry
        left = jnp.where((left < 0) & (loss < half), step, left)
        is_over = (loss < target) | ((left >= 0) & (step - left >= after))
        return left, jnp.where((end < 0) & is_over, step, end)

    return Reduction("loss", start, update, lambda carry: carry[1])


def _assemble(cells: Sequence[Cell], found: Sequence[Mapping[str, np.ndarray]]) -> xarray.Dataset:
    return xarray.Dataset(
        {name: (("std", "seed"), np.stack([each[name] for each in found])) for name in found[0]},
        {"std": [cell["std"] for cell in cells], "seed": np.arange(cells[0]["seeds"])},
        {"after": cells[0]["after"]},
    )


def summarize(results: xarray.Dataset) -> dict[str, Any]:
    """A row for each scale: the share that reaches the minimum, and where the others are."""
    rows = []
    for std in results["std"].values:
        of = results.sel(std=std)
        count, runs = int((of["reached"] >= 0).sum()), int(of.sizes["seed"])
        left = of["left"].values
        rows.append(
            {
                "std": float(std),
                "reached": count,
                "runs": runs,
                "interval": list(report.wilson_interval(count, runs)),
                "stayed": int((left < 0).sum()),
                "left": float(np.median(left[left >= 0])) if (left >= 0).any() else None,
                "loss": report.quartiles(of["last_loss"].values),
                "orientations": float(of["orientations"].median()),
            }
        )
    falls = [
        [low["std"], high["std"]]
        for low, high in itertools.pairwise(rows)
        if high["interval"][1] < low["interval"][0]
    ]
    return {"rows": rows, "after": int(results.attrs["after"]), "falls": falls}


def show(summary: Mapping[str, Any]) -> str:
    """The table, and where a larger scale reaches the minimum less often."""
    rows = [
        {
            "std": f"{row['std']:g}",
            f"P(loss < {TARGET:g})": report.format_share(
                row["reached"] / row["runs"], row["interval"]
            ),
            "left the plateau at": "-" if row["left"] is None else f"{row['left']:.0f}",
            "never": str(row["stayed"]),
            "last loss": report.format_quartiles(row["loss"]),
            "orientations": f"{row['orientations']:g}",
        }
        for row in summary["rows"]
    ]
    falls = ", ".join(f"from {low:g} to {high:g}" for low, high in summary["falls"])
    return (
        f"{summary['rows'][0]['runs']} seeds of each scale, {summary['after']} steps after the "
        "plateau; 95 % intervals.\n\n"
        f"{report.format_table(rows)}\n\n"
        f"Neighbours whose intervals are apart and whose share falls: {falls or 'none'}."
    )


QUESTION = Question(_cells, find, _assemble, summarize, show)
