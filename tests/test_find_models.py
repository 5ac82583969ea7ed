"""The known groups of real models are found, all and no others; moving them changes nothing."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_groups import KNOWN, groups_as_read, known_groups
from models_with_units import MODELS, LinenTransformer, linen, words
from thorough import rows

from initlab import networks
from initlab import symmetry as sy
from initlab.symmetry.groups import mlp_groups

FAST = {"xla_backend_optimization_level": 0}
"""Each program runs but a few times."""

# Each beside one of its kind or of its framework.
SLOW = {"haiku stacked transformer", "linen mixer", "linen scanned transformer", "nnx transformer"}


def random_leaves(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: (
            rng.standard_normal(leaf.shape).astype(leaf.dtype)
            if jnp.issubdtype(leaf.dtype, jnp.floating)
            else rng.integers(0, 7, leaf.shape).astype(leaf.dtype)
        ),
        shapes,
    )


def test_every_model_has_known_groups():
    assert set(KNOWN) == set(MODELS)


@pytest.mark.parametrize("name", rows(MODELS, MODELS.keys() - SLOW))
def test_the_known_groups_and_no_others(name):
    apply, shapes, x = MODELS[name]()
    groups, coverage = sy.find_groups(apply, shapes, x, report=True)
    assert groups_as_read(groups) == known_groups(name)
    assert coverage == ((), 0.0, ())
    assert len({group.name for group in groups}) == len(groups)
    params, inputs = random_leaves(shapes), random_leaves(x, 1)
    run = jax.jit(apply, compiler_options=FAST)
    before = np.asarray(run(params, inputs))
    rng = np.random.default_rng(2)
    for group in groups:
        moved = sy.permute(params, group, rng.permutation(group.size))
        np.testing.assert_allclose(run(moved, inputs), before, rtol=1e-3, atol=1e-4)
        # One axis of several is not enough, except where softmax forgets what it is given.
        parts = [dataclasses.replace(group, axes=(unit,)) for unit in group.axes[:3]]
        turned = np.roll(np.arange(group.size), 1)
        changes = [
            np.abs(run(sy.permute(params, part, turned), inputs) - before).max() for part in parts
        ]
        assert max(changes) > 1e-2


def test_the_groups_of_the_labs_own_network():
    network = networks.mlp((2, 5, 4, 3), jnp.tanh)
    params = jax.tree.map(lambda spec: jax.ShapeDtypeStruct(spec.shape, spec.dtype), network.specs)
    found = sy.find_groups(network.apply, params, jax.ShapeDtypeStruct((7, 2), jnp.float32))
    assert groups_as_read(found) == groups_as_read(mlp_groups(network.specs))
    assert [(group.name, group.size) for group in found] == [("layer_1", 5), ("layer_2", 4)]


def test_a_large_language_model_given_as_shapes():
    module = LinenTransformer(50257, 1024, 768, 12, 3072, 12)
    apply, shapes, x = linen(module, words(1, 1024))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 124_439_808
    before = len(jax.live_arrays())
    groups, coverage = sy.find_groups(apply, shapes, x, report=True)
    assert len(jax.live_arrays()) == before
    assert coverage == ((), 0.0, ())
    sizes = [group.size for group in groups]
    assert sorted(sizes) == sorted([768] + [12, 64, 64, 3072] * 12)
    (stream,) = (group for group in groups if group.size == 768)
    assert len(stream.axes) == 4 + 12 * 12
    assert not [
        group for group in groups if not re.match(r"block_\d+|embed|norm|place", group.name)
    ]


@pytest.mark.parametrize("made", ["closed over", "computed", "scanned"])
def test_an_array_of_ones_for_each_layer_ties_no_layers(made):
    """Head masks of BERT-like models: each layer reads a row of one array that never varies."""
    ones = np.ones((2, 4), np.float32)

    def apply(params, x):
        mask = jnp.ones((2, 4)) if made == "computed" else ones
        rows = mask if made == "computed" else jnp.asarray(mask)
        if made == "scanned":
            up = {"up": params["up"], "down": params["down"]}

            def step(h, layer):
                up, row = layer
                return h + (jnp.tanh(h @ up["up"]) * row[None]) @ up["down"], None

            return jax.lax.scan(step, x, (up, rows))[0]
        for number in range(2):
            x = (
                x
                + (jnp.tanh(x @ params["up"][number]) * rows[number][None])
                @ (params["down"][number])
            )
        return x

    params = {"up": jnp.ones((2, 3, 4)), "down": jnp.ones((2, 4, 3))}
    (units,) = sy.find_groups(apply, params, jnp.ones((5, 3)))
    assert units.size == 4
    assert units.blocks == (2,)
