"""Is the border between starts whose units become copies and those whose units do not riddled?

Ly and Gong 2025 (arXiv:2510.05606): basins of training may be riddled, as planes of equal units
attract at large learning rates while what happens on them is chaotic; outcomes then do not become
better known with the start (uncertainty exponent near 0). Here two tanh units learn random labels
in small minibatches of a fixed order, with weight decay, at a learning rate at which both ends
occur: the units become copies, or they do not. Windows of starts lie at several distances from the
plane of equal units, and are as large as they are far from it.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray

import initlab
from experiments.lab_results.question import Cell, Question, mean_interval, with_interval
from initlab import networks, objectives, reductions, report, symmetry, tasks
from initlab.types import Batch, Network, Params

__all__ = ["QUESTION", "find"]

DISTANCES = {"full": (1.0, 0.3, 0.1, 0.03, 0.01), "small": (1.0,)}
CENTERS = {"full": 8, "small": 2}
PIXELS = {"full": 32, "small": 16}
STEPS = {"full": 8000, "small": 100}
SETTINGS = {"full": ((0.4, 4), (0.2, 1)), "small": ((0.4, 4),)}
"""Learning rates, and examples in a minibatch."""

UNITS, INPUTS, EXAMPLES = 2, 2, 16
DECAY = 0.01
APART = 1e-3
"""Distance from the plane, at the end, over which units are not copies."""


def _cells(size: str, seeds: int) -> list[dict[str, Any]]:
    return [
        {
            "rate": rate,
            "distance": distance,
            "centers": seeds or CENTERS[size],
            "pixels": PIXELS[size],
            "steps": STEPS[size],
            "decay": DECAY,
            "batch": batch,
        }
        for rate, batch in SETTINGS[size]
        for distance in DISTANCES[size]
    ]


def find(cell: Cell) -> dict[str, np.ndarray]:
    """How far from the plane each start's end is, and its loss [center, y, x]."""
    draw = np.random.default_rng(0)
    x = draw.standard_normal((EXAMPLES, INPUTS))
    y = np.sign(draw.standard_normal(EXAMPLES))
    task = tasks.from_arrays(x, y, objective=objectives.regression)
    network = networks.mlp((INPUTS, UNITS, 1), jnp.tanh, bias=(True, False))
    groups = symmetry.mlp_groups(network.specs)

    def spread(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
        return {
            "spread": optax.tree.norm(symmetry.transverse_part(params, groups)),
            "loss": batch.objective.loss(network.apply(params, batch.x), batch.y),
        }

    steps = cell["steps"]
    run = initlab.make_run(
        network,
        functools.partial(_start, network, groups),
        task,
        optimizer=lambda point: optax.chain(
            optax.add_decayed_weights(cell["decay"]), optax.sgd(cell["rate"])
        ),
        steps=steps,
        every=steps,
        probes=(spread,),
        batch_size=cell["batch"],
        reductions={
            f"last_{name}": reductions.value_at(name, steps) for name in ("spread", "loss")
        },
        curves=False,
    )

    def end(center: jax.Array, y: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        # Of one seed, and so of one order of minibatches: a start alone decides how it ends.
        point = {"seed": 0, "center": center, "distance": cell["distance"], "x": x, "y": y}
        reduced = run.function(point).reductions
        return reduced["last_spread"], reduced["last_loss"]

    along = np.linspace(-0.5, 0.5, cell["pixels"], dtype=np.float32)
    over = jax.vmap(jax.vmap(jax.vmap(end, (None, None, 0)), (None, 0, None)), (0, None, None))
    spreads, losses = jax.jit(over)(np.arange(cell["centers"]), along, along)
    return {"spread": np.asarray(spreads), "loss": np.asarray(losses)}


def _start(network: Network, groups: Any, point: Mapping[str, jax.Array]) -> Params:
    """A start at a distance from the plane of equal units, moved within a window as large as that.

    `distance (t + x e_1 + y e_2)` beside a random point of the plane; t, across the plane, and e_1
    and e_2 are random directions of size 1.
    """
    keys = jax.random.split(jax.random.key(point["center"]), 4)

    def drawn(key: jax.Array) -> Params:
        return initlab.initialize(key, network.specs, initlab.initializers.normal(1.0))

    def scaled(tree: Params) -> Params:
        size = optax.tree.norm(tree)
        return jax.tree.map(lambda leaf: leaf / size, tree)

    plane = symmetry.symmetric_part(drawn(keys[0]), groups)
    across = scaled(symmetry.transverse_part(drawn(keys[1]), groups))
    first, second = scaled(drawn(keys[2])), scaled(drawn(keys[3]))
    return jax.tree.map(
        lambda p, t, u, v: p + point["distance"] * (t + point["x"] * u + point["y"] * v),
        plane,
        across,
        first,
        second,
    )


def _assemble(cells: Sequence[Cell], found: Sequence[Mapping[str, np.ndarray]]) -> xarray.Dataset:
    settings = list(dict.fromkeys((cell["rate"], cell["batch"]) for cell in cells))
    distances = list(dict.fromkeys(cell["distance"] for cell in cells))
    shape = (len(settings), len(distances))
    dims = ("setting", "distance", "center", "y", "x")
    rates, batches = zip(*settings, strict=True)
    return xarray.Dataset(
        {
            name: (dims, np.stack([each[name] for each in found]).reshape(*shape, *of.shape))
            for name, of in found[0].items()
        },
        {
            "rate": ("setting", list(rates)),
            "batch": ("setting", list(batches)),
            "distance": distances,
        },
        {"steps": cells[0]["steps"]},
    )


def summarize(results: xarray.Dataset) -> dict[str, Any]:
    """A row for each setting and distance: the share that ends apart, and its border's exponent.

    `share` is [value, low, high] over windows; `exponent` is [value, low, high] over windows and
    box sizes, None where no window has a border; `borders` are the windows that have one;
    `between` is the share of starts that are neither apart nor, to 1e-6, copies.
    """
    rows = []
    for setting in range(results.sizes["setting"]):
        for distance in results["distance"].values:
            of = results.isel(setting=setting).sel(distance=distance)
            spread = of["spread"].values
            apart = is_apart(spread)
            mixed = apart.any(axis=(1, 2)) & ~apart.all(axis=(1, 2))
            rows.append(
                {
                    "rate": float(of["rate"]),
                    "batch": int(of["batch"]),
                    "distance": float(distance),
                    "share": np.clip(mean_interval(apart.mean(axis=(1, 2))), 0, 1).tolist(),
                    "windows": len(apart),
                    "borders": int(mixed.sum()),
                    "exponent": _exponent(apart),
                    "between": float(((spread > 1e-6) & ~apart).mean()),
                    "not_finite": float((~np.isfinite(spread)).mean()),
                }
            )
    return {"rows": rows, "steps": int(results.attrs["steps"])}


def is_apart(spread: np.ndarray) -> np.ndarray:
    """Whether units are no copies; a run that diverged is apart."""
    return ~(spread <= APART)


def _exponent(apart: np.ndarray) -> list[float] | None:
    try:
        found = report.uncertainty_exponent(apart)
    except ValueError:
        # No window has a border at every size.
        return None
    return [found.exponent, found.low, found.high]


def show(summary: Mapping[str, Any]) -> str:
    """The table."""
    rows = [
        {
            "rate": f"{row['rate']:g}",
            "batch": str(row["batch"]),
            "distance": f"{row['distance']:g}",
            "end apart": with_interval(row["share"]),
            "windows with a border": f"{row['borders']} of {row['windows']}",
            "uncertainty exponent": "-"
            if row["exponent"] is None
            else with_interval(row["exponent"], 2),
            "not settled": f"{row['between']:.4f}",
            "diverged": f"{row['not_finite']:.4f}",
        }
        for row in summary["rows"]
    ]
    return (
        f"Starts near the plane of equal units, {summary['steps']} steps; a window is as large as "
        "it is far from the\nplane. Exponent: 1 of a smooth border, near 0 of a riddled one; 95 % "
        "intervals over windows and sizes.\n\n" + report.format_table(rows)
    )


QUESTION = Question(_cells, find, _assemble, summarize, show)
