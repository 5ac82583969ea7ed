"""Between which weight variances a signal crosses a network of a given depth."""

import functools
from typing import NamedTuple

import numpy as np

from initlab import checks
from initlab.theory.criticality import critical_sigma_w2
from initlab.theory.trainable_depth import trainable_depth
from initlab.types import Activation, Array

__all__ = ["TrainableEdges", "trainable_edges"]

DECADES = np.geomspace(1e-5, 8, 80)
"""Distances from the critical sigma_w2 at which the trainable depth is tabulated.

Geometric, because the depth scale diverges at the critical line as about 1 / distance.
"""


class TrainableEdges(NamedTuple):
    """The least and the largest `sigma_w2` at which a network of a depth is trainable.

    Attributes:
      lower: in the ordered phase, or where q vanishes; the shape of depth.
      upper: in the chaotic phase, or where q diverges; NaN where a signal crosses the depth at
        any larger variance.
    """

    lower: Array
    upper: Array


@checks.checked
def trainable_edges(
    activation: Activation, depth: Array | float, sigma_b2: float = 0.0
) -> TrainableEdges:
    """The two solutions `sigma_w2` of `depth = 6 xi(sigma_w2, sigma_b2)`, around the critical one.

    Args:
      activation: elementwise function phi.
      depth: hidden layers, above 0; a number or an array, which need not be integers.
      sigma_b2: variance of the biases, a number.

    Returns:
      The edges, NumPy float64, to about a part in a thousand: `1 / xi` is interpolated.

    Raises:
      TypeError: if activation is not a function of one array, or a number is not real.
      ValueError: if activation is not elementwise, depth is not above 0, sigma_b2 is negative, or
        no sigma_w2 is critical at sigma_b2.

    Source: Schoenholz et al. 2017, arXiv:1611.01232, section 5 and figure 5; `trainable_depth` is
    what is inverted.

    >>> import jax
    >>> edges = trainable_edges(jax.nn.relu, 12)  # 2 exp(-6 / 12) and 2 exp(6 / 12)
    >>> round(float(edges.lower), 2), round(float(edges.upper), 2)
    (1.21, 3.3)
    """
    checks.check_scale("sigma_b2", sigma_b2)
    layers = np.asarray(depth, np.float64)
    if not np.all(layers > 0):
        raise ValueError(f"depth must be above 0, got {layers[~(layers > 0)].ravel()[0]}")
    edges = []
    for log_sigma_w2, inverse in _tables(activation, float(sigma_b2)):
        # 1 / xi is a logarithm of chi, and so nearly linear in that of sigma_w2.
        at = np.interp(1 / layers, inverse, log_sigma_w2, right=np.nan)
        edges.append(np.exp(at)[()])
    return TrainableEdges(*edges)


@functools.cache
def _tables(activation: Activation, sigma_b2: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """`(ln sigma_w2, 1 / trainable depth)` below and above the critical line, from it outward."""
    critical = float(critical_sigma_w2(activation, sigma_b2))
    if np.isnan(critical):
        name = getattr(activation, "__name__", activation)
        raise ValueError(f"no sigma_w2 is critical for {name} at sigma_b2 = {sigma_b2}")
    # One call for both sides: trainable_depth compiles once a shape.
    sigma_w2 = critical * 10 ** np.concatenate([-DECADES, DECADES])
    depth = trainable_depth(activation, sigma_w2, sigma_b2)
    tables = []
    for side in (slice(0, DECADES.size), slice(DECADES.size, None)):
        # By depth and not by place, since np.interp requires ascending points and rounding may
        # exchange neighbours where the depth settles.
        order = np.argsort(-depth[side])
        usable = order[np.isfinite(depth[side][order]) & (depth[side][order] > 0)]
        tables.append((np.log(sigma_w2[side][usable]), 1 / depth[side][usable]))
    return tables
