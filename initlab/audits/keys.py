"""Whether `init` draws from its key: starts that are equal, parameters that never change."""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.audits.draws import LEAST, is_draw
from initlab.audits.duplicates import find_duplicates
from initlab.audits.evidence import Evidence
from initlab.audits.finding import Finding
from initlab.audits.thresholds import Thresholds
from initlab.types import Params

__all__ = ["Drawn", "compare_starts", "ignores_key"]


class Drawn(NamedTuple):
    """What several keys say of an `init`.

    Attributes:
      keys: how many different ones it was given.
      starts: how many different starts they gave.
      fixed: numbers of the parameters that look random and are the same for every key.
      agreeing: sets of parameters, each too small to be compared in one start, that are one draw
        over all of them; with their correlation.
    """

    keys: int
    starts: int
    fixed: tuple[int, ...]
    agreeing: tuple[tuple[tuple[str, ...], float], ...]


def compare_starts(starts: Params, keys: jax.Array, correlation: float) -> Drawn:
    """Compares the starts that different keys gave, bit by bit.

    Args:
      starts: params with a first axis of seeds.
      keys: of either style, [seeds], from which they were drawn.
      correlation: from which two parameters count as one draw.

    Returns:
      What the keys say of the `init`.
    """
    different = _different_keys(keys)
    pairs = jax.tree_util.tree_leaves_with_path(starts)
    leaves = [np.asarray(leaf) for _, leaf in pairs]
    fixed = [all(_equal(leaf, different[0], n) for n in different[1:]) for leaf in leaves]
    first: list[int] = []
    moving = [leaf for leaf, is_fixed in zip(leaves, fixed, strict=True) if not is_fixed]
    for seed in different:
        if not any(all(_equal(leaf, seed, other) for leaf in moving) for other in first):
            first.append(seed)
    random = [
        n
        for n, (leaf, is_fixed) in enumerate(zip(leaves, fixed, strict=True))
        if is_fixed and len(different) > 1 and np.isfinite(leaf[0]).all() and is_draw(leaf[0])
    ]
    small = [
        (checks.path_name(path), _centred(leaf[different]))
        for (path, _), leaf in zip(pairs, leaves, strict=True)
        if leaf[0].size < LEAST and np.isfinite(leaf).all()
    ]
    agreeing = tuple((tuple(names), size) for names, size in find_duplicates(small, correlation))
    return Drawn(len(different), len(first), tuple(random), agreeing)


def _different_keys(keys: jax.Array) -> list[int]:
    """The first seed of each different key."""
    is_new_style = jnp.issubdtype(keys.dtype, jax.dtypes.prng_key)
    data = np.asarray(jax.random.key_data(keys) if is_new_style else keys)
    return sorted(np.unique(data.reshape(len(data), -1), axis=0, return_index=True)[1].tolist())


def _equal(leaf: np.ndarray, one: int, other: int) -> bool:
    """Whether two seeds have the same bits, NaN being equal to itself."""
    bits = [np.ascontiguousarray(leaf[n]).reshape(-1).view(np.uint8) for n in (one, other)]
    # Draws differ at once: only what agrees there is compared in whole.
    return np.array_equal(bits[0][:256], bits[1][:256]) and np.array_equal(bits[0], bits[1])


def _centred(values: np.ndarray) -> np.ndarray:
    """[seeds, ...] less the mean over seeds: what the key adds to a parameter's own pattern."""
    values = values.astype(np.float64)
    return (values - values.mean(axis=0)).reshape(-1)


def ignores_key(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """Random numbers that are the same for every key, or parameters that always agree."""
    drawn = evidence.drawn
    if drawn is None or drawn.keys < 2:
        return
    if drawn.starts == 1:
        fixed = bool(drawn.fixed)
        yield Finding(
            "ignores_key",
            "warn" if fixed else "info",
            "init",
            1,
            drawn.keys,
            f"the {drawn.keys} keys give one and the same start, so that runs of several seeds are "
            "one run" + ("" if fixed else "; nothing in it is random, and it was measured once"),
            "draw the parameters from init's argument (jax.random.split), not from a key or a "
            "generator made inside"
            if fixed
            else "nothing, if no parameter is to be drawn at random",
        )
        return
    if drawn.starts < drawn.keys:
        yield Finding(
            "ignores_key",
            "warn",
            "init",
            drawn.starts,
            drawn.keys,
            f"only {drawn.starts} of {drawn.keys} starts differ, though all of their keys do",
            "pass the key itself on (jax.random.split), not a number computed from it",
        )
    trained = evidence.model.trained
    for number in drawn.fixed:
        # A random table that is not trained, as of random features, may be one for all seeds.
        yield Finding(
            "ignores_key",
            "warn" if trained >> number & 1 else "info",
            evidence.model.paths[number],
            1,
            drawn.keys,
            f"it looks random and is the same for all {drawn.keys} keys",
            "draw it from init's key; nothing, if it is loaded or fixed on purpose",
        )
    by_path = {path: number for number, path in enumerate(evidence.model.paths)}
    for names, correlation in drawn.agreeing:
        if all(trained >> by_path[name] & 1 for name in names):
            yield Finding(
                "ignores_key",
                "warn",
                ", ".join(names),
                correlation,
                thresholds.duplicate_correlation,
                f"these parameters agree for all {drawn.keys} keys: one key drew them all",
                "split the key: one for each parameter",
            )
