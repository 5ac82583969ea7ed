"""Blocks of one shape in a row, unrolled or scanned, and the network made of them.

Unrolled, each block has a name of its own in the params. Scanned, they are all in "blocks",
every leaf with a leading axis of blocks, and the program is as long as one block, however deep the
network. Values and draws are the same; only the compiler's rounding may differ.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.activations import identity
from initlab.types import Activation, Array, LayerState, Network, Params, ParamSpec

__all__ = [
    "Block",
    "Forward",
    "assemble",
    "block_names",
    "scan_layers",
    "stack_blocks",
    "stack_specs",
    "through_blocks",
]

Block = Callable[[Params, jax.Array], tuple[jax.Array, LayerState]]
"""`(its params, h) -> (h after it, its LayerState)`."""

Forward = Callable[[Params, jax.Array, bool], tuple[jax.Array, dict[str, LayerState]]]
"""`(params, x, observe) -> (logits, every layer's state)`; blocks have states only if observe."""


def block_names(depth: int) -> list[str]:
    """`["block_1", ..., "block_depth"]`."""
    return [f"block_{number}" for number in range(1, depth + 1)]


def stack_blocks(specs: Mapping[str, Any], depth: int, scanned: bool) -> dict[str, Any]:
    """The specs of `depth` blocks: one entry for each, or "blocks" with a leading axis.

    Args:
      specs: of one block.
      depth: how many blocks.
      scanned: whether they are stacked.

    Returns:
      `{"block_1": specs, ...}`, or `{"blocks": stacked specs}`.

    >>> stack_blocks({"gate": ParamSpec((), 1, 1)}, 2, True)["blocks"]["gate"].stack
    ('block_1/gate', 'block_2/gate')
    """
    names = block_names(depth)
    return {"blocks": stack_specs(specs, names)} if scanned else dict.fromkeys(names, specs)


def stack_specs(specs: Mapping[str, Any], names: Sequence[str]) -> Mapping[str, Any]:
    """The specs of layers of one shape, stacked along a leading axis.

    Args:
      specs: of one of them.
      names: of each, under which its own slice is drawn.

    Returns:
      The specs in the same tree.

    >>> stack_specs({"weight": ParamSpec((3, 3), 3, 3)}, ["layer_2", "layer_3"])["weight"].shape
    (2, 3, 3)
    """

    def stacked(tree_path: tuple, spec: ParamSpec) -> ParamSpec:
        paths = tuple(f"{name}/{checks.path_name(tree_path)}" for name in names)
        shape = (len(names), *spec.shape)
        return ParamSpec(shape, spec.fan_in, spec.fan_out, spec.role, spec.dtype, stack=paths)

    return jax.tree_util.tree_map_with_path(stacked, specs)


def through_blocks(
    block: Block, params: Params, h: jax.Array, depth: int, observe: bool
) -> tuple[jax.Array, dict[str, LayerState]]:
    """Applies every block to `h` in turn, scanned where the params are stacked.

    Args:
      block: one block; it keeps h's shape and dtype.
      params: the network's, with "blocks" or with "block_1" to "block_depth".
      h: the first one's input.
      depth: how many there are.
      observe: whether to return their states.

    Returns:
      The last one's output, and `{block name: LayerState}`, empty unless observe.
    """
    names, states = block_names(depth), {}
    if "blocks" in params:
        return scan_layers(block, params["blocks"], h, names, observe)
    for name in names:
        h, state = block(params[name], h)
        if observe:
            states[name] = state
    return h, states


def scan_layers(
    layer: Block, params: Params, h: jax.Array, names: Sequence[str], observe: bool
) -> tuple[jax.Array, dict[str, LayerState]]:
    """Applies layers of one shape to `h` in turn, as one `jax.lax.scan`.

    Args:
      layer: one of them; it keeps h's shape and dtype.
      params: theirs, stacked along a leading axis.
      h: the first one's input.
      names: of each.
      observe: whether to return their states.

    Returns:
      The last one's output, and `{name: LayerState}`, empty unless observe.
    """

    def step(h: jax.Array, own: Params) -> tuple[jax.Array, LayerState | None]:
        h, state = layer(own, h)
        # A scan stacks what it returns: None keeps unused states out of memory.
        return h, state if observe else None

    h, stacked = jax.lax.scan(step, h, params)
    if not observe:
        return h, {}
    return h, {
        name: jax.tree.map(lambda each, n=n: each[n], stacked) for n, name in enumerate(names)
    }


def assemble(
    specs: Mapping[str, Any],
    forward: Forward,
    check_input: Callable[[Array], Any],
    activation: Activation,
    depth: int,
    stem: Activation = identity,
) -> Network:
    """A network of a first layer, blocks and a readout, from its forward pass.

    Args:
      specs: of its params; the first key names the first layer.
      forward: its forward pass.
      check_input: x as an array; raises for one that does not fit.
      activation: that of the blocks; the readout is linear.
      depth: how many blocks.
      stem: activation of the first layer.

    Returns:
      The network, compiled.
    """
    blocks = dict.fromkeys(block_names(depth), activation)
    activations = {next(iter(specs)): stem} | blocks | {"readout": identity}

    @jax.jit
    def logits_of(params: Params, x: Array) -> jax.Array:
        checks.check_params(params, specs)
        return forward(params, jnp.asarray(x), False)[0]

    @jax.jit
    def states_of(params: Params, x: Array) -> dict[str, LayerState]:
        checks.check_params(params, specs)
        return forward(params, jnp.asarray(x), True)[1]

    def apply(params: Params, x: Array) -> jax.Array:
        return logits_of(params, check_input(x))

    def layers(params: Params, x: Array) -> dict[str, LayerState]:
        # Compiled functions return dicts sorted by name, block_10 before block_2.
        states = states_of(params, check_input(x))
        return {name: states[name] for name in activations}

    return Network(specs, apply, layers, activations)
