"""Layers: specs and arithmetic of norms, linear maps, convolutions and residual branches."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.types import Activation, LayerState, Number, Params, ParamSpec, Role

__all__ = [
    "EPSILON",
    "add_branch",
    "branch_specs",
    "convolve",
    "gated_layers",
    "hidden_layers",
    "linear",
    "linear_specs",
    "multiplied",
    "norm_specs",
    "normalize",
]

EPSILON = 1e-5
"""Added to the variance in a layer norm, to the mean square in an RMS norm."""

LinearMap = Callable[[Params, jax.Array], jax.Array]
"""`(weight and bias, h) -> z`."""

Branch = Callable[[jax.Array], tuple[jax.Array, Any]]
"""`h -> (what is added to h, the LayerState of its last activation, or None)`."""


def linear_specs(
    inputs: int,
    outputs: int,
    role: Role,
    dtype: np.dtype,
    window: Sequence[int] = (),
    bias: bool = True,
) -> dict[str, ParamSpec]:
    """A weight [*window, inputs, outputs] and a bias; fans are `prod(window)` times the features.

    >>> linear_specs(3, 5, Role.WEIGHT, np.dtype("float32"), window=(2, 2))["weight"].fan_in
    12
    """
    field = math.prod(window)
    fans = (field * inputs, field * outputs)
    weight = {"weight": ParamSpec((*window, inputs, outputs), *fans, role, dtype)}
    return weight | ({"bias": ParamSpec((outputs,), *fans, Role.BIAS, dtype)} if bias else {})


def norm_specs(width: int, dtype: np.dtype, norm: str = "layer") -> dict[str, ParamSpec]:
    """A norm's scale and, of a layer norm, bias: each feature has its own, so both fans are 1.

    >>> sorted(norm_specs(3, np.dtype("float32"))), sorted(norm_specs(3, np.float32, "rms"))
    (['bias', 'scale'], ['scale'])
    """
    scale = {"scale": ParamSpec((width,), 1, 1, Role.NORM_SCALE, dtype)}
    if norm == "rms":
        return scale
    return scale | {"bias": ParamSpec((width,), 1, 1, Role.NORM_BIAS, dtype)}


def branch_specs(
    maps: dict[str, Any], width: int, layer_norm: bool, gate: bool, dtype: np.dtype
) -> dict[str, Any]:
    """The specs of a residual branch: its maps, and on request a norm and a gate."""
    norm = {"norm": norm_specs(width, dtype)} if layer_norm else {}
    return norm | maps | ({"gate": ParamSpec((), 1, 1, Role.GATE, dtype)} if gate else {})


def normalize(params: Params, h: jax.Array, axis: int) -> jax.Array:
    """`scale (h - mean h) / sqrt(var h + EPSILON) + bias`, or `scale h / sqrt(mean h^2 + EPSILON)`.

    A layer norm where the params have a bias, else an RMS norm; over one axis, that of features.

    Args:
      params: scale and bias [width], or scale alone.
      h: any shape, width along `axis`.
      axis: that of features.

    Returns:
      An array of h's shape.

    Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450; Zhang and Sennrich 2019, arXiv:1910.07467,
      eq. 4.

    >>> params = {"scale": jnp.ones(2), "bias": jnp.zeros(2)}
    >>> [round(each, 3) for each in normalize(params, jnp.array([1.0, 5.0]), -1).tolist()]
    [-1.0, 1.0]
    >>> normalize({"scale": jnp.ones(2)}, jnp.array([3.0, 3.0]), -1).round(3).tolist()
    [1.0, 1.0]
    """
    # Two passes, the mean first: E h^2 - (E h)^2 cancels where the mean is large.
    shape = [1] * h.ndim
    shape[axis] = -1
    centred = h - jnp.mean(h, axis, keepdims=True) if "bias" in params else h
    scaled = centred * jax.lax.rsqrt(jnp.mean(centred**2, axis, keepdims=True) + EPSILON)
    scaled = scaled * params["scale"].reshape(shape)
    return scaled + params["bias"].reshape(shape) if "bias" in params else scaled


def linear(params: Params, h: jax.Array) -> jax.Array:
    """`h weight + bias` over the last axis; without the bias where the params have none.

    >>> linear({"weight": 2 * jnp.eye(2), "bias": jnp.ones(2)}, jnp.ones((1, 2))).tolist()
    [[3.0, 3.0]]
    """
    # HIGHEST: float32 means float32 also where an accelerator would round the factors.
    z = jnp.matmul(h, params["weight"], precision=jax.lax.Precision.HIGHEST)
    return z + jnp.broadcast_to(params["bias"], z.shape) if "bias" in params else z


def convolve(params: Params, h: jax.Array, circular: bool) -> jax.Array:
    """`z[x] = sum_d h[x + d] weight[d] + bias`, as many positions as before.

    The window of w reaches (w - 1) // 2 positions before x and w // 2 after it.

    Args:
      params: weight [*window, inputs, outputs] and bias [outputs].
      h: [inputs, *positions, B].
      circular: whether positions wrap around; otherwise they are padded with zeros.

    Returns:
      [outputs, *positions, B].

    >>> params = {"weight": jnp.ones((3, 1, 1)), "bias": jnp.zeros(1)}
    >>> convolve(params, jnp.ones((1, 3, 1)), circular=False).ravel().tolist()
    [2.0, 3.0, 2.0]
    """
    weight = params["weight"]
    reach = [((w - 1) // 2, w // 2) for w in weight.shape[:-2]]
    if circular:
        h = jnp.pad(h, [(0, 0), *reach, (0, 0)], mode="wrap")
        reach = [(0, 0)] * len(reach)
    places = "HW"[: len(reach)]
    z = jax.lax.conv_general_dilated(
        h,
        weight,
        [1] * len(reach),
        reach,
        dimension_numbers=(f"C{places}N", f"{places}IO", f"C{places}N"),
        precision=jax.lax.Precision.HIGHEST,
    )
    return z + jnp.broadcast_to(jnp.expand_dims(params["bias"], range(1, z.ndim)), z.shape)


def hidden_layers(
    params: Params, h: jax.Array, apply: LinearMap, activation: Activation
) -> tuple[jax.Array, LayerState]:
    """Maps "layer_1", "layer_2", ... with the activation between them; after it, if there is one.

    Returns:
      What leaves the last one, and the state of the last activation.
    """
    count = sum(name.startswith("layer_") for name in params)
    z = a = h
    for number in range(1, max(count, 2)):
        z = apply(params[f"layer_{number}"], a)
        a = activation(z)
    return (a if count == 1 else apply(params[f"layer_{count}"], a)), LayerState(z, a)


def gated_layers(
    params: Params, h: jax.Array, apply: LinearMap, activation: Activation
) -> tuple[jax.Array, LayerState]:
    """`W_2 (phi(W_1 h + b_1) * (V h + c)) + b_2`: a gated linear unit, V and c in "linear".

    Returns:
      What leaves the last map, and the state of the activation: z and phi(z), without the factor.

    Source: Dauphin et al. 2017, arXiv:1612.08083; with silu SwiGLU, with gelu GEGLU, Shazeer 2020,
      arXiv:2002.05202, eq. 6.
    """
    z = apply(params["layer_1"], h)
    a = activation(z)
    return apply(params["layer_2"], a * apply(params["linear"], h)), LayerState(z, a)


def add_branch(
    params: Params,
    h: jax.Array,
    branch: Branch,
    axis: int,
    *,
    post_norm: bool = False,
    branch_scale: Number = 1.0,
) -> tuple[jax.Array, Any]:
    """`h + branch_scale gate branch(norm(h))`, or, post-norm, the norm of the sum without one.

    The norm over `axis`, a second one after the branch ("norm_after") and the gate, a scalar or
    one number for each feature of the last axis, are there where the params have them.

    Returns:
      The stream after it, and the branch's state.
    """
    norm = params.get("norm")
    out, shown = branch(h if norm is None or post_norm else normalize(norm, h, axis))
    out = normalize(params["norm_after"], out, axis) if "norm_after" in params else out
    if "gate" in params:
        gate = params["gate"]
        out = (jnp.broadcast_to(gate, out.shape) if jnp.ndim(gate) else gate) * out
    h = h + multiplied(out, branch_scale)
    return (h if norm is None or not post_norm else normalize(norm, h, axis)), shown


def multiplied(h: jax.Array, factor: Number) -> jax.Array:
    """`factor h`; h itself where the factor is known to be 1.

    >>> multiplied(jnp.ones(2), 0.5).tolist()
    [0.5, 0.5]
    """
    # A product with 1 would be one more equation in every program that is read.
    if checks.is_concrete(factor) and factor == 1:
        return h
    return jnp.asarray(factor, h.dtype) * h
