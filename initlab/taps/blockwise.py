"""Softmaxes taken block by block, with a running maximum and a running sum (online softmax).

Of each block what can be merged is kept, row by row; the whole row's entropy is found at the end.
Source: Milakov and Gimelshein 2018, arXiv:1805.02867; Rabe and Staats 2021, arXiv:2112.05682.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab.taps.facts import Key
from initlab.taps.scope import Scope, Site
from initlab.taps.softmax_statistics import MASKED, is_masked, per_head
from initlab.taps.trails import Trail

__all__ = [
    "block_statistics",
    "branch_trail",
    "has_blocks",
    "leaving_trail",
    "mark_blocks",
    "merge_blocks",
    "merge_turns",
    "stacked_trail",
]


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


def merge_blocks(blocks: Mapping[str, jax.Array], units: Sequence[bool]) -> dict[str, jax.Array]:
    """Entropy, limit and std of whole rows, as `softmax_statistics` gives them.

    Args:
      blocks: of `block_statistics`, with a first axis of blocks.
      units: the axes of units of the rows, among which are the heads.

    Returns:
      entropy, limit and std, [heads].

    >>> def entropy_of_halves(z):
    ...     found = [block_statistics(part, (1,)) for part in jnp.split(z, 2, axis=1)]
    ...     blocks = {name: jnp.stack([each[name] for each in found]) for name in found[0]}
    ...     return merge_blocks(blocks, (False,))["entropy"][0]
    >>> z = jnp.log(jnp.asarray([[1.0, 2.0, 1.0, 4.0]]))
    >>> round(float(jax.jit(entropy_of_halves)(z)), 3)
    1.213
    """
    # A block that lies far below the others is masked as a whole.
    is_seen = jnp.max(blocks["top"], 0, keepdims=True) - blocks["top"] <= MASKED
    counts = jnp.where(is_seen, blocks["count"], 0)
    count = jnp.sum(counts, 0)
    log_sum = jax.scipy.special.logsumexp(blocks["log_sum"], 0)
    weights = jnp.exp(blocks["log_sum"] - log_sum[None])
    # sum_i p_i log p_i, p_i = exp(z_i - log_sum).
    entropy = jnp.maximum(jnp.sum(weights * (log_sum[None] - blocks["mean"]), 0), 0)
    among = jnp.maximum(count, 1)
    middle = jnp.sum(jnp.where(is_seen, counts * blocks["middle"], 0), 0) / among
    apart = jnp.where(is_seen, blocks["middle"] - middle[None], 0)
    spread = jnp.where(is_seen, blocks["spread"], 0) + counts * jnp.square(apart)
    is_judged = count >= 2
    return {
        "entropy": per_head(entropy, is_judged, units),
        "limit": per_head(jnp.log(among), is_judged, units),
        "std": jnp.sqrt(per_head(jnp.sum(spread, 0) / among, is_judged, units)),
    }


def leaving_trail(trail: Trail | None) -> Trail | None:
    """The trail of what a loop hands out, where it is a running sum or mixture; without values."""
    return _without_values(trail, ("sum", "mixture"))


def branch_trail(trail: Trail | None) -> Trail | None:
    """The trail of what a branch hands out, where it is a softmax's weights; without values."""
    return _without_values(trail, ("weights",))


def _without_values(trail: Trail | None, parts: Sequence[str]) -> Trail | None:
    if trail is None or trail.part not in parts or trail.softmax is None:
        return None
    before = dataclasses.replace(trail.softmax.before, scores=None)
    softmax = dataclasses.replace(trail.softmax, logits=None, before=before, axes=(), blocks=[])
    return dataclasses.replace(trail, softmax=softmax, along=(), scores=None)


def stacked_trail(trail: Trail | None) -> Trail | None:
    """The trail of what a loop stacks: its first axis is that of the turns."""
    return trail and dataclasses.replace(trail, units=(False, *trail.units))


def mark_blocks(trails: Sequence[Trail | None]) -> None:
    """Notes which softmaxes run on over the turns of a loop; one softmax has one copy outside."""
    for trail in trails:
        if trail is not None and trail.part == "sum" and trail.softmax is not None:
            trail.softmax.uses.add("in_blocks")


def has_blocks(body: Scope) -> bool:
    """Whether a softmax of a loop's body runs on over its turns."""
    return any(isinstance(each, Site) and "in_blocks" in each.uses for each in body.entries)


def merge_turns(body: Scope, results: Mapping[Key, Any]) -> dict[Key, Any]:
    """Measurements of a loop's body, those of a softmax in blocks merged over the turns.

    Args:
      body: the loop's sites.
      results: what was measured, a first axis of turns everywhere.

    Returns:
      The same, the whole softmax's numbers in each turn.
    """
    merged = dict(results)
    for key, found in results.items():
        if "blocks" not in found:
            continue
        site = body.entries[key[-1]]
        assert isinstance(site, Site)
        whole = merge_blocks(found["blocks"], site.features)
        turns = found["entropy"].shape[0]
        kept = {name: each for name, each in found.items() if name not in ("blocks", "load")}
        merged[key] = kept | {
            name: jnp.broadcast_to(each, (turns, *each.shape)) for name, each in whole.items()
        }
    return merged
