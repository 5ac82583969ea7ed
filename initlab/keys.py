"""Random keys that depend on the seed and on a parameter's path, and on nothing else."""

import zlib

import jax

from initlab import checks

__all__ = ["path_key"]


@checks.checked
def path_key(key: jax.Array, path: str) -> jax.Array:
    """Key of one named thing: `fold_in(key, crc32(path))`.

    Adding or removing a layer reshuffles no other layer's draw, and the same seed gives a path the
    same draw at every scale: a sweep over scale is a paired experiment.

    Args:
      key: a JAX key, old or new style.
      path: the name, as "layer_1/weight".

    Returns:
      A key of the same style.

    >>> import jax
    >>> key = jax.random.key(0)
    >>> bool(path_key(key, "layer_1/weight") == path_key(key, "layer_2/weight"))
    False
    """
    return jax.random.fold_in(key, zlib.crc32(path.encode()))
