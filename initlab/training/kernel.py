"""The gradient of a small mlp's loss as one GPU kernel, for many runs at once.

XLA writes hidden activations to memory between two kernels of a step, since it reckons that each of
a layer's sums would take the activation's function again. Here a warp computes a run: 32 examples
in its lanes, a loop over such tiles, parameters and one accumulator for each of them in registers.
Only parameters are read and gradients written.

Every unit of a layer is the same sequence of operations, written out, none of them contracted, so
that units which start identical stay bit-identical.
"""

import functools
import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab.networks.mlp import Chain
from initlab.objectives import binary_cross_entropy, mean_squared_error, softmax_cross_entropy
from initlab.types import Params

__all__ = ["LANES", "SLOPES", "gradient_kernel"]

LANES = 32
"""Examples that a warp computes together."""


def _binary_slope(z: Sequence[jax.Array], y: jax.Array) -> list[jax.Array]:
    sign = 1 - 2 * y.astype(z[0].dtype)
    sign = jnp.where(jnp.abs(sign) == 1, sign, jnp.nan)
    return [sign * jax.nn.sigmoid(sign * z[0])]


def _squared_slope(z: Sequence[jax.Array], y: jax.Array) -> list[jax.Array]:
    return [2 * (z[0] - y.astype(z[0].dtype))]


def _softmax_slope(z: Sequence[jax.Array], y: jax.Array) -> list[jax.Array]:
    largest = functools.reduce(jnp.maximum, z)
    powers = [jnp.exp(each - largest) for each in z]
    total = functools.reduce(operator.add, powers)
    chosen = [y == number for number in range(len(z))]
    known = functools.reduce(operator.or_, chosen)
    return [
        jnp.where(known, power / total - one.astype(power.dtype), 0)
        for power, one in zip(powers, chosen, strict=True)
    ]


SLOPES = {
    binary_cross_entropy: _binary_slope,
    mean_squared_error: _squared_slope,
    softmax_cross_entropy: _softmax_slope,
}
"""`(logits, one array for each output; labels) -> slopes of an example's loss by each of them`."""


def gradient_kernel(
    chain: Chain, loss: Any, params: Params, x: jax.Array, y: jax.Array, *, interpret: bool = False
) -> Params:
    """The gradient of the mean loss, for each run.

    Args:
      chain: of an mlp.
      loss: a key of SLOPES.
      params: float32 leaves [runs, ...].
      x: inputs [B, n_0], or [runs, B, n_0].
      y: labels [B], or [runs, B].
      interpret: run the kernel's operations one by one, on any device.

    Returns:
      Gradients as params.
    """
    # Imported where it is needed: it takes a while, and its part for GPUs may leave JAX.
    from jax.experimental import pallas
    from jax.experimental.pallas import triton

    examples = x.shape[-2]
    fill = -examples % LANES
    # Copies of the last example: finite where it is. Their slopes are taken for zero.
    rows = jnp.swapaxes(x, -2, -1)
    rows = jnp.pad(rows, [(0, 0)] * (rows.ndim - 1) + [(0, fill)], mode="edge")
    labels = jnp.pad(y, [(0, 0)] * (y.ndim - 1) + [(0, fill)], mode="edge")
    leaves, tree = jax.tree.flatten(params)

    def kernel(*refs: Any) -> None:
        inputs, (x_ref, y_ref), outputs = (
            refs[: len(leaves)],
            refs[len(leaves) : len(leaves) + 2],
            refs[len(leaves) + 2 :],
        )
        run = pallas.program_id(0)
        numbers = [_scalars(ref, run) for ref in inputs]
        flat, form = jax.tree.flatten(jax.tree.unflatten(tree, numbers))

        def tile(number: jax.Array, sums: list[jax.Array]) -> list[jax.Array]:
            first = number * LANES
            lanes = pallas.ds(first, LANES)
            at = (run,) if x_ref.ndim == 3 else ()
            h = [x_ref[(*at, unit, lanes)] for unit in range(rows.shape[-2])]
            labels = y_ref[((run,) if y_ref.ndim == 2 else ()) + (lanes,)]
            live = first + jax.lax.broadcasted_iota(jnp.int32, (LANES,), 0) < examples

            def slopes(z: list[jax.Array]) -> list[jax.Array]:
                return [jnp.where(live, each, 0) for each in SLOPES[loss](z, labels)]

            found = _backward(chain, jax.tree.unflatten(form, flat), h, slopes)
            return [total + each for total, each in zip(sums, jax.tree.leaves(found), strict=True)]

        zeros = [jnp.zeros(LANES, x.dtype) for _ in flat]
        sums = jax.lax.fori_loop(0, (examples + fill) // LANES, tile, zeros)
        means = jax.tree.unflatten(form, [jnp.sum(each) / examples for each in sums])
        for ref, entries in zip(outputs, tree.flatten_up_to(means), strict=True):
            _store(ref, run, entries)

    out = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]
    call: Any = pallas.pallas_call(
        kernel,
        out_shape=out,
        grid=(leaves[0].shape[0],),
        interpret=interpret,
        compiler_params=triton.CompilerParams(num_warps=1, num_stages=1),
    )
    return jax.tree.unflatten(tree, call(*leaves, rows, labels))


def _scalars(ref: Any, run: jax.Array) -> list[Any]:
    """A run's numbers: [n] as n of them, [m, n] as m lists of n."""
    if ref.ndim == 2:
        return [ref[run, j] for j in range(ref.shape[1])]
    return [[ref[run, i, j] for j in range(ref.shape[2])] for i in range(ref.shape[1])]


def _store(ref: Any, run: jax.Array, entries: list[Any]) -> None:
    for i, entry in enumerate(entries):
        if ref.ndim == 2:
            ref[run, i] = entry
        else:
            for j, each in enumerate(entry):
                ref[run, i, j] = each


def _backward(chain: Chain, params: Params, h: list[jax.Array], slopes: Any) -> Params:
    """Each parameter's term of the gradient for each example, from arrays of one unit each."""
    inputs, backs, found = {}, {}, {}
    names = list(chain.activations)
    z = h
    for name in names:
        inputs[name], weight, bias = h, params[name]["weight"], params[name].get("bias")
        z = [_sum([weight[i][j] * each for i, each in enumerate(h)]) for j in range(len(weight[0]))]
        if bias is not None:
            z = [each + b for each, b in zip(z, bias, strict=True)]
        if name != names[-1]:
            pairs = [jax.vjp(chain.activations[name], each) for each in z]
            h, backs[name] = [value for value, _ in pairs], [back for _, back in pairs]
    dz = slopes(z)
    for name in reversed(names):
        weight = params[name]["weight"]
        found[name] = {"weight": [[each * slope for slope in dz] for each in inputs[name]]}
        if "bias" in params[name]:
            found[name]["bias"] = dz
        if name != names[0]:
            below = names[names.index(name) - 1]
            dh = [_sum([w * slope for w, slope in zip(row, dz, strict=True)]) for row in weight]
            dz = [back(each)[0] for back, each in zip(backs[below], dh, strict=True)]
    return found


def _sum(terms: Sequence[jax.Array]) -> jax.Array:
    return functools.reduce(operator.add, terms)
