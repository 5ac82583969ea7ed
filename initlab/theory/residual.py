"""Scales for residual branches, by which depth does not make the stream or its updates grow."""

from initlab import checks

__all__ = ["fixup_scale", "stable_branch_scale"]


@checks.checked
def fixup_scale(blocks: int, branch_layers: int) -> float:
    """`blocks^(-1 / (2 branch_layers - 2))`: for all weights of a branch but the last, which is 0.

    A step of gradient descent then changes the network's output by as much at any depth.

    Args:
      blocks: residual branches in the network.
      branch_layers: linear layers in a branch, at least 2.

    Returns:
      The factor of the usual initializer's weights.

    Raises:
      TypeError: if a count is not an integer.
      ValueError: if blocks is under 1 or branch_layers under 2.

    Source: Zhang, Dauphin and Ma 2019, arXiv:1901.09321, section 3.

    >>> fixup_scale(16, 2)
    0.25
    """
    checks.check_count("blocks", blocks, 1)
    checks.check_count("branch_layers", branch_layers, 2)
    return float(blocks ** (-1 / (2 * branch_layers - 2)))


@checks.checked
def stable_branch_scale(blocks: int) -> float:
    """`blocks^(-1/2)`: the sum of squared scales is 1, so that the stream's growth is bounded.

    With branches that keep q, the stream's q grows by `(1 + 1 / blocks)^blocks < e`.

    Args:
      blocks: residual branches in the network.

    Returns:
      The factor of each branch.

    Raises:
      TypeError: if blocks is not an integer.
      ValueError: if it is under 1.

    Source: Hanin and Rolnick 2018, arXiv:1803.01719.

    >>> stable_branch_scale(16)
    0.25
    """
    checks.check_count("blocks", blocks, 1)
    return float(blocks**-0.5)
