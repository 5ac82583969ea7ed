"""Data drawn for an mlp: params, inputs, cotangents."""

import itertools
import math

import numpy as np


def draw_data(sizes, examples, dtype, seed=0):
    """Params with biases, inputs, and a cotangent for each logit."""
    rng = np.random.default_rng(seed)
    params = {
        f"layer_{n}": {
            "weight": (rng.standard_normal((i, j)) / math.sqrt(i)).astype(dtype),
            "bias": rng.standard_normal(j).astype(dtype) / 2,
        }
        for n, (i, j) in enumerate(itertools.pairwise(sizes), start=1)
    }
    x = rng.standard_normal((examples, sizes[0])).astype(dtype)
    return params, x, rng.standard_normal((examples, sizes[-1])).astype(dtype)
