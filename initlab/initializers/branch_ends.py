"""How residual branches end at the start: at zero, smaller with depth, or behind small gates.

Beside `initlab.initializers.residual`, whose schemes know how many branches there are in all.
"""

import re
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.initializers.combinators import by_role
from initlab.initializers.distributions import constant, normal, truncated_normal, zeros
from initlab.initializers.fans import fan_in
from initlab.initializers.variance import variance_scaling
from initlab.types import Initializer, Number, ParamSpec

__all__ = ["depth_indexed", "layer_scale", "zero_branch_ends"]


@checks.checked
def zero_branch_ends(inside: Initializer) -> Initializer:
    """`w = 0` at the end of every residual branch, `inside` elsewhere: each block is the identity.

    What is behind an end gets no gradient in the first step, and one from the second on. Where a
    norm ends the branch, as in residual networks for images and in sandwiches, its scale is what
    starts at zero: `by_path({"*norm_after/scale": zeros(), "*": by_role(inside)})`.

    Args:
      inside: for all other weights.

    Returns:
      The initializer of a whole network: biases 0, gates 1.

    Raises:
      TypeError: if inside is not callable.

    Source: Goyal et al. 2017, arXiv:1706.02677, section 5.1 (of norm scales); as weights, Karpathy
      2025, nanochat, and Jordan et al. 2024, modded-nanogpt.

    >>> from initlab.initializers import ones
    >>> from initlab.types import Role
    >>> zero_branch_ends(ones())(jax.random.key(0), ParamSpec((2,), 1, 2, Role.RESIDUAL)).tolist()
    [0.0, 0.0]
    """
    return by_role(inside, residual=zeros())


@checks.checked
def layer_scale(inside: Initializer, depth: int) -> Initializer:
    """Gates 0.1 up to 18 blocks, 1e-5 up to 24, 1e-6 in deeper networks: a start near the identity.

    Args:
      inside: for the weights, as `truncated_normal(0.02)` in the paper.
      depth: how many blocks the network has, at least 1.

    Returns:
      The initializer of a whole network; it requires one with gates.

    Raises:
      TypeError: if inside is not callable or depth not an integer.
      ValueError: if depth is under 1.

    Source: Touvron et al. 2021, arXiv:2103.17239, section 2.

    >>> from initlab.initializers import ones
    >>> from initlab.types import Role
    >>> gate = layer_scale(ones(), 12)(jax.random.key(0), ParamSpec((2,), 1, 1, Role.GATE))
    >>> [round(float(each), 3) for each in gate]
    [0.1, 0.1]
    """
    checks.check_count("depth", depth, 1)
    start = 0.1 if depth <= 18 else 1e-5 if depth <= 24 else 1e-6
    return by_role(inside, gate=constant(start))


@checks.checked
def depth_indexed(std: Number = 0.02, first: int = 1) -> Initializer:
    """`N(0, std^2)`, at the ends of block l `std / sqrt(2 (l + 1))`, l from 0; cut at 3 std.

    The stream's mean square then grows with the logarithm of the depth, and a deeper network draws
    its first blocks as a shallow one does; `gpt2` has one factor for all blocks. The readout is
    `N(0, 1/fan_in)`, also cut at 3 std; embeddings are `N(0, 1)`.

    Args:
      std: of the weights, before truncation; may be traced.
      first: the number of the first block in the paths: 1 as in "block_1/attention", 0 as in
        flax's "Block_0"; the first number of a path counts, in a stack the first that tells its
        slices apart.

    Returns:
      The initializer of a whole network. It raises ValueError for the end of a branch whose path
      has no number, or one under `first`.

    Raises:
      TypeError: if std is not a number or first not an integer.
      ValueError: if std is negative, NaN or infinite.

    Source: Liang et al. 2024, torchtitan, arXiv:2410.06511 (its code's depth_init, which cuts
      the readout alone, and draws the linear half of a gated mlp as it does ends); the cut at 3 std
      and the same factor, over 1/sqrt(fan_in), Groeneveld et al. 2024, OLMo, arXiv:2402.00838.

    >>> from initlab.types import Role
    >>> spec = ParamSpec((99, 99), 99, 99, Role.RESIDUAL, path="block_8/mlp/layer_2/weight")
    >>> round(float(depth_indexed()(jax.random.key(0), spec).std()), 4)
    0.005
    """
    checks.check_scale("std", std)
    checks.check_count("first", first, 0)
    weight = truncated_normal(std, -3.0, 3.0)

    def end(key: jax.Array, spec: ParamSpec) -> jax.Array:
        # The slices of a stack are drawn together: their numbers are known, which one it is traced.
        paths, place = (spec.stack, spec.place) if spec.stack else ((spec.path,), 0)
        factors = [(2 * (number + 1)) ** -0.5 for number in _block_numbers(paths, first)]
        return weight(key, spec) * jnp.asarray(factors, spec.dtype)[place]

    return by_role(weight, residual=end, readout=_readout, embedding=normal(1.0))


def _readout(key: jax.Array, spec: ParamSpec) -> jax.Array:
    unit = truncated_normal(1.0, -3.0, 3.0)
    return variance_scaling(1.0, fan_in, unit)(key, spec)


def _block_numbers(paths: Sequence[str], first: int) -> list[int]:
    """Which block each path is of, from 0."""
    numbers = [[int(each) for each in re.findall(r"\d+", path)] for path in paths]
    # Paths of one stack may share numbers before their block's, as "Scan_0/1/kernel" does.
    own = [column for column in zip(*numbers, strict=False) if len(set(column)) == len(paths)]
    if not own or min(own[0]) < first:
        raise ValueError(
            f"the end of a branch must have its block's number in its path, from {first} on, got "
            f"{paths[0]!r}: first is the number of the first block"
        )
    return [number - first for number in own[0]]
