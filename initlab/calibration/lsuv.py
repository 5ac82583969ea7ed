"""Layer-sequential unit variance: each weight scaled so that its product has rms 1."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.calibration.compiled import run_compiled
from initlab.calibration.fallback import keep_unless_blown_up, output_spread
from initlab.calibration.modulators import Tests, find_tests
from initlab.calibration.products import Products, find_products
from initlab.types import Apply, Number, Params

__all__ = ["lsuv", "unit_scales"]


@checks.checked
def lsuv(
    key: jax.Array,
    apply: Apply,
    params: Params,
    batch: Any,
    *,
    target: Number = 1.0,
) -> Params:
    """`w_k <- w_k target / rms(z_k)`, layer by layer in the order of the program.

    z_k is the product of the k-th weight on the batch, with its bias; its rms, the root mean square
    entry, is measured with all weights before it already scaled. One pass for each weight: exact
    where biases are zero. Directions are kept; the paper's orthogonal start is what params
    begin with (`initializers.orthogonal`).

    Args:
      key: a JAX key, as every refiner takes; nothing is drawn.
      apply: a pure function `(params, batch) -> outputs`.
      params: where to begin.
      batch: inputs, some tens of examples.
      target: the rms; may be traced.

    Returns:
      The params. A weight whose product is zero or not finite keeps its scale; so does a table that
      is only looked up; and so does one that a product does not take as it is, moved or times
      constants: the model may undo what is done to a weight that it normalizes or adds to another.
      What modulates a signal that passes on without it (a gate that is open at zero, a log-scale of
      a coupling flow, the last product before an exponential or a sigmoid that is the output, what
      is added to the data themselves) has at most the rms that it came with;
      of the data themselves, at most `1/sqrt(number of branches)` too. Where a model has several
      outputs, as an actor-critic has, the last weight of each is not enlarged.
      Where the outputs are more than four times as large by it all the same, params are given back
      as they came (`changes` shows either).

    Raises:
      TypeError: if apply is not a function, a leaf of params is not a floating array, or target
        not a number.
      ValueError: if target is not over 0; if apply has no product of a parameter and data, or has
        one in a branch or in a loop within a loop.

    Source: Mishkin and Matas 2015, arXiv:1511.06422, algorithm 1.

    >>> params = {"in": jnp.eye(2) * 5, "out": jnp.eye(2)[:1] * 0.1}
    >>> apply = lambda p, x: jnp.tanh(x @ p["in"]) @ p["out"].T
    >>> x = jnp.asarray([[1.0, 1.0], [1.0, -1.0]])
    >>> scaled = lsuv(jax.random.key(0), apply, params, x)
    >>> scaled["in"].round(3).tolist(), round(float(jnp.std(apply(scaled, x))), 3)
    ([[1.0, 0.0], [0.0, 1.0]], 0.0)
    """
    checks.check_scale("target", target)
    if checks.is_concrete(target) and target == 0:
        raise ValueError("target must be over 0, got 0: every product would be 0")
    checks.check_model(apply, params, batch)
    del key
    return run_compiled(_refine, (apply,), params, batch, target)


def _refine(apply: Apply, params: Params, batch: Any, target: Number) -> Params:
    products = find_products(apply, params, batch)
    scales, _ = unit_scales(products, params, batch, target)
    refined = products.scaled(params, scales)
    if all(products.on_path):
        return refined
    return keep_unless_blown_up(products.model, params, refined, batch, target)


def unit_scales(
    products: Products, params: Params, batch: Any, target: Number
) -> tuple[jax.Array, jax.Array]:
    """Scales [K] under which each product has the rms `target`, and what an rms is at most, [K].

    Where a product modulates that is its rms at the start, elsewhere infinite; and where the data
    themselves are modulated it is the share of each branch besides, as in `to_criticality`.

    The loop compiles one measurement of the whole model, which serves every product. To scale on
    the spot, as whitening does before a bias is added, would not do: the bias is measured with the
    product, while others may take the product without it, and of a weight that is used again the
    later uses count, which a pass has not reached yet.
    """
    count, tests = len(products.leaf), find_tests(products)
    wanted = jnp.asarray(target, jnp.float32)
    ones = jnp.ones(count, jnp.float32)
    if tests is None:

        def scale_one(number: jax.Array, scales: jax.Array) -> jax.Array:
            rms = products.rms(products.scaled(params, scales), batch)
            return products.changed(scales, number, wanted / rms[number])

        scales = jax.lax.fori_loop(0, count, scale_one, ones)
        return scales, jnp.full(count, jnp.inf)
    return _spared_scales(products, params, batch, wanted, tests)


def _spared_scales(
    products: Products, params: Params, batch: Any, wanted: jax.Array, tests: Tests
) -> tuple[jax.Array, jax.Array]:
    """The start; all products set, but none enlarged that may modulate; tests; all set anew.

    Tested is where nothing else has vanished, and no gate blows anything up. One loop, and so one
    compiled measurement, for all of this.
    """
    count, tested = len(products.leaf), len(tests.masks)
    ones, first = jnp.ones(count, jnp.float32), count + 1
    last = first + 1 + tested
    numbers = jnp.asarray([0, *range(count), *[0] * (1 + tested), *range(count)])
    masks = np.ones((last + count, count), np.float32)
    masks[first + 1 : last] = tests.masks

    def caps(rms: jax.Array, spreads: jax.Array) -> jax.Array:
        among = slice(first + 1, last)
        flags, raw = tests.modulate(rms[among], spreads[among], rms[first], spreads[0])
        highest = jnp.minimum(rms[0], jnp.where(raw, products.share, jnp.inf))
        return jnp.where(flags, highest, jnp.inf)

    def turn(number: jax.Array, state: Any) -> Any:
        scales, rms, spreads = state
        scaled = products.scaled(params, scales * jnp.asarray(masks)[number])
        rms = rms.at[number].set(products.rms(scaled, batch))
        spreads = spreads.at[number].set(output_spread(products.model, scaled, batch))
        is_again = number >= last
        cautious = jnp.minimum(rms[0], products.share if tests.is_raw else jnp.inf)
        cautious = jnp.where(jnp.asarray(tests.candidates), cautious, jnp.inf)
        goal = jnp.minimum(wanted, jnp.where(is_again, caps(rms, spreads), cautious))
        which = numbers[number]
        changed = products.changed(scales, which, goal[which] / rms[number, which])
        is_set = ((number > 0) & (number < first)) | is_again
        scales = jnp.where(is_set, changed, scales)
        # The second time from the start, as the first.
        return jnp.where(number == last - 1, ones, scales), rms, spreads

    rms = jnp.zeros((last + count, count), jnp.float32)
    spreads = jnp.zeros(last + count, jnp.float32)
    scales, rms, spreads = jax.lax.fori_loop(0, last + count, turn, (ones, rms, spreads))
    return scales, caps(rms, spreads)
