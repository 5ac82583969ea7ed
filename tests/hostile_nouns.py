"""A clean value for every parameter of the public API, by its name: what hostile ones replace."""

import functools
import importlib
import inspect
import pathlib
import tempfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray
from matplotlib.figure import Figure

from initlab import coordinates, initializers, networks, probes, sweeps, symmetry, tasks, theory
from initlab.audits import audit
from initlab.calibration import lsuv
from initlab.signals import Prediction, Start, compare, prediction_dataset, signal_run
from initlab.taps import measure, read_model, rows_of
from initlab.training import make_run
from initlab.types import Batch, ParamSpec, Role

__all__ = ["BY_NAME", "clean_arguments", "public_functions"]

HOMES = (
    *("activations", "audits", "calibration", "coordinates", "figures", "initializers", "keys"),
    *("networks", "objectives", "probes", "report", "signals", "sweeps", "symmetry", "taps"),
    *("tasks", "theory", "training"),
)

KEY = jax.random.key(0)
STREAM = np.random.default_rng(0)
NETWORK = networks.mlp((2, 4, 1), jnp.tanh)
CELLS = xarray.DataArray(np.ones((4, 2, 3), bool), dims=("seed", "y", "x"))
RELU = networks.mlp((2, 4, 1), jax.nn.relu)
TASK = tasks.xor(points=8)
# With NumPy: each process that collects would compile the draws.
PARAMS = jax.tree.map(lambda spec: STREAM.normal(0, 0.5, spec.shape).astype("f"), NETWORK.specs)
# An output of one column has no cosine.
WIDE = networks.mlp((2, 4, 2), jnp.tanh)
WIDE_PARAMS = jax.tree.map(lambda spec: STREAM.normal(0, 0.5, spec.shape).astype("f"), WIDE.specs)
X = np.linspace(-1, 1, 16, dtype=np.float32).reshape(8, 2)
ONES = jax.tree.map(np.ones_like, PARAMS)
GROUPS = symmetry.mlp_groups(PARAMS)
SPEC = ParamSpec((4, 3), 4, 3, Role.WEIGHT, np.float32, "layer_1/weight")
MUP_BY_ADAM: Any = {
    "parametrization": theory.Parametrization.MUP,
    "optimizer": theory.Optimizer.ADAM,
}
LOGITS, LABELS = np.linspace(-1, 1, 8, dtype=np.float32).reshape(8, 1), np.arange(8) % 2
ROWS = symmetry.unit_rows(PARAMS, GROUPS[0])


def descend(params: Any, batch: Any) -> Any:
    """An update of params, for what is proved of updates."""
    del batch
    return jax.tree.map(lambda leaf: 0.9 * leaf, params)


def make_subject(width: int, depth: int = 1) -> coordinates.Subject:
    """A model at each width and depth."""
    network = networks.mlp((2, *[width] * depth, 1), jnp.tanh)
    return coordinates.of_network(network, initializers.ntk(), optax.sgd(0.1))


@functools.cache
def _model() -> Any:
    return read_model(NETWORK.apply, PARAMS, X)


@functools.cache
def _measured() -> Any:
    return measure(_model(), PARAMS, X, KEY)


@functools.cache
def _run() -> Any:
    return make_run(
        NETWORK,
        lambda point: initializers.by_role(initializers.normal(point["std"])),
        TASK,
        optimizer=lambda point: optax.sgd(0.1),
        steps=1,
        every=1,
        probes=[probes.loss],
    )


@functools.cache
def _check() -> Any:
    return coordinates.coordinate_check(make_subject, [4, 8], X, jnp.mean, seeds=(0, 1), steps=1)


@functools.cache
def _swept() -> Any:
    axes = {"seed": range(2), "learning_rate": [0.1, 0.2]}
    run = make_run(
        NETWORK,
        lambda point: initializers.by_role(initializers.normal(0.5)),
        TASK,
        optimizer=lambda point: optax.sgd(point["learning_rate"]),
        steps=1,
        every=1,
        probes=[probes.loss],
    )
    return sweeps.sweep(run, axes, progress=False)


@functools.cache
def _signals() -> Any:
    run = signal_run(
        networks.mlp((2, 4, 4, 1), jnp.tanh),
        lambda point: initializers.ntk(),
        2,
        length=1.0,
        correlation=0.5,
    )
    return sweeps.sweep(run, {"seed": range(4)}, progress=False)


@functools.cache
def _compared() -> Any:
    wide = Prediction(np.ones(2), np.zeros(2), np.ones(2))
    return (
        _signals()
        .isel(step=0)
        .merge(
            prediction_dataset(
                _signals()["layer"].values, wide, wide, (np.ones((4, 2)), np.ones((4, 2)))
            )
        )
    )


@functools.cache
def _decoder() -> dict[str, Any]:
    specs = networks.transformer((2, 4, 2), 1, jnp.tanh, heads=2, length=3).specs
    return {"specs": specs, "params": jax.tree.map(lambda spec: np.ones(spec.shape, "f"), specs)}


@functools.cache
def _file() -> pathlib.Path:
    path = pathlib.Path(tempfile.mkdtemp(), "points.csv")
    path.write_text("height,y\n0.5,0\n1.5,1\n")
    return path


START = Start(1.0, 0.5, {Role.INPUT: (1.0, 0.1), Role.WEIGHT: (1.5, 0.1)}, 16, 3)
BATCH = Batch(jnp.asarray(X), jnp.asarray(LABELS), None, None, TASK.objective, PARAMS)


NUMBERS = dict.fromkeys(["sigma_w2", "q", "q0", "chi1", "length", "strength", "scale", "std"], 1.5)
NUMBERS |= {"sigma_b2": 0.1, "c": 0.5, "c0": 0.5, "correlation": 0.5, "start": 0.01, "end": 1.0}
NUMBERS |= dict.fromkeys(["branches", "blocks", "positions"], 4)
NUMBERS |= dict.fromkeys(["branch_layers", "channels", "draws", "inputs", "heads"], 2)
NUMBERS |= dict.fromkeys(["time", "factor", "residual", "gain", "omega", "lower", "index"], 1)
NUMBERS |= dict.fromkeys(["first_std", "second_std", "target"], 1.0)
NUMBERS |= dict.fromkeys(["outputs", "iterations", "every", "rank"], 1)
NUMBERS |= dict.fromkeys(["count", "depth", "successes", "tokens"], 3)
NUMBERS |= dict.fromkeys(["limit", "share", "threshold", "value", "fraction", "alpha"], 0.5)
NUMBERS |= dict.fromkeys(["trained_under", "offset"], 0.5)

BY_NAME: dict[str, Any] = NUMBERS | {
    "activation": jnp.tanh,
    "activations": np.ones((4, 8), np.float32),
    "apply": NETWORK.apply,
    "arrays": [np.ones(3, np.float32)],
    "axes": {"seed": [0, 1], "std": [0.5]},
    "base_specs": NETWORK.specs,
    "batch": X,
    "before": PARAMS,
    "after": PARAMS,
    "block": initializers.he_normal(),
    "constant_loss": 0.7,
    "distribution": initializers.unit_normal,
    "figure": Figure(),
    "final": np.linspace(-1, 1, 8),
    "function": jnp.tanh,
    "gains": np.ones(3),
    "group": GROUPS[0],
    "groups": GROUPS,
    "growth": symmetry.TransverseGrowth(jnp.arange(9.0), jnp.ones(()), None, None),
    "index": [0],
    "init": lambda point: initializers.he_normal(),
    "initializer": initializers.he_normal(),
    "initializers": (initializers.zeros(), initializers.ones()),
    "key": KEY,
    "labels": np.zeros(4, np.int32),
    "layers": ["layer_1"],
    "logits": LOGITS,
    **dict.fromkeys(["marked", "trained"], np.eye(32) > 0),
    "loss": lambda outputs: jnp.mean(outputs**2),
    "make": make_subject,
    "multipliers": {"*": 1.0},
    "network": NETWORK,
    "optimizer": lambda point: optax.sgd(0.1),
    "output_scale": 10.0,
    "params": PARAMS,
    "path": "layer_1/weight",
    "patterns": {"*": initializers.zeros()},
    "permutation": [1, 0, 2, 3],
    "point": {"seed": 0},
    "points": 8,
    "inside": initializers.he_normal(),
    "longest": 9.0,
    "predicted": np.ones(3),
    "measured": np.ones((2, 3)),
    "role": Role.WEIGHT,
    "rows": ROWS,
    "runs": 10,
    "seed": 0,
    "interval": (0.1, 0.9),
    "shares": {"he": (3, 10), "glorot": (10, 10)},
    "sizes": (2, 4, 1),
    "spec": SPEC,
    "scaling": theory.scaling(NETWORK.specs, NETWORK.specs, **MUP_BY_ADAM),
    "specs": NETWORK.specs,
    "state": PARAMS,
    "steps": 2,
    "step": np.arange(3),
    "task": TASK,
    "unit": GROUPS[0].axes[0],
    "leaf": np.ones((2, 4), np.float32),
    "update": descend,
    "values": [0.1, 0.2, 0.3],
    "variances": np.ones(3) / 3,
    "weight": initializers.he_normal(),
    "width": 10,
    "widths": [4, 8],
    "x": X,
    "y": LABELS,
    "z": np.ones(3, np.float32),
}

OF_HOME: dict[str, Any] = {
    "coordinates.fit_slope": lambda: {"sizes": [4, 8], "measured": np.ones((2, 3))},
    "coordinates.of_network": lambda: {"optimizer": optax.sgd(0.1)},
    "calibration.to_theory": lambda: {"params": jax.tree.map(lambda leaf: leaf / 8, PARAMS)},
    "calibration.changes": lambda: {"before": ONES, "after": ONES},
    "coordinates.assert_coordinates_stable": lambda: {"check": _check()},
    "coordinates.scale_by_width": lambda: MUP_BY_ADAM,
    "coordinates.coordinate_checks": lambda: {"depths": (1, 2), "loss": jnp.mean},
    "coordinates.coordinate_check": lambda: {"seeds": (0, 1), "steps": 1, "loss": jnp.mean},
    "figures.draw_audit": lambda: {"results": audit(NETWORK.apply, PARAMS, X).to_dataset()},
    "figures.draw_coordinates": lambda: {"checks": {"tanh": _check().to_dataset()}},
    "figures.save": lambda: {"stem": pathlib.Path(tempfile.mkdtemp(), "figure")},
    "figures.explorer_page": lambda: {"results": compare(_compared()), "title": "signals"},
    "figures.draw_signal": lambda: {"results": compare(_compared()), "title": "signals"},
    "initializers.adapted_params": lambda: {"adapted": initializers.Adapted(PARAMS, {}, 1.0)},
    "initializers.choice": lambda: {"index": 1},
    "initializers.mimetic": lambda: _decoder(),
    "initializers.recognize": lambda: {"schemes": {"he": initializers.ntk()}},
    "initializers.log_prior": lambda: {"shares": [0.5, 0.5]},
    "initializers.weight_law": lambda: {"draws": [(SPEC, [np.eye(4, 3, dtype=np.float32)])]},
    "initializers.bias_law": lambda: {"spec": ParamSpec((3,), 4, 3, Role.BIAS)},
    "networks.adopt": lambda: {"init": lambda key: PARAMS},
    "networks.convnet": lambda: {"shape": (4, 4, 1), "depth": 1},
    "networks.recurrent": lambda: {"depth": 1, "length": 3},
    "networks.residual_mlp": lambda: {"depth": 1},
    "networks.state_space": lambda: {"depth": 1, "length": 3, "states": 2},
    "networks.transformer": lambda: {"sizes": (5, 4, 2), "depth": 1, "heads": 2, "length": 3},
    "report.best_rate": lambda: {"final": _swept()["loss"].isel(step=-1)},
    "report.best_rates": lambda: {"results": _swept()},
    "report.trained": lambda: {"results": _swept()},
    "report.format_table": lambda: {"rows": [{"a": "1", "b": "2"}]},
    "report.quartiles": lambda: {"losses": np.linspace(0.1, 1, 8)},
    "report.measured_edges": lambda: {"scale": [0.1, 1.0, 10.0], "share": [0.0, 1.0, 0.0]},
    "report.write_json": lambda: {
        "path": pathlib.Path(tempfile.mkdtemp(), "figures.json"),
        "content": {"loss": 0.5},
    },
    "report.steps_to": lambda: {"loss": np.linspace(1, 0.1, 3)},
    "signals.compare": lambda: {"results": _compared()},
    "signals.draw_pair": lambda: {"length": 1.0},
    "signals.joint_probability": lambda: {
        "measured": np.random.default_rng(0).normal(1.0, 0.1, (8, 3)),
        "predicted": np.ones(3),
    },
    "signals.mean_variances": lambda: {"results": _signals()},
    "signals.signal_run": lambda: {"initializer": lambda point: initializers.ntk()},
    "sweeps.sweep": lambda: {"run": _run(), "progress": False},
    **dict.fromkeys(["probes.activation_patterns", "probes.imbalance"], lambda: {"network": RELU}),
    "figures.draw_curves": lambda: {"values": CELLS.rename(y="step").isel(x=0)},
    "figures.draw_map": lambda: {"values": 1.0 * CELLS, "x": "x", "y": "y"},
    "figures.draw_shares": lambda: {"successes": CELLS, "x": "x", "y": "y"},
    "symmetry.class_spread": lambda: {"labels": np.zeros(4, np.int32)},
    "symmetry.cut_down": lambda: {"unit": GROUPS[0].axes[0]},
    "symmetry.escape_step": lambda: {"size": 1e-3, "order_one": 0.5},
    "symmetry.in_block": lambda: {
        "group": symmetry.UnitGroup(
            "up", 8, (symmetry.UnitAxis("up", 2, blocks=(symmetry.BlockAxis(0, 12),)),)
        )
    },
    "taps.chains_of": lambda: {"model": _model(), "rows": rows_of(_model(), _measured())},
    "taps.measure_signals": lambda: {
        "model": read_model(WIDE.apply, WIDE_PARAMS, X),
        "params": WIDE_PARAMS,
    },
    "taps.rows_of": lambda: {"model": _model(), "measured": _measured()},
    **dict.fromkeys(["taps.measure", "taps.unit_factors"], lambda: {"model": _model()}),
    "tasks.from_arrays": lambda: {"x": X, "y": LABELS},
    "tasks.from_file": lambda: {"path": _file()},
    **dict.fromkeys(["theory.exponents", "theory.growth", "theory.scaling"], lambda: MUP_BY_ADAM),
    "theory.edge_of_chaos": lambda: {"sigma_w2": np.arange(1.0, 4), "sigma_b2": np.full(2, 0.1)},
    "theory.critical_variances": lambda: {"activation": jax.nn.relu},
    "theory.trainable_edges": lambda: {"depth": 20},
    "theory.sample_finite_width": lambda: {"width": 4, "depth": 2},
    "audits.refine": lambda: {"refiner": lsuv},
    **dict.fromkeys(["signals.predict_mlp", "signals.sample_signals"], lambda: {"start": START}),
    "signals.predict_finite_width": lambda: {"start": START},
    "signals.predict_residual": lambda: {
        "start": START._replace(variances={**START.variances, Role.RESIDUAL: (1.0, 0.1)})
    },
    **dict.fromkeys(["audits.audit", "signals.predict"], lambda: {"params": PARAMS, "batch": X}),
    "audits.assert_sound_initialization": lambda: {"params": PARAMS, "batch": X},
    "symmetry.assert_units_identical": lambda: {"params": ONES},
    "symmetry.unit_kinds": lambda: {"activations": np.linspace(-1, 1, 32).reshape(8, 4)},
    "objectives.softmax_cross_entropy": lambda: {"logits": np.tile(LOGITS, 2)},
    "theory.frequency_depth_scale": lambda: {"chi1": 0.9, "gains": np.asarray([0.9, 0.5])},
}


@functools.cache
def _own(name: str) -> dict[str, Any]:
    return OF_HOME.get(name, dict)()


@functools.cache
def public_functions() -> dict[str, Any]:
    """Every public function with a parameter, by "room.name"."""
    found = {}
    for home in HOMES:
        module = importlib.import_module(f"initlab.{home}")
        for name in module.__all__:
            one = getattr(module, name)
            is_check = name == "check_activation"
            if not is_check and inspect.isfunction(one) and inspect.signature(one).parameters:
                found[f"{home}.{name}"] = one
    return found


def clean_arguments(name: str) -> dict[str, Any]:
    """A call that works: what a function requires, by its parameters' names."""
    own = _own(name) | ({"batch": BATCH} if name.startswith("probes.") else {})
    parameters = inspect.signature(public_functions()[name]).parameters
    required = [each for each, one in parameters.items() if one.default is inspect.Parameter.empty]
    given = {each: BY_NAME[each] for each in required if each not in own} | own
    return {each: value for each, value in given.items() if each in parameters}
