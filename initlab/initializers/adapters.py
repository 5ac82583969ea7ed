"""Low-rank adapters of trained weights: params in, `W + scale A B` out, with A and B to be trained.

A weight W [inputs, units] stays frozen; A is [inputs, rank] and B [rank, units]. Three starts of
them, after which the adapted network computes what the given one does.
"""

import dataclasses
import fnmatch
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.initializers.fans import kernel_shape
from initlab.keys import path_key
from initlab.types import Array, Number, Params, ParamSpec, Role

__all__ = ["Adapted", "adapted_params", "lora", "lora_scale", "olora", "pissa"]


class Adapted(NamedTuple):
    """Params with low-rank adapters.

    Attributes:
      base: the frozen params: what was given, less what the adapters hold at the start.
      factors: `{path: {"a": [inputs, rank], "b": [rank, units]}}`, to be trained; of a stack or of
        members with their axes before these.
      scale: what `A B` is multiplied by.
    """

    base: Params
    factors: dict[str, dict[str, jax.Array]]
    scale: Number


Start = Callable[[str, jax.Array], tuple[jax.Array, jax.Array]]
"""`(path, weights [count, inputs, units]) -> (a, b)`, each [count, ...]."""


@checks.checked
def lora_scale(alpha: Number, rank: int, stabilized: bool = True) -> Number:
    """`alpha / sqrt(rank)`, or `alpha / rank`: what `A B` is multiplied by.

    Over rank, an adapter of a higher rank learns more slowly; over its root, gradients and updates
    are of one size at every rank.

    Args:
      alpha: the scale of rank 1; may be traced.
      rank: of the adapters, at least 1.
      stabilized: the root (rsLoRA), or LoRA's own.

    Returns:
      The scale.

    Raises:
      TypeError: if alpha is not a number or rank not an integer.
      ValueError: if alpha is NaN or infinite, or rank under 1.

    Source: Hu et al. 2021, arXiv:2106.09685, section 4.1; Kalajdzievski 2023, arXiv:2312.03732.

    >>> lora_scale(16.0, 64), lora_scale(16.0, 64, stabilized=False)
    (2.0, 0.25)
    """
    checks.check_number("alpha", alpha)
    checks.check_count("rank", rank, 1)
    return alpha / (math.sqrt(rank) if stabilized else rank)


@checks.checked
def lora(
    key: jax.Array,
    specs: Params,
    params: Params,
    rank: int,
    *,
    weights: str = "*",
    scale: Number = 1.0,
) -> Adapted:
    """`A ~ U[-r, r)`, `r = 1/sqrt(inputs)`, `B = 0`: the start of LoRA.

    B gets a gradient in the first step, A from the second on.

    Args:
      key: a JAX key; each A is drawn under its own path.
      specs: of the params, as `network.specs`.
      params: trained ones.
      rank: of the adapters, at most the inputs and the units of each weight.
      weights: shell pattern of the paths of the weights that are adapted; "*" takes all matrices
        but tables of embeddings, and no convolutions of a window.
      scale: what `A B` is multiplied by: `lora_scale(alpha, rank)`; may be traced.

    Returns:
      The params as they were, with adapters.

    Raises:
      TypeError: if rank is not an integer, or scale not a number.
      ValueError: if params are not of the specs, no matrix matches, or rank does not fit.

    Source: Hu et al. 2021, arXiv:2106.09685, section 4.1; U as in its code and peft's
      (`kaiming_uniform_(a=sqrt(5))`), where the paper has a Gaussian.

    >>> specs = {"w": ParamSpec((4, 3), 4, 3)}
    >>> adapted = lora(jax.random.key(0), specs, {"w": jnp.ones((4, 3))}, 2)
    >>> adapted.factors["w"]["a"].shape, float(abs(adapted.factors["w"]["b"]).max())
    ((4, 2), 0.0)
    """

    def start(path: str, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
        count, inputs, units = weights.shape
        limit = inputs**-0.5
        shape = (count, inputs, rank)
        a = jax.random.uniform(path_key(key, path), shape, weights.dtype, -limit, limit)
        return a, jnp.zeros((count, rank, units), weights.dtype)

    return _adapt(specs, params, rank, weights, scale, start)


@checks.checked
def pissa(
    specs: Params, params: Params, rank: int, *, weights: str = "*", scale: Number = 1.0
) -> Adapted:
    """`A = U_r sqrt(S_r / scale)`, `B = sqrt(S_r / scale) V_r^T`: the principal singular vectors.

    The frozen weight is what is left, `W - scale A B`, so that training moves W's largest
    directions from the first step on.

    Args:
      specs: of the params, as `network.specs`.
      params: trained ones.
      rank: r, at most the inputs and the units of each weight.
      weights: shell pattern of the weights that are adapted, as in `lora`.
      scale: what `A B` is multiplied by, over 0; may be traced.

    Returns:
      Residual params with adapters.

    Raises:
      TypeError: if rank is not an integer, or scale not a number.
      ValueError: if params are not of the specs, no matrix matches, rank does not fit, or scale is
        not over 0.

    Source: Meng, Wang and Zhang 2024, arXiv:2404.02948, equations 2 and 3; with the scale, peft
      (`pissa_init`).

    >>> specs = {"w": ParamSpec((2, 2), 2, 2)}
    >>> adapted = pissa(specs, {"w": jnp.diag(jnp.array([4.0, 1.0]))}, 1)
    >>> abs(adapted.base["w"]).round(5).tolist()
    [[0.0, 0.0], [0.0, 1.0]]
    """
    checks.check_number("scale", scale)
    if checks.is_concrete(scale) and float(scale) <= 0:
        raise ValueError(f"scale must be over 0, got {scale}")

    def start(path: str, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
        del path
        left, values, right = jnp.linalg.svd(weights, full_matrices=False)
        roots = jnp.sqrt(values[:, :rank] / jnp.asarray(scale, weights.dtype))
        return left[:, :, :rank] * roots[:, None], roots[:, :, None] * right[:, :rank]

    return _adapt(specs, params, rank, weights, scale, start)


@checks.checked
def olora(
    specs: Params, params: Params, rank: int, *, weights: str = "*", scale: Number = 1.0
) -> Adapted:
    """`A = R_r^T`, `B = Q_r^T` of `W^T = Q R`: B has orthonormal rows.

    The frozen weight is what is left, `W - scale A B`.

    Args:
      specs: of the params, as `network.specs`.
      params: trained ones.
      rank: r, at most the inputs and the units of each weight.
      weights: shell pattern of the weights that are adapted, as in `lora`.
      scale: what `A B` is multiplied by; may be traced.

    Returns:
      Residual params with adapters.

    Raises:
      TypeError: if rank is not an integer, or scale not a number.
      ValueError: if params are not of the specs, no matrix matches, or rank does not fit.

    Source: Büyükakyüz 2024, arXiv:2406.01775, algorithm 1; peft (`olora_init`).

    >>> specs = {"w": ParamSpec((3, 2), 3, 2)}
    >>> b = olora(specs, {"w": jnp.ones((3, 2))}, 1).factors["w"]["b"]
    >>> round(float((b**2).sum()), 5)
    1.0
    """

    def start(path: str, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
        del path
        q, r = jnp.linalg.qr(weights.mT)
        return r[:, :rank].mT, q[:, :, :rank].mT

    return _adapt(specs, params, rank, weights, scale, start)


@checks.checked
def adapted_params(specs: Params, adapted: Adapted) -> Params:
    """`W + scale A B` where there is an adapter, W elsewhere: what the network is applied to.

    Args:
      specs: of the params, as `network.specs`.
      adapted: base, factors and scale; the factors may have been trained.

    Returns:
      The params, for `network.apply`: `jax.grad` of a loss of the factors goes through it.

    Raises:
      ValueError: if adapted is of another network.

    >>> specs, params = {"w": ParamSpec((3, 2), 3, 2)}, {"w": jnp.ones((3, 2))}
    >>> bool(abs(adapted_params(specs, olora(specs, params, 1))["w"] - 1).max() < 1e-6)
    True
    """
    by_path = checks.check_specs(specs)
    own = checks.leaves_by_path("adapted.base", adapted.base)
    if set(own) != set(by_path) or not set(adapted.factors) <= set(own):
        raise ValueError(
            f"adapted must be of the specs' network, {list(by_path)[:4]}, got {list(own)[:4]} and "
            f"factors of {list(adapted.factors)[:4]}"
        )
    for path, factors in adapted.factors.items():
        added = _product(factors["a"], factors["b"], adapted.scale)
        own[path] = own[path] + _unfolded(added, by_path[path])
    return jax.tree.unflatten(jax.tree.structure(adapted.base), own.values())


def _adapt(
    specs: Params, params: Params, rank: int, weights: str, scale: Number, start: Start
) -> Adapted:
    by_path = checks.check_specs(specs)
    checks.check_params(params, specs)
    checks.check_count("rank", rank, 1)
    checks.check_number("scale", scale)
    chosen = [path for path in fnmatch.filter(by_path, weights) if _is_matrix(by_path[path])]
    if not chosen:
        raise ValueError(
            f"weights must name a matrix, got {weights!r}, of which {list(by_path)[:8]} has none"
        )
    own = checks.leaves_by_path("params", params)
    factors = {}
    for path in chosen:
        folded = _folded(own[path], by_path[path])
        if rank > min(folded.shape[-2:]):
            raise ValueError(
                f"rank must be at most the inputs and units of {path!r}, {folded.shape[-2:]}, got "
                f"{rank}: weights= names those that are adapted"
            )
        lead = folded.shape[:-2]
        a, b = start(path, folded.reshape(-1, *folded.shape[-2:]))
        a, b = a.reshape(*lead, *a.shape[1:]), b.reshape(*lead, *b.shape[1:])
        factors[path] = {"a": a, "b": b}
        own[path] = own[path] - _unfolded(_product(a, b, scale), by_path[path])
    return Adapted(jax.tree.unflatten(jax.tree.structure(params), own.values()), factors, scale)


def _product(a: jax.Array, b: jax.Array, scale: Number) -> jax.Array:
    return jnp.matmul(a, b) * jnp.asarray(scale, a.dtype)


def _is_matrix(spec: ParamSpec) -> bool:
    one = _of_one(spec)
    matrix = spec.role in PRODUCTS and len(one.shape) >= 2
    return matrix and not kernel_shape("an adapter", one)[0]


PRODUCTS = (Role.INPUT, Role.WEIGHT, Role.RESIDUAL, Role.READOUT)
"""Roles of weights that multiply a signal; an embedding is looked up."""


def _of_one(spec: ParamSpec) -> ParamSpec:
    """The spec of one slice and member."""
    shape = spec.shape[1:] if spec.stack else spec.shape
    own = tuple(size for axis, size in enumerate(shape) if axis not in spec.members)
    return dataclasses.replace(spec, shape=own, stack=(), members=())


def _folded(leaf: Array, spec: ParamSpec) -> jax.Array:
    """[*slices and members, inputs, units]."""
    _, inputs, units = kernel_shape("an adapter", _of_one(spec))
    leaf = jnp.moveaxis(jnp.asarray(leaf), *_fronts(spec))
    lead = leaf.shape[: leaf.ndim - len(_of_one(spec).shape)]
    return leaf.reshape(*lead, inputs, units)


def _unfolded(folded: jax.Array, spec: ParamSpec) -> jax.Array:
    """The inverse of `_folded`."""
    lead = folded.shape[:-2]
    members, fronts = _fronts(spec)
    return jnp.moveaxis(folded.reshape(*lead, *_of_one(spec).shape), fronts, members)


def _fronts(spec: ParamSpec) -> tuple[list[int], list[int]]:
    """The members' axes of a leaf, and where they lie in front, behind a stack's."""
    behind = 1 if spec.stack else 0
    return [axis + behind for axis in spec.members], [
        place + behind for place in range(len(spec.members))
    ]
