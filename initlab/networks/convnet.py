"""Convolutional networks, plain and residual, over one or two axes of positions."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.activations import identity
from initlab.networks import layers as parts
from initlab.networks.blocks import assemble, stack_blocks, through_blocks
from initlab.types import Activation, Array, LayerState, Network, Params, Role

__all__ = ["convnet"]

CHANNELS = -1


def convnet(
    shape: Sequence[int],
    channels: int,
    outputs: int,
    depth: int,
    activation: Activation,
    *,
    window: int = 3,
    residual: bool = False,
    branch_layers: int = 2,
    layer_norm: bool = False,
    gate: bool = False,
    circular: bool = False,
    flatten: bool = False,
    scanned: bool = False,
    dtype: Any = jnp.float32,
) -> Network:
    """Plain: `z_l = conv a_(l-1)`, `a_l = phi(z_l)`; residual: `h_l = h_(l-1) + g branch(norm h)`.

    Every convolution keeps the positions (stride 1). A first one, the stem, takes the data to
    `channels`; a branch is `conv phi conv` (He et al. 2016, arXiv:1603.05027, without the
    activation in front); the head is a linear readout of the channels' means over positions, or of
    all positions. Bit-identity of units that start identical is not promised: the library's
    convolution sums channels in an order of its own.

    Args:
      shape: of one example, channels last: `(length, channels)` or `(height, width, channels)`.
      channels: of every hidden layer.
      outputs: how many logits.
      depth: how many blocks after the stem, at least 1; a plain block is one convolution.
      activation: elementwise function phi, as `jax.nn.relu`; plain: of the stem too.
      window: positions that a convolution sees along each axis, at most the shortest axis.
      residual: whether blocks add to a stream.
      branch_layers: convolutions in a residual block, at least 1.
      layer_norm: whether channels are normalized at each position: in front of the activation of
        a plain block, in front of the branch of a residual one, and of a residual net's head.
      gate: whether a trained scalar multiplies each branch; only with `residual`.
      circular: whether positions go round; otherwise there are zeros beyond the edge.
      flatten: whether the readout sees every position; otherwise their mean.
      scanned: whether the blocks are one `jax.lax.scan` over params stacked along a leading axis.
      dtype: floating dtype of params and activations.

    Returns:
      The network. `apply(params, x)` takes x [B, *shape] or flat [B, prod(shape)] and gives logits
      [B, outputs]; weights lie [*window, inputs, outputs]. `layers` shows arrays [B, *positions,
      channels], of a residual block also the stream after it.

    Raises:
      TypeError: if a size is not an integer, activation not an elementwise function, or dtype not
        floating.
      ValueError: if shape has not two or three sizes, a size is under 1, window is larger than an
        axis, gate or branch_layers is set for a plain net, or dtype is turned off.

    >>> network = convnet((8, 8, 1), 16, 10, 4, jax.nn.relu)
    >>> network.specs["block_1"]["weight"].shape, network.specs["block_1"]["weight"].fan_in
    ((3, 3, 16, 16), 144)
    """
    shape = tuple(shape)
    dtype = _check(shape, channels, outputs, depth, window, dtype)
    checks.check_activation("activation", activation, dtype)
    checks.check_count("branch_layers", branch_layers, 1)
    if not residual and (gate or branch_layers != 2):
        raise ValueError("gate and branch_layers are a residual network's; set residual=True")
    *positions, inputs = shape
    field = [window] * len(positions)

    def maps(inputs: int, role: Role) -> dict[str, Any]:
        return parts.linear_specs(inputs, channels, role, dtype, field)

    norm = {"norm": parts.norm_specs(channels, dtype)} if layer_norm else {}
    if residual:
        *inner, last = [f"layer_{number}" for number in range(1, branch_layers + 1)]
        layers = {name: maps(channels, Role.WEIGHT) for name in inner}
        layers[last] = maps(channels, Role.RESIDUAL)
        block_specs = parts.branch_specs(layers, channels, layer_norm, gate, dtype)
    else:
        block_specs = maps(channels, Role.WEIGHT) | norm
    features = channels * (math.prod(positions) if flatten else 1)
    specs = {
        "stem": maps(inputs, Role.INPUT) | ({} if residual else norm),
        **stack_blocks(block_specs, depth, scanned),
        "readout": (norm if residual else {})
        | parts.linear_specs(features, outputs, Role.READOUT, dtype),
    }

    def convolve(params: Params, h: jax.Array) -> jax.Array:
        return parts.convolve(params, h, circular)

    def plain(params: Params, h: jax.Array) -> tuple[jax.Array, LayerState]:
        z = convolve(params, h)
        if layer_norm:
            z = parts.layer_norm(params["norm"], z, CHANNELS)
        a = activation(z)
        return a, LayerState(z, a)

    def block(params: Params, h: jax.Array) -> tuple[jax.Array, LayerState]:
        def branch(h: jax.Array) -> tuple[jax.Array, LayerState]:
            return parts.hidden_layers(params, h, convolve, activation)

        h, (z, a, _) = parts.add_branch(params, h, branch, CHANNELS)
        return h, LayerState(z, a, h)

    def stem(params: Params, h: jax.Array) -> tuple[jax.Array, LayerState]:
        z = convolve(params, h)
        return z, LayerState(z, z)

    def forward(params: Params, x: jax.Array, observe: bool) -> tuple[jax.Array, dict]:
        h = x.astype(dtype).reshape(-1, *shape)
        h, first = (stem if residual else plain)(params["stem"], h)
        h, states = through_blocks(block if residual else plain, params, h, depth, observe)
        if residual and layer_norm:
            h = parts.layer_norm(params["readout"]["norm"], h, CHANNELS)
        h = h.reshape(h.shape[0], -1, features)
        logits = parts.linear(params["readout"], jnp.mean(h, axis=1))
        return logits, {"stem": first, "readout": LayerState(logits, logits)} | states

    def door(x: Array) -> Any:
        flat = math.prod(shape)
        layouts = ("[B, " + ", ".join(map(str, shape)) + "]", f"[B, {flat}]")
        return checks.check_examples(
            "x", x, *layouts, fits=lambda given: given[1:] in (shape, (flat,))
        )

    return assemble(specs, forward, door, activation, depth, identity if residual else activation)


def _check(shape, channels, outputs, depth, window, dtype) -> Any:
    if len(shape) not in (2, 3):
        raise ValueError(
            f"shape must be (length, channels) or (height, width, channels), got {shape}"
        )
    for position, size in enumerate(shape):
        checks.check_count(f"shape[{position}]", size, 1)
    counts = {"channels": channels, "outputs": outputs, "depth": depth, "window": window}
    for name, count in counts.items():
        checks.check_count(name, count, 1)
    if window > min(shape[:-1]):
        raise ValueError(f"window must be at most {min(shape[:-1])}, got {window}")
    return checks.check_dtype(dtype)
