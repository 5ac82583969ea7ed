"""Layers: specs and arithmetic of norms, linear maps, convolutions and residual branches."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab.types import Activation, LayerState, Params, ParamSpec, Role

__all__ = [
    "EPSILON",
    "add_branch",
    "branch_specs",
    "convolve",
    "hidden_layers",
    "linear",
    "linear_specs",
    "norm_specs",
    "normalize",
]

EPSILON = 1e-5
"""Added to the variance in a layer norm (Ba, Kiros and Hinton 2016, arXiv:1607.06450)."""

LinearMap = Callable[[Params, jax.Array], jax.Array]
"""`(weight and bias, h) -> z`."""

Branch = Callable[[jax.Array], tuple[jax.Array, Any]]
"""`h -> (what is added to h, the LayerState of its last activation, or None)`."""


def linear_specs(
    inputs: int, outputs: int, role: Role, dtype: np.dtype, window: Sequence[int] = ()
) -> dict[str, ParamSpec]:
    """A weight [*window, inputs, outputs] and a bias; fans are `prod(window)` times the features.

    >>> linear_specs(3, 5, Role.WEIGHT, np.dtype("float32"), window=(2, 2))["weight"].fan_in
    12
    """
    field = math.prod(window)
    fans = (field * inputs, field * outputs)
    return {
        "weight": ParamSpec((*window, inputs, outputs), *fans, role, dtype),
        "bias": ParamSpec((outputs,), *fans, Role.BIAS, dtype),
    }


def norm_specs(width: int, dtype: np.dtype) -> dict[str, ParamSpec]:
    """A norm's scale and bias: each feature has its own, so both fans are 1.

    >>> norm_specs(3, np.dtype("float32"))["scale"].shape
    (3,)
    """
    return {
        "scale": ParamSpec((width,), 1, 1, Role.NORM_SCALE, dtype),
        "bias": ParamSpec((width,), 1, 1, Role.NORM_BIAS, dtype),
    }


def branch_specs(
    maps: dict[str, Any], width: int, layer_norm: bool, gate: bool, dtype: np.dtype
) -> dict[str, Any]:
    """The specs of a residual branch: its maps, and on request a norm and a gate."""
    norm = {"norm": norm_specs(width, dtype)} if layer_norm else {}
    return norm | maps | ({"gate": ParamSpec((), 1, 1, Role.GATE, dtype)} if gate else {})


def normalize(params: Params, h: jax.Array, axis: int) -> jax.Array:
    """`scale (h - mean h) / sqrt(var h + EPSILON) + bias` over one axis, that of features.

    Args:
      params: scale and bias [width].
      h: any shape, width along `axis`.
      axis: that of features.

    Returns:
      An array of h's shape.

    Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450.

    >>> params = {"scale": jnp.ones(2), "bias": jnp.zeros(2)}
    >>> [round(each, 3) for each in normalize(params, jnp.array([1.0, 5.0]), -1).tolist()]
    [-1.0, 1.0]
    """
    # Two passes, the mean first: E h^2 - (E h)^2 cancels where the mean is large.
    shape = [1] * h.ndim
    shape[axis] = -1
    centred = h - jnp.mean(h, axis, keepdims=True)
    scaled = centred * jax.lax.rsqrt(jnp.mean(centred**2, axis, keepdims=True) + EPSILON)
    return scaled * params["scale"].reshape(shape) + params["bias"].reshape(shape)


def linear(params: Params, h: jax.Array) -> jax.Array:
    """`h weight + bias` over the last axis.

    >>> linear({"weight": 2 * jnp.eye(2), "bias": jnp.ones(2)}, jnp.ones((1, 2))).tolist()
    [[3.0, 3.0]]
    """
    # HIGHEST: float32 means float32 also where an accelerator would round the factors.
    z = jnp.matmul(h, params["weight"], precision=jax.lax.Precision.HIGHEST)
    return z + jnp.broadcast_to(params["bias"], z.shape)


def convolve(params: Params, h: jax.Array, circular: bool) -> jax.Array:
    """`z[x] = sum_d h[x + d] weight[d] + bias`, as many positions as before.

    The window of w reaches (w - 1) // 2 positions before x and w // 2 after it.

    Args:
      params: weight [*window, inputs, outputs] and bias [outputs].
      h: [B, *positions, inputs].
      circular: whether positions wrap around; otherwise they are padded with zeros.

    Returns:
      [B, *positions, outputs].

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
        dimension_numbers=(f"N{places}C", f"{places}IO", f"N{places}C"),
        precision=jax.lax.Precision.HIGHEST,
    )
    return z + jnp.broadcast_to(params["bias"], z.shape)


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


def add_branch(
    params: Params,
    h: jax.Array,
    branch: Branch,
    axis: int,
    *,
    post_norm: bool = False,
    scale: jax.Array | None = None,
) -> tuple[jax.Array, Any]:
    """`h + scale gate branch(norm(h))`, or `norm(h + scale gate branch(h))`, with its state.

    The norm over `axis` and the gate are there where the params have them; scale, a number, where
    it is given.
    """
    norm = params.get("norm")
    out, shown = branch(h if norm is None or post_norm else normalize(norm, h, axis))
    out = params["gate"] * out if "gate" in params else out
    h = h + (out if scale is None else scale * out)
    return (h if norm is None or not post_norm else normalize(norm, h, axis)), shown
