"""Spectral norms and stable ranks of weights are those of the matrices that their uses make."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from audit_models import IMAGES, ROWS, deep, deep_tanh, drawn, lecun, normal
from heads_models import attend, dense_experts, of_experts, of_heads

import initlab
from initlab.audits.matrices import spectral_norm


def numbers(matrix, fan_in):
    """An oracle: all singular values."""
    values = np.linalg.svd(matrix.astype(float), compute_uv=False)
    fan_out = matrix.size / fan_in
    return values[0] / np.sqrt(fan_out / fan_in), np.sum(values**2) / values[0] ** 2


def measured(apply, params, batch):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        rows = initlab.audit(apply, params, batch).to_dataset()
    return {
        str(name): (float(rows.spectral_norm[0, n]), float(rows.stable_rank[0, n]))
        for n, name in enumerate(rows["weight"].values)
    }


def test_layers_of_a_scan_and_transposed_weights():
    params: Any = deep(lecun(32), depth=3) | {"last": normal(4, (5, 10), 0.3)}
    found = measured(lambda p, x: deep_tanh(p, x) @ p["last"].T, params, ROWS)
    for n in range(3):
        oracle = numbers(params["blocks"]["w"][n], 32)
        np.testing.assert_allclose(found[f"blocks/w[{n}]"], oracle, rtol=1e-4)
    np.testing.assert_allclose(found["last"], numbers(params["last"], 10), rtol=1e-4)
    np.testing.assert_allclose(found["in"], numbers(params["in"], 8), rtol=1e-4)


def test_members_and_kernels():
    params = of_experts()
    found = measured(dense_experts, params, normal(3, (8, 5, 16), 1.0))
    each = [numbers(expert, 16) for expert in params["experts"]]
    oracle = max(norm for norm, _ in each), np.mean([rank for _, rank in each])
    np.testing.assert_allclose(found["experts"], oracle, rtol=1e-4)
    model = nn.Sequential([nn.Conv(4, (3, 3)), nn.relu, lambda x: x.mean((1, 2)), nn.Dense(5)])
    variables = drawn(lambda key: model.init(key, IMAGES))
    found = measured(model.apply, variables, IMAGES)
    kernel = np.asarray(variables["params"]["layers_0"]["kernel"]).reshape(27, 4)
    oracle = numbers(kernel, 27)
    np.testing.assert_allclose(found["params/layers_0/kernel"], oracle, rtol=1e-4)
    params = of_heads()
    found = measured(attend(), params, normal(3, (8, 5, 16), 1.0))
    oracle = numbers(params["o"].reshape(16, 16), 16)
    np.testing.assert_allclose(found["o"], oracle, rtol=1e-4)


def test_many_starts_and_what_is_not_finite():
    def init(key):
        return {"w": jax.random.normal(key, (8, 3)), "o": jnp.full((3, 2), jnp.nan)}

    def apply(params, x):
        return jnp.tanh(x @ params["w"]) @ params["o"]

    keys = jax.random.split(jax.random.key(0), 3)
    rows = initlab.audit(apply, None, ROWS, init=init, keys=keys).to_dataset()
    oracle = [numbers(np.asarray(init(key)["w"]), 8) for key in keys]
    got = np.stack([rows.spectral_norm.sel(weight="w"), rows.stable_rank.sel(weight="w")], axis=1)
    np.testing.assert_allclose(got, oracle, rtol=1e-4)
    assert np.isnan(rows.spectral_norm.sel(weight="o")).all()


@pytest.mark.parametrize("size", [3e-30, 3e37])
def test_sizes_at_the_ends_of_float32(size):
    params = {"w": normal(1, (8, 4), 1.0) * np.float32(size)}
    found = measured(lambda p, x: (x @ p["w"])[:, :2], params, ROWS * np.float32(1e-3))
    norm, rank = numbers(params["w"].astype(float), 8)
    np.testing.assert_allclose(found["w"], (norm, rank), rtol=1e-4)


@pytest.mark.quick
@pytest.mark.parametrize("shape", [(300, 500), (700, 90), (64, 64)])
def test_a_large_norm_is_found_from_below_to_two_percent(shape):
    w = normal(0, shape, 1.0)
    largest = np.linalg.svd(w, compute_uv=False)[0]
    assert 0.98 * largest <= spectral_norm(w) <= (1 + 1e-5) * largest
    one = np.outer(w[:, 0], w[0])
    assert spectral_norm(one) == pytest.approx(np.linalg.norm(w[:, 0]) * np.linalg.norm(w[0]))
    assert spectral_norm(np.zeros_like(w)) == 0
