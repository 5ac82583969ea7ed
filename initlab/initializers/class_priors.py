"""A readout that starts with the classes' own shares: the loss begins at that of the best guess."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.initializers.combinators import by_path
from initlab.types import Array, Initializer, ParamSpec

__all__ = ["log_prior"]


@checks.checked
def log_prior(
    inside: Initializer, shares: Sequence[float] | Array, bias: str = "readout/bias"
) -> Initializer:
    """`b_k = log p_k` in the readout, of one logit `log(p / (1 - p))`: softmax and sigmoid give p.

    Where the other logits start near 0, so that the first steps need not learn how rare a class is.

    Args:
      inside: of the whole network, as `small_readout(he_normal())`.
      shares: p: of each class [K], each over 0, with the sum 1; of one logit the share of ones,
        `[p]`, between 0 and 1.
      bias: shell pattern of the path of the readout's bias, of as many entries.

    Returns:
      The initializer of a whole network.

    Raises:
      TypeError: if inside is not callable or shares not numbers.
      ValueError: if shares are none, a share is not over 0, or their sum is not 1; when drawn, if
        the bias has another number of entries.

    Source: Lin et al. 2017, Focal loss, arXiv:1708.02002, section 3.3 and 4.1, of one logit.

    >>> from initlab.initializers import ones
    >>> from initlab.types import Role
    >>> spec = ParamSpec((2,), 4, 2, Role.BIAS, path="readout/bias")
    >>> b = log_prior(ones(), [0.25, 0.75])(jax.random.key(0), spec)
    >>> [round(float(each), 3) for each in jax.nn.softmax(b)]
    [0.25, 0.75]
    """
    known = np.asarray(shares, np.float64)
    if known.ndim != 1 or not known.size or not (np.isfinite(known) & (known > 0)).all():
        raise ValueError(f"shares must be numbers over 0, one for each logit, got {shares!r:.80}")
    if known.size == 1 and known[0] >= 1:
        raise ValueError(f"shares of one logit must be under 1, got {shares!r:.80}")
    if known.size > 1 and abs(known.sum() - 1) > 1e-6:
        raise ValueError(f"shares must have the sum 1, got {known.sum()}: divide counts by it")
    logits = np.log(known) - (np.log1p(-known) if known.size == 1 else 0.0)

    def prior(key: jax.Array, spec: ParamSpec) -> jax.Array:
        del key
        if spec.shape != logits.shape:
            raise ValueError(
                f"shares must be as many as {spec.path!r} has entries, {spec.shape}, got "
                f"{logits.shape}"
            )
        return jnp.asarray(logits, spec.dtype)

    return by_path({bias: prior, "*": inside})
