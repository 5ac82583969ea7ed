"""Which zeros keep an array at zero is what numbers say: all sets of them are tried."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab.programs.trace import trace
from initlab.programs.vanishing import NONZERO, find_ways

WIDTH = 3


def chained(p, x):
    return (x @ p["a"] + jnp.tanh(x @ p["b"]) @ p["c"]) @ p["d"]


def rectified(p, x):
    h = jax.nn.relu(x @ p["a"]) + jnp.minimum(jnp.maximum(x @ p["b"], 0.0), 6.0)
    return jnp.where(h > 0.5, h @ p["c"], 0.0) + jnp.clip(h, -1, 1) @ p["d"]


def gated(p, x):
    h = x + p["a"][0, 0] ** 2 * (x @ p["b"])
    return h + jnp.expm1(p["c"][0])[None] * jax.nn.softmax(h @ p["d"])


def looped(p, x):
    def block(h, w):
        return h + jnp.sin(h @ w) @ p["d"], h @ w

    stacked = jnp.stack([p["a"], p["b"], p["c"]])
    h, inside = jax.lax.scan(block, x, stacked, reverse=True)
    return h + inside.sum(0)


def normalized(p, x):
    h = x @ p["a"]
    h = (h - h.mean(-1, keepdims=True)) * jax.lax.rsqrt(h.var(-1, keepdims=True) + 1)
    return (
        jax.lax.cond(x[0, 0] > 0, lambda: h @ p["b"], lambda: h @ p["b"]) * p["c"][0][None] @ p["d"]
    )


@pytest.mark.quick
@pytest.mark.parametrize("apply", [chained, rectified, gated, looped, normalized])
def test_gradients_are_zero_as_long_as_no_way_is_open(apply):
    rng = np.random.default_rng(0)
    drawn = {name: rng.normal(size=(WIDTH, WIDTH)).astype(np.float32) for name in "abcd"}
    x = rng.normal(size=(4, WIDTH)).astype(np.float32)
    weights = rng.normal(size=(4, WIDTH)).astype(np.float32)

    def gradients(p):
        return jax.grad(lambda p: jnp.sum(weights * apply(p, x)))(p)

    program, _ = trace(gradients, drawn)
    ways = [each for (each,) in find_ways(program, [frozenset({1 << n}) for n in range(4)])]
    open_sets = np.arange(16)[:, None] >> np.arange(4) & 1
    measured = jax.jit(jax.vmap(gradients))(
        {name: open_sets[:, n, None, None] * drawn[name] for n, name in enumerate("abcd")}
    )
    for name, each in zip("abcd", ways, strict=True):
        said = [any(way & ~opened == 0 for way in each) for opened in range(16)]
        seen = np.any(measured[name] != 0, axis=(1, 2))
        np.testing.assert_array_equal(said, seen, err_msg=f"{name}: {each}")


@pytest.mark.quick
def test_rows_of_a_loop_have_their_own_ways():
    def apply(gates, x):
        return jax.lax.scan(lambda h, g: (h + g * jnp.sin(h), None), x, gates)[0]

    program, _ = trace(jax.grad(lambda g, x: jnp.sum(apply(g, x)), 1), jnp.ones(3), 1.0)
    assert find_ways(program, [[NONZERO, frozenset({2}), NONZERO], NONZERO]) == [[NONZERO]]
    inner = jax.make_jaxpr(lambda g, x: jax.lax.scan(lambda c, s: (c, s * x), x, g)[1])
    rows = [frozenset({1}), NONZERO, frozenset({4})]
    assert find_ways(inner(jnp.ones(3), 1.0), [rows, NONZERO]) == [rows]


@pytest.mark.quick
def test_loops_of_unknown_length_and_what_is_unknown_settle():
    def apply(a, x):
        return jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + a, c[1] * a), (a, x))

    ways = find_ways(jax.make_jaxpr(apply)(1.0, 1.0), [frozenset({1}), NONZERO])
    assert ways == [[frozenset({1})], [NONZERO]]
    sorted_ = jax.make_jaxpr(lambda a: jnp.exp(a) * jnp.zeros(()))(1.0)
    assert find_ways(sorted_, [frozenset({1})]) == [[frozenset()]]
