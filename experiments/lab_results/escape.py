"""How long a symmetric start stays, and how far its units part meanwhile, over the start's scale.

The last r of L layers are eps times as large as the others, and all units of a layer are equal.
Rawal and DeWeese 2026 (arXiv:2605.01288): the time until the loss falls is of the order of
eps^-(r-2), and of log(1 / eps) for r = 2. Beside the time stands what a small difference between
units has grown by until then (`symmetry.transverse_growth`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray

from experiments.lab_results.question import Cell, Question, mean_interval, with_interval
from initlab import networks, report, symmetry
from initlab.activations import identity
from initlab.types import Activation, Params

__all__ = ["QUESTION", "escape_of"]

ACTIVATIONS: dict[str, Activation] = {
    "identity": identity,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "gelu": jax.nn.gelu,
}

NETS = ((2, 2), (3, 2), (4, 2), (5, 2), (3, 3), (4, 3), (5, 3), (4, 4), (5, 4))
"""(L, r): layers, and how many of them are small."""

SMALL_NETS = ((3, 3),)

INVERSE_SCALES = {"full": (10, 32, 100, 316, 1000, 3162, 10_000), "small": (10, 32, 100)}
"""1 / eps."""

SEEDS = {"full": 8, "small": 2}
WIDTH, INPUTS, EXAMPLES = 4, 3, 16

STEP = 0.02
"""By what share the fastest layer may move in a step of the flow."""

STEPS = 3000

ESCAPED = 0.8
"""Of the loss of an output of zero: under this share a run has escaped."""

SMALLEST = 3
"""Scales, the smallest, over which powers are fitted."""


def _cells(size: str, seeds: int) -> list[dict[str, Any]]:
    common = {
        "inverse_scales": list(INVERSE_SCALES[size]),
        "seeds": seeds or SEEDS[size],
        "step": STEP,
        "steps": STEPS,
    }
    return [
        {"depth": depth, "small": small, "activation": activation, **common}
        for depth, small in (NETS if size == "full" else SMALL_NETS)
        for activation in (ACTIVATIONS if size == "full" else ("tanh",))
    ]


def find(cell: Cell) -> dict[str, np.ndarray]:
    """Escapes of one network [seed, scale]."""
    scales = 1 / np.asarray(cell["inverse_scales"], float)
    run = escape_of(cell["activation"], cell["depth"], cell["small"], cell["step"], cell["steps"])
    over = jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))
    return {name: np.asarray(each) for name, each in over(np.arange(cell["seeds"]), scales).items()}


def escape_of(
    activation: str, depth: int, small: int, step: float, steps: int
) -> Callable[[jax.Array, jax.Array], dict[str, jax.Array]]:
    """Gradient flow from a symmetric start whose last layers are small, until it escapes.

    The flow is followed by steps of descent whose rate moves no layer by more than a share `step`
    of it: the same number of steps reaches through a plateau of any length. The rate is a function
    of what exchanges of units leave alone, so that the linearised growth of a difference is that
    of the flow.

    Args:
      activation: its name in ACTIVATIONS.
      depth: L, layers.
      small: r, how many of them are eps times as large.
      step: the share.
      steps: how many; a run that has escaped changes no more.

    Returns:
      `(seed, eps) -> {"time": of the escape, NaN if there is none, "growth": logarithm of what a
      difference has grown by until then, "distance": logarithm of what the small layers have
      grown by (the mean of their norms' logarithms)}`.
    """
    sizes = (INPUTS, *[WIDTH] * (depth - 1), 1)
    network = networks.mlp(sizes, ACTIVATIONS[activation], bias=False, dtype=jnp.float64)
    groups = symmetry.mlp_groups(network.specs)
    last = list(network.specs)[depth - small :]

    def run(seed: jax.Array, scale: jax.Array) -> dict[str, jax.Array]:
        keys = jax.random.split(jax.random.key(seed), 4)
        x = jax.random.normal(keys[0], (EXAMPLES, INPUTS))
        teacher = jax.random.normal(keys[1], (INPUTS,))
        y = x @ teacher
        y = y / jnp.sqrt(jnp.mean(jnp.square(y)))

        def loss(params: Params) -> jax.Array:
            # 1 / 2 of an output of zero.
            return jnp.mean(jnp.square(network.apply(params, x)[:, 0] - y)) / 2

        def norms(tree: Params, names: Sequence[str]) -> jax.Array:
            return jnp.stack([jnp.linalg.norm(tree[name]["weight"]) for name in names])

        def update(state: dict[str, Any], _: None) -> dict[str, Any]:
            params = state["params"]
            value, slope = jax.value_and_grad(loss)(params)
            fastest = jnp.max(norms(slope, tuple(params)) / norms(params, tuple(params)))
            rate = jnp.where(value > ESCAPED / 2, step / fastest, 0.0)
            moved = jax.tree.map(lambda p, g: p - rate * g, params, slope)
            return {"params": moved, "time": state["time"] + rate}

        start = _start(network.specs, keys[2:], teacher, scale, last)
        grown = symmetry.transverse_growth(
            update, {"params": start, "time": jnp.zeros(())}, groups, steps
        )
        end = grown.params
        has_escaped = (loss(end["params"]) <= ESCAPED / 2) & (end["time"] > 0)
        distance = jnp.mean(jnp.log(norms(end["params"], last) / norms(start, last)))
        found = {"time": end["time"], "growth": grown.log_growth[-1], "distance": distance}
        return {name: jnp.where(has_escaped, each, jnp.nan) for name, each in found.items()}

    return run


def _start(
    specs: Any, keys: jax.Array, teacher: jax.Array, scale: jax.Array, last: Sequence[str]
) -> Params:
    """Equal units, whose sizes and first direction a seed draws; the direction is near y's."""
    params = {}
    for number, (name, layer) in enumerate(specs.items()):
        shape = layer["weight"].shape
        size = jnp.exp(jax.random.normal(jax.random.fold_in(keys[0], number)) / 4)
        weight = jnp.ones(shape) / shape[0]
        if number == 0:
            along = teacher / jnp.linalg.norm(teacher) + jax.random.normal(keys[1], (INPUTS,)) / 2
            weight = jnp.broadcast_to(along[:, None], shape)
        params[name] = {"weight": weight * size * (scale if name in last else 1.0)}
    return params


def _assemble(cells: Sequence[Cell], found: Sequence[Mapping[str, np.ndarray]]) -> xarray.Dataset:
    nets = sorted({(cell["depth"], cell["small"]) for cell in cells}, key=lambda net: net[::-1])
    names = list(dict.fromkeys(cell["activation"] for cell in cells))
    by_cell = {
        (cell["depth"], cell["small"], cell["activation"]): each
        for cell, each in zip(cells, found, strict=True)
    }
    dims = ("net", "activation", "seed", "inverse_scale")
    values = {
        kind: (dims, np.stack([[by_cell[*net, name][kind] for name in names] for net in nets]))
        for kind in ("time", "growth", "distance")
    }
    return xarray.Dataset(
        values,
        {
            "depth": ("net", [net[0] for net in nets]),
            "small": ("net", [net[1] for net in nets]),
            "activation": np.asarray(names, dtype=object),
            "inverse_scale": list(cells[0]["inverse_scales"]),
        },
    )


def summarize(results: xarray.Dataset) -> dict[str, Any]:
    """A row for each network: powers over the smallest scales, [value, low, high] over seeds.

    Of the seeds that escape at every scale; `escaped` of `seeds` do.

    `power` is d log T / d log eps; `growth` and `growth_at_large` are d G / d log(1 / eps), over
    the smallest scales and from the largest to the next; `beyond` is G less the logarithm of what
    the small layers grew by, at the smallest scale, and `beyond_moves` its change from the first.
    """
    logs = np.log(results["inverse_scale"].values.astype(float))
    rows = []
    for net in range(results.sizes["net"]):
        for name in results["activation"].values:
            of = results.isel(net=net).sel(activation=name)
            escaped = np.isfinite(of["time"].transpose("seed", "inverse_scale").values).all(axis=1)
            time, growth, distance = (
                of[kind].isel(seed=escaped).transpose("seed", "inverse_scale").values
                for kind in ("time", "growth", "distance")
            )
            ends = slice(-min(SMALLEST, logs.size), None)
            rows.append(
                {
                    "depth": int(of["depth"]),
                    "small": int(of["small"]),
                    "activation": str(name),
                    "escaped": int(escaped.sum()),
                    "seeds": int(escaped.size),
                    "power": mean_interval(-_slopes(logs[ends], np.log(time[:, ends]))),
                    "growth": mean_interval(_slopes(logs[ends], growth[:, ends])),
                    "growth_at_large": mean_interval(_slopes(logs[:2], growth[:, :2])),
                    "beyond": mean_interval((growth - distance)[:, -1]),
                    "beyond_moves": mean_interval(
                        (growth - distance)[:, -1] - (growth - distance)[:, 0]
                    ),
                    "longer": float(np.mean(time[:, -1] / time[:, 0])),
                }
            )
    return {"rows": rows, "inverse_scales": results["inverse_scale"].values.tolist()}


def _slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Least squares of each row of y."""
    away = x - x.mean()
    return y @ away / (away @ away)


def show(summary: Mapping[str, Any]) -> str:
    """The table."""
    rows = [
        {
            "layers": str(row["depth"]),
            "small (r)": str(row["small"]),
            "activation": row["activation"],
            "escaped": f"{row['escaped']} of {row['seeds']} seeds",
            "power of eps in T": with_interval(row["power"]),
            "longer": f"{row['longer']:.3g}",
            "growth per log(1/eps)": with_interval(row["growth"]),
            "at the largest eps": with_interval(row["growth_at_large"]),
            "growth - distance": with_interval(row["beyond"], 2),
            "its change": with_interval(row["beyond_moves"], 2),
        }
        for row in summary["rows"]
    ]
    first, *_, final = summary["inverse_scales"]
    return (
        f"Symmetric starts whose last r layers are eps = 1/{first} to 1/{final} times as large; "
        "published:\nT ~ eps^-(r-2). Powers over the smallest scales; 95 % intervals over seeds.\n"
        "longer: T at the smallest eps over that at the largest.\n\n" + report.format_table(rows)
    )


QUESTION = Question(_cells, find, _assemble, summarize, show)
