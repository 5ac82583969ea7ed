"""Keys by name: distinct, a function of the seed and the path alone, of the given style."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initlab.keys import path_key

PATHS = [f"layer_{number}/{kind}" for number in range(150) for kind in ("weight", "bias")]
STYLES = {
    "new": jax.random.key,
    "old": jax.random.PRNGKey,
    "rbg": lambda seed: jax.random.key(seed, impl="rbg"),
}


def _words(key):
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


def _crc32(data):
    """The checksum of zip and PNG, bit by bit."""
    rest = 0xFFFFFFFF
    for byte in data:
        rest ^= byte
        for _ in range(8):
            rest = (rest >> 1) ^ (0xEDB88320 if rest & 1 else 0)
    return rest ^ 0xFFFFFFFF


@pytest.mark.parametrize("style", STYLES)
def test_distinct_paths_and_seeds_have_distinct_keys(style):
    keys = [_words(path_key(STYLES[style](seed), path)) for seed in (0, 1) for path in PATHS]
    keys += [_words(STYLES[style](seed)) for seed in (0, 1)]
    assert len(set(keys)) == 2 * len(PATHS) + 2


@pytest.mark.quick
@pytest.mark.parametrize("style", STYLES)
def test_a_key_keeps_its_style(style):
    key = STYLES[style](3)
    named = path_key(key, "layer_1/weight")
    assert named.dtype == key.dtype
    assert named.shape == key.shape


@pytest.mark.quick
def test_both_styles_give_the_same_key():
    for path in PATHS[:4]:
        old, new = (path_key(STYLES[style](5), path) for style in ("old", "new"))
        assert _words(old) == _words(new)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=20), st.integers(0, 2**31 - 1))
def test_the_key_is_the_seed_folded_with_the_checksum_of_the_path(path, seed):
    # A checksum that is the same in every process, as Python's own hash of a text is not.
    key = jax.random.key(seed)
    want = jax.random.fold_in(key, np.uint32(_crc32(path.encode())))
    assert _words(path_key(key, path)) == _words(want)
    assert _words(path_key(key, path)) == _words(path_key(jax.random.key(seed), path))


@pytest.mark.quick
def test_traced_and_mapped_keys_are_the_concrete_ones():
    seeds = jnp.arange(4)
    mapped = jax.jit(jax.vmap(lambda seed: path_key(jax.random.key(seed), "layer_1/bias")))(seeds)
    for number in range(4):
        assert _words(mapped[number]) == _words(path_key(jax.random.key(number), "layer_1/bias"))
