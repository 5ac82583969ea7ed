"""Softmaxes taken block by block, with a running maximum and a running sum (online softmax).

Of each block what can be merged is kept, row by row; the whole row's entropy is found at the end.
Source: Milakov and Gimelshein 2018, arXiv:1805.02867; Rabe and Staats 2021, arXiv:2112.05682.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab.taps.facts import Key
from initlab.taps.scope import Loop, Place, Scope
from initlab.taps.softmax_statistics import MASKED, is_masked, per_head
from initlab.taps.trails import Trail

__all__ = [
    "block_statistics",
    "crossing_trail",
    "gather_blocks",
    "joined_trail",
    "mark_blocks",
    "merge_blocks",
    "merge_turns",
    "merge_whole",
    "row_statistics",
    "trail_behind",
]

CROSSING = ("exponentials", "sum", "mixture", "weights", "log_sum", "log_weights")
"""Parts of a softmax that one scope may make and another take."""


def block_statistics(scores: jax.Array, axes: Sequence[int]) -> dict[str, jax.Array]:
    """What is kept of one block of a row of scores z, each of the shape of the rows.

    Args:
      scores: what exp is taken of, before a maximum is subtracted.
      axes: those of the block's entries.

    Returns:
      top (the largest), log_sum (of exp z), mean (of z, by its weights in the block), count (of
      unmasked entries), middle (their plain mean) and spread (sum of squares around it).
    """
    z = jax.lax.stop_gradient(scores)
    z = z.astype(jnp.promote_types(z.dtype, jnp.float32))
    # Masks of -inf would give NaN where a whole block is masked.
    z = jnp.maximum(z, jnp.finfo(z.dtype).min / 4)
    over = tuple(axes)
    log_sum = jax.scipy.special.logsumexp(z, over, keepdims=True)
    weights = jnp.exp(z - log_sum)
    seen = ~is_masked(z, over)
    count = jnp.sum(seen, over, keepdims=True).astype(z.dtype)
    middle = jnp.sum(jnp.where(seen, z, 0), over, keepdims=True) / jnp.maximum(count, 1)
    spread = jnp.sum(jnp.square(jnp.where(seen, z - middle, 0)), over)
    return {
        "top": jnp.max(z, over),
        "log_sum": jnp.squeeze(log_sum, over),
        "mean": jnp.sum(weights * z, over),
        "count": jnp.squeeze(count, over),
        "middle": jnp.squeeze(middle, over),
        "spread": spread,
    }


def merge_blocks(blocks: Mapping[str, jax.Array], axis: int = 0) -> dict[str, jax.Array]:
    """Several blocks of the same rows as one block.

    Args:
      blocks: of `block_statistics`, with an axis of blocks; NaN where a block was not computed.
      axis: that axis.

    Returns:
      The same, without the axis.
    """
    blocks = {name: jnp.moveaxis(each, axis, 0) for name, each in blocks.items()}
    least = jnp.finfo(blocks["top"].dtype).min / 4
    is_missing = jnp.isnan(blocks["top"])
    top = jnp.where(is_missing, least, blocks["top"])
    # A block that lies far below the others is masked as a whole.
    is_seen = ~is_missing & (jnp.max(top, 0, keepdims=True) - top <= MASKED)
    counts = jnp.where(is_seen, blocks["count"], 0)
    count = jnp.sum(counts, 0)
    log_sums = jnp.where(is_missing, least, blocks["log_sum"])
    log_sum = jax.scipy.special.logsumexp(log_sums, 0)
    weights = jnp.exp(log_sums - log_sum[None])
    middles = jnp.where(is_seen, blocks["middle"], 0)
    middle = jnp.sum(counts * middles, 0) / jnp.maximum(count, 1)
    spread = jnp.where(is_seen, blocks["spread"], 0) + counts * jnp.square(middles - middle[None])
    return {
        "top": jnp.max(top, 0),
        "log_sum": log_sum,
        "mean": jnp.sum(jnp.where(is_missing, 0, weights * blocks["mean"]), 0),
        "count": count,
        "middle": middle,
        "spread": jnp.sum(spread, 0),
    }


def row_statistics(block: Mapping[str, jax.Array], units: Sequence[bool]) -> dict[str, jax.Array]:
    """Entropy, limit and std of whole rows, as `softmax_statistics` gives them.

    Args:
      block: of `block_statistics` or `merge_blocks`: all that a row has.
      units: the axes of units of the rows, among which are the heads.

    Returns:
      entropy, limit and std, [heads].

    >>> def entropy_of_halves(z):
    ...     found = [block_statistics(part, (1,)) for part in jnp.split(z, 2, axis=1)]
    ...     blocks = {name: jnp.stack([each[name] for each in found]) for name in found[0]}
    ...     return row_statistics(merge_blocks(blocks), (False,))["entropy"][0]
    >>> z = jnp.log(jnp.asarray([[1.0, 2.0, 1.0, 4.0]]))
    >>> round(float(jax.jit(entropy_of_halves)(z)), 3)
    1.213
    """
    # sum_i p_i log p_i, p_i = exp(z_i - log_sum).
    entropy = jnp.maximum(block["log_sum"] - block["mean"], 0)
    among = jnp.maximum(block["count"], 1)
    is_judged = block["count"] >= 2
    return {
        "entropy": per_head(entropy, is_judged, units),
        "limit": per_head(jnp.log(among), is_judged, units),
        "std": jnp.sqrt(per_head(block["spread"] / among, is_judged, units)),
    }


def crossing_trail(trail: Trail | None) -> Trail | None:
    """The trail of what enters or leaves a branch, or leaves a loop: without values."""
    if trail is None:
        return None
    softmax = trail.softmax
    if trail.part not in CROSSING:
        return dataclasses.replace(trail, part="", softmax=None, along=(), scores=None)
    if softmax is not None:
        before = dataclasses.replace(softmax.before, scores=None)
        gone = {"logits": None, "scores": None, "key": None, "axes": ()}
        softmax = dataclasses.replace(softmax, before=before, **gone)
    return dataclasses.replace(trail, softmax=softmax, along=(), scores=None)


def joined_trail(trails: Sequence[Trail | None]) -> Trail | None:
    """The trail of a result of several branches; what is the same part in all is of one softmax."""
    found = [each for each in trails if each is not None]
    first = next((each for each in found if each.softmax is not None), None)
    if first is None:
        return found[0] if found else None
    assert first.softmax is not None
    for other in found:
        if other.softmax is not None and other.part == first.part:
            first.softmax.unite(other.softmax)
    return first


def trail_behind(trail: Trail | None, *, is_stacked: bool) -> Trail | None:
    """The trail of a loop's result, of a softmax alone; of what it stacks the first axis is new."""
    if trail is None or trail.softmax is None:
        return None
    return dataclasses.replace(trail, units=(False, *trail.units)) if is_stacked else trail


def mark_blocks(trails: Sequence[Trail | None], body: Scope) -> frozenset[Key]:
    """Notes which softmaxes run on over the turns of a loop.

    Args:
      trails: of its results.
      body: its sites.

    Returns:
      The keys of those softmaxes.
    """
    running = []
    for trail in trails:
        if trail is not None and trail.part == "sum" and trail.softmax is not None:
            trail.softmax.uses.add("in_blocks")
            running.append(trail.softmax.uses)
    return frozenset(
        place.key for place in body.sites() if any(place.site.uses is uses for uses in running)
    )


def merge_turns(loop: Loop, results: Mapping[Key, Any]) -> dict[Key, Any]:
    """Measurements of a loop's body, the blocks of a softmax merged over the turns.

    Args:
      loop: the loop.
      results: what was measured, a first axis of turns everywhere.

    Returns:
      The same; the blocks of a softmax that runs on have no such axis.
    """
    return {
        key: found | {"blocks": merge_blocks(found["blocks"])}
        if key in loop.running and "blocks" in found
        else found
        for key, found in results.items()
    }


def gather_blocks(plan: Scope) -> None:
    """Notes of each block of a softmax which site stands for all of them, once all is read."""
    firsts: list[Place] = []
    for place in plan.sites():
        if "in_blocks" not in place.site.uses:
            continue
        for first in firsts:
            if place.site.uses is first.site.uses and _layout(place) == _layout(first):
                place.site.part_of = first.key
                break
        else:
            firsts.append(place)


def _layout(place: Place) -> tuple:
    """What blocks that can be merged have in common: their rows, and the loops around these."""
    return place.site.shape, [loop for loop in place.loops if place.key not in loop.running]


def merge_whole(plan: Scope, results: Mapping[Key, Any]) -> dict[Key, Any]:
    """All measurements, those of a softmax in blocks being of its whole rows.

    Args:
      plan: the sites.
      results: what was measured.

    Returns:
      The same; the whole softmax's numbers in each turn of the loops over its blocks.
    """
    merged = dict(results)
    parts: dict[Key, list[Place]] = {}
    for place in plan.sites():
        if "blocks" in results.get(place.key, {}):
            parts.setdefault(place.site.part_of or place.key, []).append(place)
    for key, places in parts.items():
        found = [results[place.key]["blocks"] for place in places]
        block = {name: jnp.stack([each[name] for each in found]) for name in found[0]}
        of_rows = functools.partial(row_statistics, units=places[0].site.features)
        turns = [key in loop.running for loop in places[0].loops]
        for _ in range(turns.count(False)):
            of_rows = jax.vmap(of_rows)
        whole = of_rows(merge_blocks(block))
        kept = {k: each for k, each in results[key].items() if k not in ("blocks", "load")}
        axes = [n for n, is_running in enumerate(turns) if is_running]
        merged[key] = kept | {
            name: jnp.broadcast_to(jnp.expand_dims(each, axes), results[key][name].shape)
            for name, each in whole.items()
        }
        for place in places[1:]:
            merged[place.key] = {k: v for k, v in results[place.key].items() if k != "blocks"}
    return merged
