"""The decoder's options: what they promise, its groups, and each against NumPy."""

import jax
import jax.numpy as jnp
import network_oracles
import numpy as np
import pytest
from deep_networks import PHI, start
from known_groups import groups_as_read, read_groups
from thorough import rows

from initlab import networks
from initlab import symmetry as sy
from initlab.networks.positions import rotate

TOKENS = np.random.default_rng(0).integers(0, 7, (2, 4))
LLAMA = {"positions": "rotary", "norm": "rms", "mlp": "gated", "kv_heads": 2, "gates": "channel"}


def decoder(name="silu", depth=1, **options):
    return networks.transformer(
        (7, 16, 7), depth, PHI[name], heads=4, length=5, hidden=9, **options
    )


def doubled(network, params):
    """Logits in float64."""
    return network.apply(jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params), TOKENS)


@pytest.mark.quick
def test_rotated_products_depend_on_the_distance_alone():
    q, k = np.random.default_rng(1).standard_normal((2, 6))
    with jax.enable_x64(True):
        rows = [rotate(jnp.asarray(np.tile(each, (1, 9, 1, 1)))) for each in (q, k)]
        products = np.einsum("td,sd->ts", *(np.asarray(each)[0, :, 0] for each in rows))
    for apart in range(-8, 9):
        assert np.ptp(np.diagonal(products, apart)) < 1e-12
    np.testing.assert_allclose(products[0, 0], q @ k, rtol=1e-12)
    assert np.ptp(products[:, 0]) > 0.1


@pytest.mark.thorough
def test_heads_that_share_keys_are_heads_with_copies_of_them():
    kv_heads = 2
    with jax.enable_x64(True):
        grouped = decoder(kv_heads=kv_heads, dtype=np.float64)
        params = start(grouped)
        copied = jax.tree.map(np.copy, params)
        for name in ("key", "value"):
            own = copied["block_1"]["attention"][name]
            for leaf in own:
                apart = own[leaf].reshape(*own[leaf].shape[:-1], kv_heads, 4)
                own[leaf] = np.repeat(apart, 4 // kv_heads, axis=-2).reshape(
                    *own[leaf].shape[:-1], 16
                )
        full = decoder(dtype=np.float64)
        np.testing.assert_allclose(
            doubled(grouped, params), doubled(full, copied), rtol=1e-12, atol=1e-12
        )


@pytest.mark.quick
def test_numbers_may_be_traced():
    params = start(decoder(softcap=1.0))
    names = ("branch_scale", "attention_scale", "softcap", "readout_scale", "readout_softcap")

    @jax.jit
    def logits(numbers):
        return decoder(**dict(zip(names, numbers, strict=True))).apply(params, TOKENS)

    numbers = (0.5, 0.3, 2.0, 0.25, 4.0)
    fixed = decoder(**dict(zip(names, numbers, strict=True))).apply(params, TOKENS)
    np.testing.assert_allclose(logits(numbers), fixed, rtol=1e-5)


STREAM = """block_1.attention.{norm.scale,output.bias} 0, block_1.attention.output.weight 1,
    block_1.attention.{query,key,value}.weight 0, block_1.mlp.{layer_1,linear}.weight 0,
    block_1.mlp.layer_2.{weight 1,bias 0}, block_1.mlp.norm.scale 0, embedding.table 1,
    readout.norm.scale 0, readout.weight 0"""
HIDDEN = "9: block_1.mlp.{layer_1,linear}.{weight 1,bias 0}, block_1.mlp.layer_2.weight 0"
# Written down from the layers. Rotations tell the features of queries and keys apart, sinusoids
# those of the stream; of the queries that share a key any two may be exchanged, in all groups at
# once, and so may the groups.
VALUES = """4: block_1.attention.value.weight 1[2,4,1], block_1.attention.value.bias 0[2,4,1],
    block_1.attention.output.weight 0[4,4,1]"""
SHARING = """2: block_1.attention.query.weight 1[2,2,4], block_1.attention.query.bias 0[2,2,4],
    block_1.attention.output.weight 0[2,2,4]"""
GROUPS = """2: block_1.attention.{key,value}.weight 1[1,2,4],
    block_1.attention.output.weight 0[1,2,8], block_1.attention.{key,value}.bias 0[1,2,4],
    block_1.attention.query.weight 1[1,2,8],
    block_1.attention.query.bias 0[1,2,8]"""
KEYS = """4: block_1.attention.key.weight 1[2,4,1], block_1.attention.key.bias 0[2,4,1],
    block_1.attention.query.weight 1[4,4,1], block_1.attention.query.bias 0[4,4,1],
    block_1.attention.{query_norm,key_norm}.scale 0"""
KNOWN = {
    "rotary": (
        LLAMA,
        f"16: {STREAM}, block_1.{{attention,mlp}}.gate 0; {VALUES}; {SHARING}; {GROUPS}; {HIDDEN}",
    ),
    "sinusoidal": (
        {"positions": "sinusoidal", "norm": "rms", "mlp": "gated", "kv_heads": 2, "qk_norm": "rms"},
        f"{VALUES}; {SHARING}; {GROUPS}; {KEYS}; {HIDDEN}",
    ),
}


@pytest.mark.parametrize("name", rows(KNOWN, {"rotary"}))
def test_the_known_groups_and_no_others(name):
    options, text = KNOWN[name]
    with jax.enable_x64(True):
        network = decoder(**options, dtype=np.float64)
        params = start(network)
        groups, coverage = sy.find_groups(network.apply, params, TOKENS, report=True)
        assert groups_as_read(groups) == read_groups(text)
        assert coverage == ((), 0.0, ())
        before = doubled(network, params)
        for group in groups:
            order = np.random.default_rng(2).permutation(group.size)
            moved = sy.permute(params, group, order)
            np.testing.assert_allclose(doubled(network, moved), before, rtol=1e-9, atol=1e-12)


CHOICES = {
    "positions": ("learned", "sinusoidal", "rotary", None),
    "norm, norm_at": (("layer", "pre"), ("rms", "post"), ("rms", "both"), (None, "pre")),
    "kv_heads": (4, 2, 1),
    "qk_norm": (None, "rms", "layer"),
    "attention_scale": ("1/sqrt(d)", "1/d", 0.3),
    "softcap": (None, 0.8),
    "mlp": ("plain", "gated"),
    "bias": (True, False),
    "gates": (None, "scalar", "channel"),
    "branch_scale": (1.0, 0.7),
    "tied": (False, True),
    "readout_scale": (1.0, 0.2),
    "readout_softcap": (None, 2.0),
    "scanned": (False, True),
}


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(40))
def test_options_in_any_combination_are_those_of_numpy(seed):
    rng = np.random.default_rng(seed)
    options = {name: each[rng.integers(len(each))] for name, each in CHOICES.items()}
    options["norm"], options["norm_at"] = options.pop("norm, norm_at")
    with jax.enable_x64(True):
        network = decoder("tanh", 2, **options, dtype=np.float64)
        params = start(network)
        logits = doubled(network, params)
    if options.pop("scanned"):
        blocks = params.pop("blocks")
        for n in range(2):
            params[f"block_{n + 1}"] = jax.tree.map(lambda leaf, n=n: leaf[n], blocks)
    by_hand = network_oracles.transformer(params, TOKENS, "tanh", heads=4, **options)
    np.testing.assert_allclose(logits, by_hand["readout"][0], rtol=1e-10, atol=1e-10)
