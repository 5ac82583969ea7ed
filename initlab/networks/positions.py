"""Where a token stands: sinusoids added to the stream, or rotations of queries and keys."""

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["BASE", "rotate", "sinusoids"]

BASE = 10_000.0
"""Of the wavelengths, which grow from 2 pi to 2 pi BASE: the same in both papers."""


def sinusoids(length: int, width: int) -> np.ndarray:
    """`sin(t BASE^(-2i/width))` and `cos` of it, at features 2i and 2i + 1 of position t.

    Args:
      length: how many positions.
      width: features; of an odd width the last cosine is left out.

    Returns:
      [length, width], float64.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5.

    >>> sinusoids(2, 3).round(3).tolist()
    [[0.0, 1.0, 0.0], [0.841, 0.54, 0.002]]
    """
    angles = _angles(length, width)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(length, -1)[:, :width]


def rotate(x: jax.Array) -> jax.Array:
    """Features 2i and 2i + 1 at position t, turned by the angle `t BASE^(-2i/size)`.

    A product of a query and a key that are turned depends on how far apart they stand, not on
    where. Neighbouring features are pairs, as in the paper; libraries that pair i with
    i + size / 2 have the same functions with their features in another order.

    Args:
      x: queries or keys [B, T, heads, size], size even.

    Returns:
      An array of x's shape and dtype.

    Source: Su et al. 2021, arXiv:2104.09864, eq. 34.

    >>> rotate(jnp.array([[[[1.0, 0.0]], [[1.0, 0.0]]]])).round(3).tolist()
    [[[[1.0, 0.0]], [[0.5400000214576721, 0.8410000205039978]]]]
    """
    # In float64 up to here: late positions' angles would lose their digits in float32.
    angles = _angles(x.shape[1], x.shape[-1])[None, :, None]
    cos, sin = (np.asarray(of(angles), x.dtype) for of in (np.cos, np.sin))
    even, odd = x[..., ::2], x[..., 1::2]
    turned = [even * cos - odd * sin, even * sin + odd * cos]
    return jnp.stack(turned, axis=-1).reshape(x.shape)


def _angles(length: int, size: int) -> np.ndarray:
    """[length, ceil(size / 2)]."""
    return np.outer(np.arange(length), BASE ** (-np.arange(0, size, 2) / size))
