"""The nouns shared by every module. Structure is static, numbers are arrays."""

import dataclasses
import enum
import math
import numbers
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np

__all__ = [
    "Activation",
    "Apply",
    "Array",
    "Batch",
    "History",
    "Initializer",
    "LayerState",
    "Network",
    "Number",
    "Numbers",
    "Objective",
    "OutputLoss",
    "ParamSpec",
    "Params",
    "Probe",
    "Role",
    "Task",
]

Array = jax.Array | np.ndarray
Number = Annotated[float | Array, "one"]
"""One real number, which may be traced."""

Numbers = float | Array
"""Real numbers: one, or an array of any shape; functions of several broadcast them."""

Params = Any
"""A pytree of arrays, shaped like the network's specs."""

Apply = Callable[[Params, Any], Any]
"""Any model as a function: `(params, batch) -> outputs`, each a pytree of arrays."""

OutputLoss = Callable[[Any], jax.Array]
"""`outputs of an Apply -> scalar`; labels, where there are any, are closed over."""

Activation = Callable[[Any], jax.Array]
"""An elementwise function of pre-activations: `jnp.tanh`, `jax.nn.relu`, ..."""


class Role(enum.Enum):
    """What a parameter does in its network; initializers choose by it.

    Attributes:
      WEIGHT: weights between hidden layers.
      BIAS: what is added to each unit.
      INPUT: weights of the first layer, applied to the data.
      READOUT: the last layer's weights.
      EMBEDDING: vectors looked up by token or by position; their fan_in is 1.
      NORM_SCALE: the scale of a normalisation layer.
      NORM_BIAS: what a normalisation layer adds.
      RESIDUAL: the last weights of a residual branch, whose output is added to the stream.
      GATE: what multiplies a residual branch: a scalar, or one number for each of its channels.
    """

    WEIGHT = "weight"
    BIAS = "bias"
    INPUT = "input"
    READOUT = "readout"
    EMBEDDING = "embedding"
    NORM_SCALE = "norm_scale"
    NORM_BIAS = "norm_bias"
    RESIDUAL = "residual"
    GATE = "gate"


@dataclasses.dataclass(frozen=True)
class ParamSpec:
    """What one parameter is, without its value.

    Attributes:
      shape: its shape.
      fan_in: how many inputs one unit sums over.
      fan_out: how many units one input feeds.
      role: what it does in the network.
      dtype: its dtype.
      path: its place in the params tree, as "layer_1/weight"; `initialize` fills it in.
      stack: for a parameter stacked over layers by its leading axis, the path of each slice, as
        `("block_1/weight", "block_2/weight")`: fans and role are those of a slice, and
        `initialize` draws each slice by itself. () is a parameter of one layer.
      place: which slice of the stack is drawn, while `initialize` draws it: its own path is
        `stack[place]`. Traced, since slices are drawn together; None elsewhere.
      members: axes of the shape, or of a slice's, along which independent parameters lie, as those
        of vmapped models, of heads or blocks with a matrix each, of experts: fans and role are
        those of one, and `initialize` draws each by itself. () is one parameter.
    """

    shape: tuple[int, ...]
    fan_in: int
    fan_out: int
    role: Role = Role.WEIGHT
    dtype: Any = np.float32
    path: str = ""
    stack: tuple[str, ...] = ()
    members: tuple[int, ...] = ()
    # A traced number has no hash, and slices are alike in all else.
    place: Number | None = dataclasses.field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Raises unless shape, fans and role are such: a draw would be infinite or NaN."""
        if not isinstance(self.shape, tuple) or not all(map(_is_size, self.shape)):
            raise TypeError(f"shape must be a tuple of sizes, got {self.shape!r}")
        for name, fan in (("fan_in", self.fan_in), ("fan_out", self.fan_out)):
            if isinstance(fan, bool) or not isinstance(fan, numbers.Real):
                raise TypeError(f"{name} must be a number, got {fan!r}")
            if not 0 < fan < math.inf:
                raise ValueError(f"{name} must be over 0 and finite, got {fan}")
        if not isinstance(self.role, Role):
            raise TypeError(f"role must be an initlab Role, as Role.WEIGHT, got {self.role!r}")


def _is_size(size: object) -> bool:
    return isinstance(size, numbers.Integral) and not isinstance(size, bool) and int(size) >= 0


Initializer = Callable[[jax.Array, ParamSpec], jax.Array]
"""`(key, spec) -> array` of the spec's shape and dtype."""


class LayerState(NamedTuple):
    """One layer on one batch; positions or tokens, where there are any, are axes between B and n_l.

    Attributes:
      z: pre-activation [B, ..., n_l]: what the layer's activation takes.
      a: activation [B, ..., n_l].
      stream: of a residual block, the stream that leaves it [B, ..., width]; z and a are those
        inside its branch. None elsewhere.
    """

    z: jax.Array
    a: jax.Array
    stream: jax.Array | None = None


class Network(NamedTuple):
    """A model as pure functions; it does not own its initializer.

    Attributes:
      specs: pytree of ParamSpec, the shape of the params it takes.
      apply: `(params, x [B, ...]) -> logits [B, n_L]`, jit-compiled.
      layers: `(params, x) -> {layer name: LayerState}`, jit-compiled; first layer first, except
        inside a `jit` of your own, which sorts dicts by name.
      activations: `{layer name: Activation}`, first layer first; the identity for the last one.
        Probes that look inside layers need it.
      doubts: `{path: reason}` of each parameter of an adopted model whose role or fans could not be
        inferred from its use; none in a network of the lab's own.
      multipliers: `{path: number}` that the network multiplies a parameter by before it computes
        with it (`networks.with_multipliers`); 1 for those that are not named.
    """

    specs: Any
    apply: Callable[[Params, Array], jax.Array]
    layers: Callable[[Params, Array], dict[str, LayerState]]
    activations: Mapping[str, Activation] = MappingProxyType({})
    doubts: Mapping[str, str] = MappingProxyType({})
    multipliers: Mapping[str, Number] = MappingProxyType({})


class Objective(NamedTuple):
    """A loss with what belongs to it: metric, output unit, and the constant predictor's loss.

    Attributes:
      loss: `(logits [B, K], y [B]) -> scalar`, mean over the batch, in nats for cross-entropies.
      metric: `(logits, y) -> scalar`: accuracy in [0, 1], or R^2 for regression.
      link: `logits [B, K] -> [B, K]`: the output unit: sigmoid, softmax or the identity.
      predict: `logits [B, K] -> [B]`: labels, or values for regression.
      constant_loss: `y -> float`: the loss of the best predictor that ignores x.
      outputs: `y -> int`: how many logits the labels need; ValueError for labels that do not fit.
    """

    loss: Callable[[Array, Array], jax.Array]
    metric: Callable[[Array, Array], jax.Array]
    link: Callable[[Any], jax.Array]
    predict: Callable[[Any], jax.Array]
    constant_loss: Callable[[np.ndarray], float]
    outputs: Callable[[np.ndarray], int]


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """Data and the objective that scores predictions of it.

    Attributes:
      x: training inputs [B, ...], float64, which a run casts to its network's dtype, or integers
        (tokens), which stay integers.
      y: training labels [B]: 0/1, class numbers, or real values.
      objective: how logits are scored.
      x_test: held-out inputs [T, ...], or None.
      y_test: held-out labels [T], or None.
    """

    x: np.ndarray
    y: np.ndarray
    objective: Objective
    x_test: np.ndarray | None = None
    y_test: np.ndarray | None = None

    @property
    def loss(self) -> Callable[[Array, Array], jax.Array]:
        """`(logits, y) -> scalar`."""
        return self.objective.loss

    @property
    def metric(self) -> Callable[[Array, Array], jax.Array]:
        """`(logits, y) -> scalar`."""
        return self.objective.metric


class Batch(NamedTuple):
    """What a probe sees besides the network and the current params.

    Attributes:
      x: training inputs [B, ...], in the network's dtype, or integers.
      y: training labels [B].
      x_test: held-out inputs [T, ...], or None.
      y_test: held-out labels [T], or None.
      objective: how logits are scored.
      start: the params before the first step.
    """

    x: jax.Array
    y: jax.Array
    x_test: jax.Array | None
    y_test: jax.Array | None
    objective: Objective
    start: Params


Probe = Callable[[Network, Params, Batch], dict[str, jax.Array]]
"""`(network, params, batch) -> {name: array}`; an array is a scalar or has one entry per layer."""


class History(NamedTuple):
    """One training run.

    Attributes:
      step: the steps at which a snapshot was taken [S], int32: 0, every, ..., steps.
      values: what the probes measured, `{name: [S, ...]}`.
      first_nonfinite_step: after which step a parameter was first NaN or infinite; -1 if none was.
      params: the params after the last step.
      reductions: what the run's reductions came to, `{name: [] or [layers]}`.
    """

    step: jax.Array
    values: dict[str, jax.Array]
    first_nonfinite_step: jax.Array
    params: Params
    # To JAX an empty dict has no leaves: programs without reductions stay as they are.
    reductions: dict[str, jax.Array] = {}  # noqa: RUF012
