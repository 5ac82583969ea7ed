"""Find, classify and prove on real models of three frameworks."""

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from initlab import symmetry as sy

X = np.random.default_rng(0).standard_normal((2, 3, 8)).astype(np.float32)
HEADS, FEATURES = 2, 4


class Attention(nn.Module):
    """Self-attention without biases, kernels [d, heads, features]."""

    @nn.compact
    def __call__(self, x):
        return nn.MultiHeadDotProductAttention(HEADS, use_bias=False)(x)


def flax_attention():
    model = Attention()
    return model.apply, model.init(jax.random.key(0), X)


def equinox_attention():
    model = eqx.nn.MultiheadAttention(HEADS, 8, key=jax.random.key(0))
    params, static = eqx.partition(model, eqx.is_inexact_array)
    return lambda params, x: jax.vmap(eqx.combine(params, static))(x, x, x), params


def haiku_attention():
    def forward(x):
        init = hk.initializers.VarianceScaling(1.0)
        return hk.MultiHeadAttention(HEADS, FEATURES, w_init=init, with_bias=False)(x, x, x)

    model = hk.without_apply_rng(hk.transform(forward))
    return model.apply, model.init(jax.random.key(0), X)


# Frameworks promote dtypes and ranks.
@pytest.fixture(
    params=[
        flax_attention,
        pytest.param(equinox_attention, marks=pytest.mark.thorough),
        pytest.param(haiku_attention, marks=pytest.mark.thorough),
    ],
    ids=["flax", "equinox", "haiku"],
    scope="module",
)
def model(request):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        apply, params = request.param()
        yield apply, params, sy.find_groups(apply, params, X)


def test_heads_and_features_are_found(model):
    _, params, groups = model
    sizes = sorted(group.size for group in groups)
    # Heads, the features that queries and keys share, and those of values.
    assert sizes == sorted([HEADS, FEATURES, FEATURES])
    widths = sy.effective_width(params, groups)
    assert {name: int(width) for name, width in widths.items()} == {
        group.name: group.size for group in groups
    }
    sy.assert_symmetry_broken(params, groups)


def heads_of(groups):
    return next(group for group in groups if group.size == HEADS)


def test_heads_made_alike_are_one_and_stay_one_under_adam(model):
    apply, params, groups = model
    heads = heads_of(groups)
    alike = sy.symmetric_part(params, [heads])
    assert sy.unit_classes(alike, heads).tolist() == [0, 0]
    with pytest.raises(AssertionError, match=r"copies of each other: .*: 0 = 1"):
        sy.assert_symmetry_broken(alike, groups)
    optimizer = optax.adam(1e-2)

    def update(state, x):
        params, moments = state
        gradient = jax.grad(lambda params: jnp.mean(jnp.square(apply(params, x) - 1)))(params)
        updates, moments = optimizer.update(gradient, moments, params)
        return optax.apply_updates(params, updates), moments

    found = sy.check_induction(update, (alike, optimizer.init(alike)), [heads], X, draws=2)
    assert found.symmetric == {heads.name: True}
    assert found.dtype in (np.float32, np.float64)


def test_an_update_that_spoils_one_head_is_caught(model):
    _, params, groups = model
    heads = heads_of(groups)
    alike = sy.symmetric_part(params, [heads])

    def spoil(params, _):
        leaves, tree = jax.tree.flatten(params)
        first = leaves[0]
        spoilt = first + 1e-3 * jnp.arange(first.size, dtype=first.dtype).reshape(first.shape)
        return tree.unflatten([spoilt, *leaves[1:]])

    found = sy.check_induction(spoil, alike, [heads], None, draws=2)
    assert found.base == {heads.name: True}
    assert not found.step[heads.name].holds
    assert found.step[heads.name].broken_by > 1e-3
