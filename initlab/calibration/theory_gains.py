"""Each weight's gain solved from theory, without a measurement: every product has mean square 1."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.signals.predict import drawn_starts
from initlab.signals.unit_gains import rescaled, unit_gains
from initlab.types import Apply, Params

__all__ = ["to_theory"]


@checks.checked
def to_theory(
    key: jax.Array,
    apply: Apply,
    params: Params,
    batch: Any,
    *,
    init: Callable[[jax.Array], Params] | None = None,
) -> Params:
    """`w_k <- w_k / sqrt(q_k)`: the mean square q_k of each product is 1 in theory.

    q_k is what `signals.predict` says of the k-th product with its bias, all products before it
    already set. Nothing is measured: of params only the mean square of each weight's entries
    counts, of the model its program, of the data their second moments. What `lsuv` does to one draw
    on one batch this does to a law. It is exact for wide layers: over draws of layers of n units,
    the means of q were 1 - 1.1/n to 1 - 1.7/n in a tanh mlp, n from 128 to 512.

    Args:
      key: a JAX key, as every refiner takes; nothing is drawn.
      apply: a pure function `(params, batch) -> outputs`.
      params: where to begin.
      batch: inputs, a few examples; or instances of `jax.ShapeDtypeStruct`, for inputs of
        many entries that are independent standard normals, without any data.
      init: `key -> params`, the law that params were drawn from. With it the factors are those of
        the law, the same for every draw, and params may be traced; without, each weight's entries
        have mean squares of their own, which are set.

    Returns:
      The params. A weight whose product is zero keeps its scale, and so do one whose entries are
      all equal, and a table that is only looked up.

    Raises:
      TypeError: if apply or init is not a function, a leaf of params is not a floating array, or
        params are traced and there is no init; if batch is traced, or has shapes of integers.
      ValueError: if a product cannot be followed, as those of recurrent weights, of one that is
        used twice (tied), or of slices that are taken from a stack but by a loop; if it keeps its
        size whatever its weight's, as where the model normalizes that; if its bias alone has mean
        square 1; if init draws other shapes than those of params; if there is no product of drawn
        params and data, or all are zero.

    Source: Poole et al. 2016, arXiv:1606.05340 (q, layer by layer); Mishkin and Matas 2015,
    arXiv:1511.06422 (of 1).

    >>> params = [0.1 * jax.random.normal(jax.random.key(n), (300, 300)) for n in range(3)]
    >>> apply = lambda ws, x: jax.nn.relu(jax.nn.relu(x @ ws[0]) @ ws[1]) @ ws[2]
    >>> inputs = jax.ShapeDtypeStruct((4, 300), jnp.float32)
    >>> found = to_theory(jax.random.key(9), apply, params, inputs)
    >>> [round(300 * float(jnp.mean(w**2)), 1) for w in found]  # 1, and 2 after each relu
    [1.0, 2.0, 2.0]
    """
    del key
    checks.check_model(apply, params, batch)
    checks.check_known("batch", batch, "to_theory")
    if init is None:
        checks.check_known("params", params, "to_theory")
        starts = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], params)
        return rescaled(params, unit_gains(apply, starts, batch))
    checks.check_callable("init", init)
    # Within a caller's jit, too, factors are numbers: none depends on what is traced.
    with jax.ensure_compile_time_eval():
        starts, squares = drawn_starts(init)
        drawn = jax.tree.map(lambda leaf: np.shape(leaf)[1:], starts)
        given = jax.tree.map(np.shape, params)
        if drawn != given:
            raise ValueError(f"init must draw params of the shapes given, {given}, got {drawn}")
        factors = unit_gains(apply, starts, batch, squares)
    return rescaled(params, factors)
