"""Order and chaos: chi1, c* and xi_c over (sigma_w2, sigma_b2), and networks laid over them.

    python -m experiments.phase_diagram --activation=gelu

The map is theory's, of infinitely wide networks. On a coarse grid real networks are drawn, of which
are measured the growth of gradients from layer to layer and the correlation of two inputs.
"""

import time

import numpy as np
import xarray

import initlab
from experiments import harness, names
from experiments.harness import Settings, flags
from experiments.phase_diagram.figure import draw_phases
from experiments.phase_diagram.tables import predict_networks, show, summarize
from initlab import signals, theory

__all__ = ["EXPERIMENT"]

ACTIVATION = flags.define_name("activation", "tanh", names.ACTIVATIONS, "Hidden activation")
POINTS = flags.define_count("points", 200, "Points of the map along either axis.", least=2)
MOST_SIGMA_W2 = flags.define_scale(
    "most_sigma_w2", None, "Largest fan_in times variance of weights; else 4 times the critical."
)
MOST_SIGMA_B2 = flags.define_scale(
    "most_sigma_b2", None, "Largest variance of biases; else an eighth of that."
)
NETWORKS = flags.define_count("networks", 6, "Measured points along either axis.", least=2)
SEEDS = flags.define_count("seeds", 16, "Networks at each measured point.", least=2)
WIDTH = flags.define_count("width", 300, "Units of their hidden layers.", least=2)
DEPTH = flags.define_count("depth", 30, "Their hidden layers.", least=3, most=flags.MOST_LAYERS)
CORRELATION = flags.define_between(
    "correlation", 0.5, "Cosine of their two inputs.", least=-0.99, most=0.99
)
INPUTS = flags.define_count("inputs", 100, "Entries of their inputs.", least=2)
SMOKE = {"points": 4, "networks": 2, "seeds": 4, "width": 32, "depth": 4}


def measure() -> xarray.Dataset:
    """The map, timed, and a sweep over the networks."""
    activation = names.ACTIVATIONS[ACTIVATION.value]
    most = _most(activation)
    weights = np.linspace(0, most[0], POINTS.value + 1)[1:]
    biases = np.linspace(0, most[1], POINTS.value)
    seconds = []
    # The first call compiles too: the second one's time is that of the computation.
    for _ in range(2):
        began = time.perf_counter()
        diagram = theory.edge_of_chaos(activation, weights, biases)
        seconds.append(time.perf_counter() - began)
    grid = xarray.Dataset(
        {
            **{
                f"map_{name}": (("sigma_w2", "sigma_b2"), getattr(diagram.fixed_point, name))
                for name in ("q", "c", "chi1", "xi_c")
            },
            "critical_sigma_w2": ("sigma_b2", diagram.critical_sigma_w2),
        },
        coords={"sigma_w2": weights, "sigma_b2": biases},
        attrs={
            "activation": ACTIVATION.value,
            "width": WIDTH.value,
            "depth": DEPTH.value,
            "correlation": CORRELATION.value,
            "compile_seconds": seconds[0] - seconds[1],
            "run_seconds": seconds[1],
        },
    )
    return grid.merge(_measure_networks(activation, most))


def _measure_networks(activation, most: tuple[float, float]) -> xarray.Dataset:
    count = NETWORKS.value
    # Cell middles, so that none lies on the frame; the lowest row has no biases.
    weights, biases = (
        each.ravel()
        for each in np.meshgrid(
            most[0] * (np.arange(count) + 0.5) / count,
            most[1] * np.arange(count) / count,
            indexing="ij",
        )
    )
    predicted = predict_networks(
        activation, weights, biases, CORRELATION.value, WIDTH.value, DEPTH.value
    )
    length = predicted["input_length"]
    run = signals.signal_run(
        initlab.networks.mlp((INPUTS.value, *[WIDTH.value] * DEPTH.value, 1), activation),
        lambda point: initlab.initializers.ntk(point["sigma_w2"], point["sigma_b2"]),
        INPUTS.value,
        length=None,
        correlation=CORRELATION.value,
    )
    points = list(zip(weights.tolist(), biases.tolist(), length.tolist(), strict=True))
    axes = {("sigma_w2", "sigma_b2", "input_length"): points, "seed": range(SEEDS.value)}
    drawn = harness.sweep(run, axes, name="networks").isel(step=0, drop=True).load()
    gradient = drawn["gradient"].values
    dims = ("network", "seed")
    return xarray.Dataset(
        {
            "growth_measured": (dims, np.mean(gradient[..., :-1] / gradient[..., 1:], axis=-1)),
            "decorrelation_measured": (dims, drawn["decorrelation"].values[..., -1]),
            "network_sigma_w2": ("network", weights),
            "network_sigma_b2": ("network", biases),
            **{name: ("network", values) for name, values in predicted.items()},
        },
        coords={"seed": drawn["seed"].values},
    )


def _most(activation) -> tuple[float, float]:
    given = MOST_SIGMA_W2.value, MOST_SIGMA_B2.value
    for name, value in zip(("most_sigma_w2", "most_sigma_b2"), given, strict=True):
        if value == 0:
            raise ValueError(f"--{name} must be above 0, got 0")
    if given[0] is None:
        critical = [
            theory.critical_point(activation).sigma_w2,
            theory.critical_sigma_w2(activation, 0.0),
        ]
        # softplus has no edge of chaos.
        first = next((float(each) for each in critical if np.isfinite(each)), 2.0)
    weights = 4 * first if given[0] is None else given[0]
    return weights, weights / 8 if given[1] is None else given[1]


def draw(results: xarray.Dataset, settings: Settings):
    """The map of chi1 and that of c*, with the networks on them."""
    return draw_phases(results)


EXPERIMENT = harness.Experiment("phase_diagram", measure, summarize, show, draw, SMOKE)
