"""A table of hostile calls by kind: each with the pattern that its one-line answer must match.

Each row is a call that works (`hostile_nouns.clean_arguments`) with some arguments replaced.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from hostile_nouns import (
    GROUPS,
    KEY,
    NETWORK,
    ONES,
    PARAMS,
    X,
    clean_arguments,
    public_functions,
)
from sweep_runs import make_small_run

from initlab import initializers, objectives
from initlab.types import ParamSpec, Task

__all__ = ["TABLE", "call"]

nan, inf = np.nan, np.inf
HE = initializers.he_normal()
MISFIT = {"layer_1": PARAMS["layer_1"], "layer_2": {"weight": np.ones((3, 1)), "bias": np.ones(1)}}
COLLIDING = {"a/b": np.ones((2, 2)), "a": {"b": np.ones((2, 2))}}
COMPLEX = jax.tree.map(lambda leaf: leaf + 1j, ONES)
INTEGERS = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.int32), ONES)
LONGER = jax.tree.map(lambda leaf: np.append(leaf, 1.0), ONES)


def call(name: Any, **changes: Any) -> Any:
    """A call that works but for the changes."""
    if name is ParamSpec:
        return ParamSpec(**{"shape": (4, 3), "fan_in": 4, "fan_out": 3, **changes})
    return public_functions()[name](**(clean_arguments(name) | changes))


def branching(*values):
    return values[0] if jnp.all(values[0] > 0) else -values[0]


def branching_model(params, x):
    return NETWORK.apply(params, x) if x.sum() > 0 else x


def failing(*_):
    raise RuntimeError("my own")


UNHASHABLE = type("Scaled", (), {"__hash__": None, "__call__": lambda self, z: z / 2})()

ACTIVATIONS = [
    ("theory.gain", {"activation": jax.nn.softmax}, "activation must be elementwise"),
    ("networks.mlp", {"activation": jax.nn.softmax}, "activation must be elementwise, got softmax"),
    ("networks.mlp", {"activation": lambda z: z > 0}, "activation must give real numbers"),
    (
        "networks.mlp",
        {"activation": lambda z: z.astype(jnp.int32)},
        "activation must give real numbers",
    ),
    (
        "networks.mlp",
        {"activation": lambda z: jax.lax.complex(z, z)},
        "activation must give real numbers",
    ),
    ("networks.mlp", {"activation": np.tanh}, r"activation must be made of JAX.*jnp\.tanh"),
    ("theory.gain", {"activation": np.tanh}, r"activation must be made of JAX.*jnp\.tanh"),
    ("networks.mlp", {"activation": branching}, r"activation must choose by value with jnp\.where"),
    ("networks.mlp", {"activation": lambda z: (z, z)}, "activation must give an array"),
    ("networks.mlp", {"activation": lambda: 0}, "activation must be a function of one array"),
    ("networks.mlp", {"activation": 3}, "activation must be a function"),
    ("activations.max_slope", {"activation": jnp.sum}, "activation must give an array of its"),
    ("activations.max_slope", {"activation": jnp.exp}, "must have a largest slope.*grows from"),
    ("theory.fixed_point", {"activation": jax.nn.softmax}, "activation must be elementwise"),
    (
        "theory.gain",
        {"activation": lambda z: jnp.exp(z**2)},
        "activation must have a finite mean square",
    ),
]
SPECS = [
    *((ParamSpec, {"fan_in": fan}, "fan_in must be over 0 and") for fan in (0, -1, nan, inf)),
    *((ParamSpec, {"fan_out": fan}, "fan_out must be") for fan in (0, nan, "3", True)),
    (ParamSpec, {"role": "weight"}, "role must be"),
    ("initializers.choice", {"index": 0.7}, "index must be an integer, got 0.7"),
    ("initializers.choice", {"initializers": X}, "initializers must be a seq.*got a float32 array"),
    ("initializers.choice", {"initializers": X[:0]}, "initializers must be a sequence, got a"),
    ("initializers.choice", {"index": 2}, "index must be 0 to 1, got 2"),
    ("initializers.initialize", {"specs": COLLIDING}, "must have a path for each leaf, got two"),
]
LABELS = [
    ("objectives.binary_cross_entropy", {"y": [0, 2] * 4}, "binary labels must be 0 or 1, got 2"),
    ("objectives.binary_cross_entropy", {"y": [-1, 1] * 4}, "binary labels must be 0 or 1, got -1"),
    ("objectives.binary_accuracy", {"y": [-1, 1] * 4}, "binary labels must be 0 or 1, got -1"),
    ("objectives.softmax_cross_entropy", {"y": [0.7] * 8}, "softmax labels must be class.*0.7"),
    ("objectives.softmax_accuracy", {"y": [0.7] * 8}, "softmax labels must be class.*0.7"),
    ("objectives.binary_cross_entropy", {"y": [1j] * 8}, "labels must be real numbers"),
    ("objectives.mean_squared_error", {"y": [1j] * 8}, "labels must be real numbers"),
    ("objectives.softmax_cross_entropy", {"y": [2**40] * 8}, "labels must fit 32 bits"),
    ("objectives.mean_squared_error", {"y": [2**31] * 8}, "labels must fit 32 bits"),
    ("objectives.label_entropy", {"y": np.array([0.0, nan])}, "labels must be numbers, got NaN"),
    ("objectives.softmax_outputs", {"y": np.array([0.0, nan])}, "softmax labels must be class"),
    ("objectives.binary_cross_entropy", {"y": [[0], [1, 2]]}, "y must be an array.*differ in"),
]
TASKS = [
    ("tasks.from_arrays", {"x": np.ma.masked_equal(X, X[0, 0])}, "x must hold every entry.*masked"),
    ("tasks.from_arrays", {"x": [[1.0], [1.0, 2.0]]}, "x must be an array.*(lengths|differ)"),
    ("tasks.from_arrays", {"x": np.array([[None]])}, "x must hold real numbers, got object"),
    ("tasks.from_arrays", {"objective": "binary"}, r"objective must be.*objectives\.binary"),
    (
        "training.make_run",
        {"task": Task(np.full((8, 2), nan), np.zeros(8), objectives.binary)},
        r"task\.x must be finite",
    ),
    ("training.make_run", {"task": None}, "task must be an initlab Task, got NoneType"),
    ("training.make_run", {"network": None}, "network must be an initlab Network, got NoneType"),
    ("training.make_run", {"network": PARAMS}, "network must be an initlab Network, got dict"),
    ("training.make_run", {"invariants": [3]}, r"invariants\[0\] must be a function"),
    ("training.make_run", {"invariants": X}, "invariants must be a sequence, got a float32"),
    ("training.make_run", {"invariants": 3}, "invariants must be a sequence"),
    ("training.make_run", {"invariants": ["finite"]}, r"invariants\[0\] must be a function"),
    ("training.make_run", {"init": initializers.by_role(HE)}, "init must be a function of.*lambda"),
    ("training.make_run", {"optimizer": optax.sgd(0.1)}, "optimizer.*lambda point: optax"),
    ("training.make_run", {"optimizer": 0.1}, "optimizer must be a function"),
]
RUNS = [
    (
        "sweeps.sweep",
        {"axes": {"seed": [0], "std": [0.1, 0.1 + 1e-12]}},
        "'std'.*differ in float32",
    ),
    ("sweeps.sweep", {"axes": {"seed": [0], "std": [1e39]}}, "axis 'std'"),
    ("sweeps.sweep", {"axes": {"seed": [0], "std": [1e-50]}}, "axis 'std'"),
    ("sweeps.sweep", {"axes": {"seed": [0], "std": [-1.0]}}, "axis 'std'.*must be at least 0"),
    ("sweeps.sweep", {"axes": {"seed": [0], "": [1]}}, "axis' name must be an identifier, *|''"),
    ("sweeps.sweep", {"axes": {"seed": [0], "a\\b": [1]}}, "axis' name must be an identifier"),
    ("sweeps.sweep", {"axes": {"seed": [0], "$x$": [1]}}, "axis' name must be an identifier"),
    ("sweeps.sweep", {"axes": {"seed": [0], "zarr.json": [1]}}, "axis' name must be an identifier"),
    *(
        ("sweeps.sweep", {"run": make_small_run, "structure": structure}, pattern)
        for structure, pattern in [
            ({"depth": [2**70]}, "structure 'depth' must be labelled"),
            ({"depth": np.arange(3)}, "(structure 'depth' must be|depth)"),
            ({"depth": {"a\x1b[2J": 1}}, "a value of structure 'depth' must have a name"),
            ({"depth": 3}, "structure 'depth' must be a list or a dict"),
        ]
    ),
    ("sweeps.sweep", {"devices": ["cpu"]}, r"devices(\[0\])? must"),
    ("sweeps.sweep", {"devices": 3}, "devices must be a sequence"),
    ("sweeps.sweep", {"run": 3}, "run must be a"),
]
MODELS = [
    ("audits.audit", {"init": lambda key: PARAMS}, "params must be None.*init|init.*params"),
    ("audits.audit", {"thresholds": {"dead": 1}}, "thresholds must be an initlab Thresholds"),
    ("audits.audit", {"params": COLLIDING}, "params must have a path for each leaf, got two"),
    (
        "audits.audit",
        {"apply": branching_model},
        "apply must be a function that JAX can trace",
    ),
    ("audits.audit", {"apply": lambda params: 0.0}, r"apply.*\(params, batch\)"),
    ("audits.audit", {"batch": np.zeros((0, 2))}, "batch must hold"),
    ("audits.audit", {"params": X, "batch": PARAMS}, "params and batch are exchanged"),
    ("calibration.lsuv", {"target": 0.0}, "target must be over 0"),
    ("calibration.lsuv", {"batch": np.zeros((0, 2), np.float32)}, "batch must hold"),
    ("calibration.layerwise_whitening", {"batch": np.zeros((0, 2), np.float32)}, "batch must hold"),
    ("calibration.gradinit", {"batch": np.zeros((0, 2), np.float32)}, "batch must hold"),
    ("calibration.lsuv", {"apply": branching_model}, "apply must be a function that JAX can trace"),
    ("coordinates.coordinate_check", {"loss": lambda outputs: (outputs, 0.0)}, "loss must"),
    ("audits.audit", {"loss": lambda outputs: (outputs, 0.0)}, "loss must"),
    ("audits.audit", {"prior": "text"}, "prior must be real numbers, got 'text'"),
    ("audits.audit", {"prior": np.array([None, "a"])}, "prior must be real numbers, got object"),
    ("audits.audit", {"labels": [[1.0], [1.0, 2.0]]}, "labels must be an array.*differ in length"),
    ("taps.measure_signals", {"fixed": 3}, "fixed must be a set, got 3"),
    ("taps.measure_signals", {"rescale": dict}, "rescale must be a function of .*the class dict"),
    (
        "audits.refine",
        {"refiner": failing},
        "refiner raised RuntimeError when called with .*my own",
    ),
    ("taps.measure_signals", {"rescale": failing}, "rescale raised RuntimeError.*my own"),
    ("taps.measure_signals", {"rescale": lambda *_: 3}, "rescale must return two.*got 3"),
    ("taps.measure_signals", {"recentre": failing}, "rescale must be given with recentre"),
    ("taps.measure", {"loss": failing}, r"loss raised RuntimeError when called with \(outputs\)"),
    ("taps.measure_signals", {"fixed": frozenset("a")}, "an entry of fixed must be an integer"),
    ("probes.gradient_norm", {"params": INTEGERS}, r"params\['layer_1/bias'\] must be floating"),
    ("calibration.lsuv", {"target": 2**70}, "target must hold numbers of 32 bits, got 11805"),
    ("calibration.lsuv", {"batch": [2**63]}, "batch must hold numbers of 32 bits, got 9223"),
    ("calibration.lsuv", {"batch": X[:, :1]}, r"apply refused \(params, batch\): x must have 2"),
    ("calibration.metainit", {"learning_rate": 2**63}, "learning_rate must hold numbers of 32"),
    ("calibration.lsuv", {"key": 0}, r"key must be a JAX key, got 0: write jax.random.key\(0\)"),
    ("calibration.changes", {"after": LONGER}, r"after\['layer_1/bias'\] must have shape"),
    ("calibration.changes", {"after": COMPLEX}, r"after\['layer_1/bias'\] must be real"),
    ("calibration.changes", {"before": COLLIDING, "after": COLLIDING}, "a path for each leaf"),
    ("coordinates.coordinate_check", {"predicted": [1.0]}, "predicted must be a dict"),
    ("coordinates.coordinate_check", {"predicted": {"a": 1}}, "predicted.*must be an initlab"),
    ("coordinates.coordinate_check", {"widths": [0, 4]}, "widths must be at least 1, got 0"),
    ("coordinates.coordinate_check", {"widths": [-1, 4]}, "widths must be at least 1, got -1"),
    ("coordinates.coordinate_check", {"batch": X[:0]}, "batch must hold at least one example"),
    (
        "coordinates.coordinate_check",
        {"batch": np.float32(0.5)},
        r"make\(width\).layers refused \(init\(key\), batch\): x must have shape",
    ),
    ("coordinates.coordinate_check", {"make": lambda width: 3}, "make.*must.*Subject"),
    ("coordinates.of_network", {"optimizer": 0.1}, r"optimizer must be an optax.*optax\.sgd\(0\.1"),
    ("coordinates.of_network", {"network": "mlp"}, "network must be an initlab Network, got 'mlp'"),
    ("symmetry.find_groups", {"params": COLLIDING}, "params must have a path for each leaf"),
    ("networks.adopt", {"init": np.tanh}, "init must be a function that JAX can trace"),
    ("symmetry.find_groups", {"apply": branching_model}, "apply must"),
]
SYMMETRY = [
    ("symmetry.assert_units_identical", {"groups": []}, "groups must hold at least one group"),
    ("symmetry.assert_symmetry_broken", {"groups": []}, "groups must hold at least one group"),
    ("symmetry.assert_units_identical", {"groups": [1]}, r"groups\[0\] must be an initlab Unit"),
    ("symmetry.assert_units_identical", {"groups": GROUPS[0]}, "groups must be a sequence|groups"),
    ("symmetry.cut_down", {"leaf": 1j}, r"leaf must have axis \d.*got shape \(\)"),
    ("symmetry.cut_down", {"leaf": "w"}, "leaf must be an array of numbers, got 'w'"),
    ("symmetry.permute", {"group": "layer_1"}, "group must be an initlab UnitGroup, got 'layer_1'"),
    *(
        (name, {word: value}, f"{word} must be (at least 0|finite)")
        for name, word in [
            ("symmetry.assert_symmetry_broken", "atol"),
            ("symmetry.unit_classes", "atol"),
            ("symmetry.check_induction", "tolerance"),
            ("coordinates.coordinate_check", "tolerance"),
        ]
        for value in (-1.0, nan)
    ),
    *(("symmetry.escape_step", {"size": size}, "size must be") for size in (-1.0, nan, inf)),
    (
        "symmetry.transverse_growth",
        {"update": failing, "direction": ONES},
        "update raised RuntimeError.*my own",
    ),
    (
        "symmetry.transverse_growth",
        {"update": lambda *_: None, "direction": ONES},
        "update must return params of its",
    ),
    (
        "symmetry.transverse_growth",
        {"update": lambda params, _: jax.tree.map(jnp.sum, params), "direction": ONES},
        r"update must return params\['layer_1/bias'\] as it is, float32\[4\], got float32\[\]",
    ),
    ("symmetry.escape_step", {"order_one": -1.0}, "order_one must be"),
    ("symmetry.escape_step", {"since": 99}, "since must be a step of the run"),
    ("symmetry.mlp_groups", {"params": MISFIT}, "layer_2"),
]
THEORY = [
    ("theory.finite_width_variance", {"width": 0}, "width must be at least 1, got 0"),
    ("theory.finite_width_variance", {"width": 0.5}, "width must be at least 1, got 0.5"),
    ("theory.finite_width_gradient", {"width": 0}, "width must be at least 1"),
    ("theory.finite_width_correlation", {"width": 0.5}, "width must be at least 1"),
    ("theory.finite_width_gradient", {"activation": jnp.exp, "q0": 30.0}, "activation must have a"),
    ("theory.finite_width_variance", {"activation": jnp.exp, "q0": 30.0}, "activation must have a"),
    (
        "theory.finite_width_gradient",
        {"sigma_w2": 1e250, "depth": 2},
        "sigma_w2.*the mean at layer",
    ),
    ("theory.finite_width_correlation", {"q0": 0.0}, "q0.* 1 - c at layer 0 is nan"),
    ("theory.sample_finite_width", {"q0": 0}, "q0 must be at least 1e-31, got 0"),
    ("theory.sample_finite_width", {"q0": 1e-40}, "q0 must be at least 1e-31, got 1e-40"),
    ("theory.sample_finite_width", {"q0": 1e39}, r"q0 must be at most 3e\+38, got 1e\+39"),
    (
        "theory.sample_finite_width",
        {"sigma_w2": 1e30, "activation": jnp.positive},
        "sigma_w2.*float32 holds, and q at.*is inf",
    ),
    ("theory.sample_finite_width", {"sigma_w2": 0, "sigma_b2": 0}, "sigma_w2 or sigma_b2 must be"),
    ("theory.pair_expectation", {"function": UNHASHABLE}, "function must be hashable.*lambda z"),
    ("theory.expectation", {"function": jnp.sort}, "function must be elementwise"),
    ("theory.gain", {"activation": UNHASHABLE}, "activation must be hashable"),
    ("theory.dying_relu_probability", {"width": 0}, "width and depth must be at least 1"),
    ("theory.linear_learning_time", {"end": 2.0}, "end must be.*strength|strength.*end"),
    ("theory.linear_learning_time", {"start": 1.2}, "start must be.*end|end.*start"),
    ("theory.propagate", {"sigma_w2": nan}, "sigma_w2 must be at least 0, got nan"),
    ("theory.propagate", {"c0": 2.0}, r"c0 must be a correlation in \[-1, 1\], got 2"),
]
KEYS = [
    *(
        ("initializers.initialize", {"key": key}, "key must be (a|one) JAX key")
        for key in (None, 0, 0.5, np.ones(2), jax.random.split(KEY), np.zeros((), np.uint32))
    ),
    ("keys.path_key", {"key": 7}, r"key must be a JAX key, got 7: write jax.random.key\(7\)"),
    ("initializers.by_role", {"weight": initializers.he_normal}, r"he_normal\(\.\.\.\) makes one"),
    ("initializers.by_role", {"weight": jax.nn.initializers.he_normal()}, "JAX's.*initlab.init"),
    ("initializers.by_role", {"weight": 3}, "weight must be a function"),
    ("networks.mlp", {"sizes": 5}, "sizes must be a sequence, got 5"),
    ("networks.mlp", {"sizes": (2, 0, 1)}, r"sizes\[1\] must be at least 1"),
    ("initializers.initialize", {"specs": None}, "specs must"),
    ("initializers.initialize", {"specs": PARAMS}, "specs must hold ParamSpec"),
    ("initializers.initialize", {"initializer": 3}, "initializer must be a function"),
    *(
        ("initializers.initialize", {"initializer": initializer}, f"initializer {pattern}")
        for initializer, pattern in [
            (lambda key, spec: (1, 2), r"returns for params\['layer_1/bias'\] must be an array"),
            (lambda key, spec: np.ones(7), r"returns for params\['.*'\] must have shape"),
            (lambda *_: None, "returns.*must be an array, got NoneType"),
            (np.tanh, r"must be a function of \(key, spec\), got tanh, which takes 1 array"),
            (failing, r"raised RuntimeError when called with \(key, spec\): my own"),
        ]
    ),
    ("initializers.by_role", {"weight": np.tanh}, r"weight must be a function of \(key, spec\)"),
    ("signals.signal_run", {"network": 3}, "network must be an initlab Network"),
]
TABLE = {
    "activations": ACTIVATIONS,
    "specs": SPECS,
    "labels": LABELS,
    "tasks": TASKS,
    "runs": RUNS,
    "models": MODELS,
    "symmetry": SYMMETRY,
    "theory": THEORY,
    "keys": KEYS,
}
