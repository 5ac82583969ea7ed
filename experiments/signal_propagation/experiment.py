"""Length, correlation and gradient, layer by layer: predicted beside measured, over many seeds.

    python -m experiments.signal_propagation

Networks are drawn and not trained. Two inputs of a given length and angle go through each, and a
random gradient comes back from the last hidden layer. What theory predicts for wide networks, with
its first correction for their width, stands beside the mean over seeds, and the table says by how
many standard errors they differ. What a first correction leaves out is told by the exact law of
networks of this width, drawn without their weights. Exits 1 if too many layers are out and nothing
explains it.
"""

import numpy as np
import xarray
from absl import flags as absl_flags

from experiments import harness, names
from experiments.harness import Settings, flags
from experiments.signal_propagation.tables import (
    KINDS,
    QUANTITIES,
    compare,
    show,
    summarize,
    verdict,
)
from initlab import figures, initializers, theory
from initlab.signals.measure import signal_run
from initlab.signals.predict import GAUSSIAN, RECURSIONS, Prediction, Start, predict, sample
from initlab.types import Initializer

PLAIN = "gaussian"

ACTIVATION = flags.define_names(
    "activation", ("tanh", "relu", "gelu", "sigmoid"), names.ACTIVATIONS, "Activations"
)
NETWORK = flags.define_name("network", "mlp", names.NETWORKS, "Network")
INITIALIZER = flags.define_name(
    "initializer",
    PLAIN,
    {PLAIN: None, **names.INITIALIZERS},
    "Initializer; gaussian is N(0, sigma_w2 / fan_in) with biases N(0, sigma_b2)",
)
SIGMA_W2 = flags.define_scale(
    "sigma_w2", None, "Of gaussian weights; with --sigma_b2, else the critical point."
)
SIGMA_B2 = flags.define_scale("sigma_b2", None, "Variance of gaussian biases; with --sigma_w2.")
WIDTH = flags.define_count("width", 1000, "Units of each hidden layer, or channels.", least=2)
DEPTH = flags.define_count("depth", 50, "Hidden layers, or blocks.", least=2)
INPUTS = flags.define_count("inputs", 100, "Entries of an input.", least=2)
LENGTH = flags.define_scale("length", 1.0, "Mean squared entry of the inputs.")
CORRELATION = absl_flags.DEFINE_float(
    "correlation", 0.5, "Cosine of two inputs.", lower_bound=0.0, upper_bound=1.0
)
SEEDS = flags.define_count("seeds", 256, "Networks of each activation.", least=2)
DRAWS = flags.define_count("draws", 4096, "Networks drawn of the exact law.", least=2)
ERRORS = flags.define_scale("errors", 3.0, "Standard errors within which a layer agrees.")
SHARE = flags.define_share("share", 0.95, "Share of the layers that must agree.")
SMOKE = {
    "width": 32,
    "depth": 4,
    "inputs": 9,
    "seeds": 16,
    "draws": 256,
    "activation": ["tanh"],
}


def measure() -> xarray.Dataset:
    """A sweep over activations and seeds, and what theory predicts of it."""

    def describe(activation):
        width, depth, inputs = WIDTH.value, DEPTH.value, INPUTS.value
        network = names.NETWORKS[NETWORK.value](inputs, width, depth, 1, activation)
        initializer = _initializer(activation)
        return signal_run(
            network,
            lambda point: initializer,
            inputs,
            length=LENGTH.value,
            correlation=CORRELATION.value,
        )

    activations = {name: names.ACTIVATIONS[name] for name in ACTIVATION.value}
    results = harness.sweep(
        describe, {"seed": range(SEEDS.value)}, structure={"activation": activations}
    )
    results = results.isel(step=0, drop=True).load()
    parts = [
        _predict(results.sel(activation=name), function) for name, function in activations.items()
    ]
    predicted = xarray.concat(parts, results["activation"])
    own = {
        "width": WIDTH.value,
        "errors": ERRORS.value,
        "share": SHARE.value,
        "theory": _say_theory(),
    }
    return compare(results.merge(predicted)).assign_attrs(own)


def _predict(measured: xarray.Dataset, activation) -> xarray.Dataset:
    variances = {
        str(name): float(values.mean())
        for name, values in measured.items()
        if str(name).startswith("sigma_")
    }
    start = Start(LENGTH.value, CORRELATION.value, variances, WIDTH.value, DEPTH.value)
    of = NETWORK.value, INITIALIZER.value, activation, start
    wide, finite = predict(*of)
    drawn = sample(*of, DRAWS.value) or {}
    nothing = np.full(measured.sizes["layer"], np.nan)
    no_prediction = Prediction(*[nothing] * 3)
    columns = {}
    for name in QUANTITIES:
        pair = [getattr(each or no_prediction, name) for each in (wide, finite)]
        columns[f"{name}_predicted"] = ("kind", "layer"), np.stack(pair)
        law = drawn.get(name, np.stack([nothing, nothing]))
        columns[f"{name}_law"] = "layer", law.mean(axis=0)
        columns[f"{name}_law_error"] = "layer", law.std(axis=0, ddof=1) / np.sqrt(len(law))
    return xarray.Dataset(
        columns,
        coords={"kind": np.asarray(KINDS, dtype=object), "layer": measured["layer"]},
    )


def _say_theory() -> str:
    if NETWORK.value not in RECURSIONS:
        return f"No closed recursion predicts the signals of {NETWORK.value}: measured alone."
    if INITIALIZER.value not in GAUSSIAN:
        return (
            f"The weights of {INITIALIZER.value} are not independent Gaussians: predicted is what "
            "such weights of the same\nvariance would do, and the difference a finding."
        )
    if NETWORK.value != "mlp":
        return f"The correction for the width is that of an mlp; there is none for {NETWORK.value}."
    return "Predicted from the variances of the weights drawn."


def _initializer(activation) -> Initializer:
    given = SIGMA_W2.value, SIGMA_B2.value
    if INITIALIZER.value == PLAIN:
        if (given[0] is None) != (given[1] is None):
            raise ValueError("--sigma_w2 and --sigma_b2 want each other")
        variances = given if None not in given else theory.critical_variances(activation)
        return initializers.ntk(*variances)
    if given != (None, None):
        raise ValueError(
            f"--sigma_w2 and --sigma_b2 are those of --initializer={PLAIN}, got {INITIALIZER.value}"
        )
    return names.INITIALIZERS[INITIALIZER.value](activation, DEPTH.value)


def draw(results: xarray.Dataset, settings: Settings):
    """A column for each activation."""
    sizes = f"{NETWORK.value} of width {WIDTH.value}, {INITIALIZER.value} weights"
    return figures.draw_signal(
        results,
        title=f"How far signals reach: {sizes},\n{SEEDS.value} networks of each activation",
    )


EXPERIMENT = harness.Experiment(
    "signal_propagation", measure, summarize, show, draw, SMOKE, verdict
)
