"""The multilayer perceptron: fully connected, any width and depth."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.activations import check_activation, identity
from initlab.networks.blocks import scan_layers, stack_specs
from initlab.networks.dense import dense, to_lanes
from initlab.types import Activation, Array, LayerState, Network, Params, ParamSpec, Role

__all__ = ["Chain", "find_chain", "mlp"]


class Chain(NamedTuple):
    """What an mlp computes, layers `activation(a W + b)` one by one: attribute of its `apply`.

    Attributes:
      function: that `apply`; a wrapper that copies its attributes is another function.
      activations: `{layer name: Activation}`, first layer first.
    """

    function: Callable[[Params, Array], jax.Array]
    activations: Mapping[str, Activation]


def find_chain(network: Network) -> Chain | None:
    """The chain that a network is, or None.

    >>> find_chain(mlp((2, 4, 1), jnp.tanh)) is not None
    True
    """
    found = getattr(network.apply, "chain", None)
    return found if isinstance(found, Chain) and found.function is network.apply else None


@checks.checked
def mlp(
    sizes: Sequence[int],
    activation: Activation,
    *,
    bias: bool | Sequence[bool] = True,
    scanned: bool = False,
    dtype: Any = jnp.float32,
) -> Network:
    """`z_l = a_(l-1) W_l + b_l`, `a_l = activation(z_l)`; the last layer is linear: `a_L = z_L`.

    Units that start identical stay bit-identical under gradient descent, because every unit is
    summed in the same order (see `initlab.networks.dense`). A scanned one draws and computes the
    bits of an unrolled one; only gradients of layers of a single unit may round otherwise.

    Args:
      sizes: `(n_0, n_1, ..., n_L)`, inputs first, logits last; `(2, 1)` is logistic regression.
      activation: elementwise function of the hidden layers, as `jnp.tanh`.
      bias: whether layers have a `b_l`: all or none of them, or each, `(True, ..., False)`.
      scanned: whether the layers from one hidden layer to the next, all of one width, are one
        `jax.lax.scan` over params stacked along a leading axis.
      dtype: floating dtype of params and activations.

    Returns:
      The network. Its params are `{"layer_1": {"weight": [n_0, n_1], "bias": [n_1]}, ...}`, without
      the biases of layers that have none, and with "hidden" for all but the first and the last
      layer when scanned;
      `apply(params, x [B, n_0])` gives logits [B, n_L]; `layers` gives z and a [B, n_l] of each.
      Both raise ValueError for params or x that do not fit.

    Raises:
      TypeError: if a size is not an integer, activation not an elementwise function, bias not True
        or False, or dtype not floating.
      ValueError: if there are fewer than two sizes, a size is under 1, bias has not an entry for
        each layer, or dtype is float64 while `jax_enable_x64` is off; of a scanned network also if
        hidden layers differ in width or in having a bias.

    >>> network = mlp((2, 4, 1), jnp.tanh)
    >>> network.specs["layer_1"]["weight"].shape
    (2, 4)
    >>> mlp((2, 4, 4, 4, 1), jnp.tanh, scanned=True).specs["hidden"]["weight"].shape
    (2, 4, 4)
    """
    sizes = tuple(sizes)
    if len(sizes) < 2:
        raise ValueError(f"sizes must hold at least inputs and outputs, got {sizes}")
    for position, size in enumerate(sizes):
        checks.check_count(f"sizes[{position}]", size, 1)
    checks.check_callable("activation", activation)
    dtype = checks.check_dtype(dtype)
    check_activation("activation", activation, dtype)

    names = [f"layer_{number}" for number in range(1, len(sizes))]
    activations = dict.fromkeys(names[:-1], activation) | {names[-1]: identity}
    biases = _each_layer("bias", bias, len(names))
    specs = {
        name: _layer_specs(fan_in, fan_out, _role_of(name, names), has_bias, dtype)
        for name, fan_in, fan_out, has_bias in zip(
            names, sizes[:-1], sizes[1:], biases, strict=True
        )
    }
    inner = names[1:-1] if scanned else []
    if inner:
        _check_alike(sizes[1:-1], biases[1:-1])
        stacked = stack_specs(specs[inner[0]], inner)
        specs = {names[0]: specs[names[0]], "hidden": stacked, names[-1]: specs[names[-1]]}

    def layer(params: Params, h: jax.Array) -> tuple[jax.Array, LayerState]:
        z = dense(h, params["weight"], params.get("bias"))
        a = activation(z)
        return a, LayerState(z, a)

    def forward(params: Params, x: Array, observe: bool) -> tuple[jax.Array, dict[str, LayerState]]:
        """Logits and layers' states as [units, examples], padded to a multiple of LANES."""
        checks.check_params(params, specs)
        h = to_lanes(jnp.asarray(x, dtype))
        states = {}
        for name in names[:-1]:
            if name not in inner:
                h, states[name] = layer(params[name], h)
            elif name == inner[0]:
                h, between = scan_layers(layer, params["hidden"], h, inner, observe)
                states |= between
        readout = params[names[-1]]
        z = dense(h, readout["weight"], readout.get("bias"))
        return z, states | {names[-1]: LayerState(z, z)}

    @jax.jit
    def logits_of(params: Params, x: Array) -> jax.Array:
        return forward(params, x, False)[0][:, : x.shape[0]].T

    def apply(params: Params, x: Array) -> jax.Array:
        return logits_of(params, checks.check_matrix("x", x, sizes[0]))

    @jax.jit
    def states_of(params: Params, x: Array) -> dict[str, LayerState]:
        return jax.tree.map(lambda rows: rows[:, : x.shape[0]].T, forward(params, x, True)[1])

    def layers(params: Params, x: Array) -> dict[str, LayerState]:
        # Compiled functions return dicts sorted by name, layer_10 before layer_2.
        states = states_of(params, checks.check_matrix("x", x, sizes[0]))
        return {name: states[name] for name in names}

    if not scanned:
        vars(apply)["chain"] = Chain(apply, activations)
    return Network(specs, apply, layers, activations)


def _role_of(name: str, names: Sequence[str]) -> Role:
    if name == names[-1]:
        return Role.READOUT
    return Role.INPUT if name == names[0] else Role.WEIGHT


def _each_layer(name: str, value: bool | Sequence[bool], layers: int) -> list[bool]:
    """One truth value for each layer."""
    if isinstance(value, bool | np.bool_):
        return [bool(value)] * layers
    given = list(value) if isinstance(value, Sequence) else []
    if not given or not all(isinstance(each, bool | np.bool_) for each in given):
        raise TypeError(
            f"{name} must be True, False, or a sequence of these for each layer, got {value!r:.80}"
        )
    if len(given) != layers:
        raise ValueError(
            f"{name} must have an entry for each of the {layers} layers, got {len(given)}"
        )
    return [bool(each) for each in given]


def _check_alike(widths: Sequence[int], biases: Sequence[bool]) -> None:
    """Raises ValueError unless one scan can run the layers between these hidden ones."""
    if len(set(widths)) > 1:
        raise ValueError(
            f"hidden layers of a scanned mlp must have one width, got {tuple(widths)}; without "
            "scanned=True they may differ"
        )
    if len(set(biases)) > 1:
        raise ValueError(
            "bias of a scanned mlp must be one for all layers between the first and the last, got "
            f"{tuple(biases)} for them"
        )


def _layer_specs(
    fan_in: int, fan_out: int, role: Role, has_bias: bool, dtype: np.dtype
) -> dict[str, ParamSpec]:
    bias = {"bias": ParamSpec((fan_out,), fan_in, fan_out, Role.BIAS, dtype)} if has_bias else {}
    return {"weight": ParamSpec((fan_in, fan_out), fan_in, fan_out, role, dtype), **bias}
