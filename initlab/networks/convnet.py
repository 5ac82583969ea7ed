"""Convolutional networks, plain and residual, over one or two axes of positions."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.activations import check_activation, identity
from initlab.networks.blocks import Block, Forward, assemble, stack_blocks, through_blocks
from initlab.networks.layers import (
    add_branch,
    branch_specs,
    convolve,
    hidden_layers,
    linear,
    linear_specs,
    norm_specs,
    normalize,
)
from initlab.types import Activation, Array, LayerState, Network, Params, Role

__all__ = ["convnet"]

CHANNELS = 0
"""The axis of channels within: [channels, *positions, examples], as sums over slices read it."""


@checks.checked
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
    all positions. In a run (`make_run`) on a CPU channels that start identical stay bit-identical
    but for a norm over them; called by itself, the library's convolution promises no order of sums.

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
      circular: whether positions wrap around; otherwise they are padded with zeros.
      flatten: whether the readout sees every position; otherwise their mean.
      scanned: whether the blocks are one `jax.lax.scan` over params stacked along a leading axis.
      dtype: floating dtype of params and activations.

    Returns:
      The network. `apply(params, x)` takes x [B, *shape] or flat [B, prod(shape)] and gives logits
      [B, outputs]; weights lie [*window, inputs, outputs]. `layers` gives arrays [B, *positions,
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
    net = _Architecture(
        tuple(shape),
        channels,
        outputs,
        depth,
        activation,
        window=window,
        residual=residual,
        branch_layers=branch_layers,
        layer_norm=layer_norm,
        gate=gate,
        circular=circular,
        flatten=flatten,
        scanned=scanned,
        dtype=dtype,
    )
    _check(net)
    net = net._replace(dtype=np.dtype(dtype))
    stem = identity if residual else activation
    return assemble(
        _specs(net), _forward(net), lambda x: _check_input(net, x), activation, depth, stem
    )


class _Architecture(NamedTuple):
    """The arguments of `convnet`."""

    shape: tuple[int, ...]
    channels: int
    outputs: int
    depth: int
    activation: Activation
    window: int
    residual: bool
    branch_layers: int
    layer_norm: bool
    gate: bool
    circular: bool
    flatten: bool
    scanned: bool
    dtype: Any

    @property
    def features(self) -> int:
        """Of one row of the readout's input: of an example, or of a position that is averaged."""
        return self.channels * (math.prod(self.shape[:-1]) if self.flatten else 1)


def _check(net: _Architecture) -> None:
    if len(net.shape) not in (2, 3):
        raise ValueError(
            f"shape must be (length, channels) or (height, width, channels), got {net.shape}"
        )
    for position, size in enumerate(net.shape):
        checks.check_count(f"shape[{position}]", size, 1)
    for name in ("channels", "outputs", "depth", "window"):
        checks.check_count(name, getattr(net, name), 1)
    if net.window > min(net.shape[:-1]):
        raise ValueError(f"window must be at most {min(net.shape[:-1])}, got {net.window}")
    check_activation("activation", net.activation, checks.check_dtype(net.dtype))
    checks.check_count("branch_layers", net.branch_layers, 1)
    if not net.residual and (net.gate or net.branch_layers != 2):
        raise ValueError("gate and branch_layers are a residual network's; set residual=True")


def _check_input(net: _Architecture, x: Array) -> Any:
    flat = math.prod(net.shape)
    layouts = ("[B, " + ", ".join(map(str, net.shape)) + "]", f"[B, {flat}]")
    return checks.check_examples(
        "x", x, *layouts, fits=lambda given: given[1:] in (net.shape, (flat,))
    )


def _specs(net: _Architecture) -> dict[str, Any]:
    *positions, inputs = net.shape

    def convolution(inputs: int, role: Role) -> dict[str, Any]:
        return linear_specs(inputs, net.channels, role, net.dtype, [net.window] * len(positions))

    norm = {"norm": norm_specs(net.channels, net.dtype)} if net.layer_norm else {}
    readout = linear_specs(net.features, net.outputs, Role.READOUT, net.dtype)
    if not net.residual:
        blocks = stack_blocks(convolution(net.channels, Role.WEIGHT) | norm, net.depth, net.scanned)
        return {"stem": convolution(inputs, Role.INPUT) | norm, **blocks, "readout": readout}
    *inner, last = [f"layer_{number}" for number in range(1, net.branch_layers + 1)]
    layers = {name: convolution(net.channels, Role.WEIGHT) for name in inner}
    layers[last] = convolution(net.channels, Role.RESIDUAL)
    block = branch_specs(layers, net.channels, net.layer_norm, net.gate, net.dtype)
    blocks = stack_blocks(block, net.depth, net.scanned)
    return {"stem": convolution(inputs, Role.INPUT), **blocks, "readout": norm | readout}


def _forward(net: _Architecture) -> Forward:
    stem, block = _residual_parts(net) if net.residual else _plain_parts(net)

    def forward(params: Params, x: jax.Array, observe: bool) -> tuple[jax.Array, dict]:
        h = _swapped(x.astype(net.dtype).reshape(-1, *net.shape))
        h, first = stem(params["stem"], h)
        h, states = through_blocks(block, params, h, net.depth, observe)
        if net.residual and net.layer_norm:
            h = normalize(params["readout"]["norm"], h, CHANNELS)
        if net.flatten:
            h = jnp.moveaxis(h, CHANNELS, -2).reshape(net.features, -1)
        else:
            h = jnp.mean(h, axis=tuple(range(1, h.ndim - 1)))
        logits = linear(params["readout"], h.T)
        states = jax.tree.map(_swapped, {"stem": first} | states) if observe else {}
        return logits, states | {"readout": LayerState(logits, logits)}

    return forward


def _swapped(h: jax.Array) -> jax.Array:
    """The first axis last and the last one first: of examples and channels."""
    return jnp.swapaxes(h, 0, -1)


def _plain_parts(net: _Architecture) -> tuple[Block, Block]:
    """The stem and a block of a plain network: the same function."""

    def plain(params: Params, h: jax.Array) -> tuple[jax.Array, LayerState]:
        z = convolve(params, h, net.circular)
        if net.layer_norm:
            z = normalize(params["norm"], z, CHANNELS)
        a = net.activation(z)
        return a, LayerState(z, a)

    return plain, plain


def _residual_parts(net: _Architecture) -> tuple[Block, Block]:
    """The stem, which is linear, and a block of a residual network."""

    def convolution(params: Params, h: jax.Array) -> jax.Array:
        return convolve(params, h, net.circular)

    def stem(params: Params, h: jax.Array) -> tuple[jax.Array, LayerState]:
        z = convolution(params, h)
        return z, LayerState(z, z)

    def block(params: Params, h: jax.Array) -> tuple[jax.Array, LayerState]:
        def branch(h: jax.Array) -> tuple[jax.Array, LayerState]:
            return hidden_layers(params, h, convolution, net.activation)

        h, (z, a, _) = add_branch(params, h, branch, CHANNELS)
        return h, LayerState(z, a, h)

    return stem, block
