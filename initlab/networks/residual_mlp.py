"""The residual multilayer perceptron: a stream to which each block adds."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.activations import check_activation
from initlab.networks.blocks import assemble, stack_blocks, through_blocks
from initlab.networks.dense import dense, to_lanes
from initlab.networks.layers import (
    add_branch,
    branch_specs,
    hidden_layers,
    linear_specs,
    norm_specs,
    normalize,
)
from initlab.types import Activation, Array, LayerState, Network, Number, Params, Role

__all__ = ["residual_mlp"]

UNITS = 0
"""Arrays lie [units, examples], as in `initlab.networks.dense`."""


@checks.checked
def residual_mlp(
    sizes: Sequence[int],
    depth: int,
    activation: Activation,
    *,
    branch_layers: int = 2,
    layer_norm: bool = False,
    gate: bool = False,
    branch_scale: Number = 1.0,
    scanned: bool = False,
    dtype: Any = jnp.float32,
) -> Network:
    """`h_0 = x W_0 + b_0`, `h_l = h_(l-1) + s g_l branch_l(norm_l(h_(l-1)))`, logits linear in h_L.

    A branch is `W_2 phi(W_1 h + b_1) + b_2`, the full residual network of Yang and Schoenholz 2017
    (arXiv:1712.08969); with one layer `phi(W h + b)`, their reduced one; with m layers there is phi
    between each two. The norm is a layer norm (also before the readout), g a trained scalar, s a
    number that is not trained: L^-1/2 keeps the stream's size at any depth L, CompleteP takes
    L^-alpha with alpha in [1/2, 1] (Dey et al. 2025, arXiv:2505.01618).
    Units that start identical stay bit-identical, as in `mlp`.

    Args:
      sizes: `(inputs, width, outputs)`.
      depth: how many blocks, at least 1.
      activation: elementwise function phi of the branches, as `jnp.tanh`.
      branch_layers: how many linear layers a branch has, at least 1.
      layer_norm: whether each branch and the readout see a normalized stream.
      gate: whether a scalar multiplies each branch.
      branch_scale: s, any finite number; may be traced.
      scanned: whether the blocks are one `jax.lax.scan` over params stacked along a leading axis.
      dtype: floating dtype of params and activations.

    Returns:
      The network. Its params are `{"stem": ..., "block_1": {"layer_1": {"weight", "bias"}, ...,
      "norm": {"scale", "bias"}, "gate"}, ..., "readout": ...}`, with "blocks" for all the blocks
      when scanned; `apply(params, x [B, inputs])` gives logits [B, outputs]. `layers` shows of each
      block the stream [B, width] after it, and z and a of the branch's last activation.

    Raises:
      TypeError: if a size is not an integer, activation not an elementwise function, branch_scale
        not a number, or dtype not floating.
      ValueError: if sizes are not three, one is under 1, branch_scale is NaN or infinite, or dtype
        is float64 while `jax_enable_x64` is off.

    >>> network = residual_mlp((2, 8, 1), 3, jnp.tanh, scanned=True)
    >>> network.specs["blocks"]["layer_2"]["weight"].shape
    (3, 8, 8)
    """
    sizes = tuple(sizes)
    _check(sizes, depth, branch_layers)
    checks.check_number("branch_scale", branch_scale)
    dtype = checks.check_dtype(dtype)
    check_activation("activation", activation, dtype)
    specs = _specs(sizes, depth, branch_layers, layer_norm, gate, scanned, dtype)

    def block(params: Params, h: jax.Array) -> tuple[jax.Array, LayerState]:
        def branch(h: jax.Array) -> tuple[jax.Array, LayerState]:
            return hidden_layers(params, h, _map, activation)

        h, (z, a, _) = add_branch(params, h, branch, UNITS, branch_scale=branch_scale)
        return h, LayerState(z, a, h)

    def forward(params: Params, x: jax.Array, observe: bool) -> tuple[jax.Array, dict]:
        stem = h = _map(params["stem"], to_lanes(x.astype(dtype)))
        h, states = through_blocks(block, params, h, depth, observe)
        readout = params["readout"]
        logits = _map(readout, normalize(readout["norm"], h, UNITS) if layer_norm else h)
        ends = {"stem": LayerState(stem, stem), "readout": LayerState(logits, logits)}
        examples = x.shape[0]
        return jax.tree.map(lambda rows: rows[:, :examples].T, (logits, ends | states))

    def check_input(x: Array) -> Any:
        return checks.check_matrix("x", x, sizes[0])

    network = assemble(specs, forward, check_input, activation, depth)
    if branch_layers == 1 or (checks.is_concrete(branch_scale) and branch_scale == 1):
        return network
    # What a linear last layer gives, times s, is what its params times s give.
    ends = checks.leaves_by_path("specs", specs)
    factors = {path: branch_scale for path in ends if f"/layer_{branch_layers}/" in path}
    return network._replace(multipliers=factors)


def _check(sizes: tuple, depth: int, branch_layers: int) -> None:
    if len(sizes) != 3:
        raise ValueError(f"sizes must be (inputs, width, outputs), got {sizes}")
    for position, size in enumerate(sizes):
        checks.check_count(f"sizes[{position}]", size, 1)
    checks.check_count("depth", depth, 1)
    checks.check_count("branch_layers", branch_layers, 1)


def _specs(
    sizes: tuple,
    depth: int,
    branch_layers: int,
    layer_norm: bool,
    gate: bool,
    scanned: bool,
    dtype: Any,
) -> dict[str, Any]:
    inputs, width, outputs = sizes
    *inner, last = [f"layer_{number}" for number in range(1, branch_layers + 1)]
    maps = {name: linear_specs(width, width, Role.WEIGHT, dtype) for name in inner}
    maps[last] = linear_specs(width, width, Role.RESIDUAL, dtype)
    block = branch_specs(maps, width, layer_norm, gate, dtype)
    norm = {"norm": norm_specs(width, dtype)} if layer_norm else {}
    return {
        "stem": linear_specs(inputs, width, Role.INPUT, dtype),
        **stack_blocks(block, depth, scanned),
        "readout": norm | linear_specs(width, outputs, Role.READOUT, dtype),
    }


def _map(params: Params, h: jax.Array) -> jax.Array:
    return dense(h, params["weight"], params["bias"])
