"""Softmaxes in a traced program: recognized however they are written, and measured as they are."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from audit_models import SEQUENCE
from heads_models import (
    LONG,
    attend,
    by_jax,
    classify,
    codes,
    dense_experts,
    divided_afterwards,
    in_scanned_blocks,
    in_unrolled_blocks,
    keeps_by_place,
    layered,
    masked,
    of_experts,
    of_heads,
    skipping_blocks,
    softmax_by_hand,
    switch,
    two_of_them,
    with_capacity,
)

import initlab
from initlab import taps
from initlab.compilation import compile_to_run_once
from initlab.taps.blockwise import block_statistics, merge_blocks, row_statistics
from initlab.taps.softmax_statistics import choice_statistics, softmax_statistics
from initlab.taps.trails import role_of


def kinds(apply, params, x):
    model = taps.read_model(apply, params, x)
    measured = jax.eval_shape(
        lambda: jax.tree.map(
            lambda each: each[None], taps.measure(model, params, x, jax.random.key(0))
        )
    )
    blank = jax.tree.map(lambda each: np.zeros(each.shape), measured)
    rows = taps.rows_of(model, blank)
    return [(row.kind, row.place) for row in rows if row.kind in ("attention", "router", "gates")]


def through_logarithms(z):
    return jnp.exp(jax.nn.log_softmax(z, axis=-1))


def over_a_logsumexp(z):
    return jnp.exp(z - jax.nn.logsumexp(z, axis=-1, keepdims=True))


def times_the_inverse(z):
    e = jnp.exp2(z - jnp.max(z, axis=-1, keepdims=True))
    return e * (1 / jnp.sum(e, axis=-1, keepdims=True))


def with_dropout(z):
    keep = jax.random.bernoulli(jax.random.key(0), 0.9, z.shape)
    return jnp.where(keep, jax.nn.softmax(z) / 0.9, 0)


@pytest.mark.parametrize(
    "softmax",
    [
        jax.nn.softmax,
        jax.jit(jax.checkpoint(jax.nn.softmax)),
        softmax_by_hand,
        through_logarithms,
        over_a_logsumexp,
        times_the_inverse,
        with_dropout,
    ],
)
def test_an_attention_is_one_however_its_softmax_is_written(softmax):
    assert kinds(attend(masked, softmax), of_heads(), LONG) == [("attention", "k + q")]


GATED = [("gates", "router"), ("router", "router")]


@pytest.mark.parametrize(
    ("apply", "params", "x", "found"),
    [
        (divided_afterwards, of_heads(), LONG, [("attention", "k + q")]),
        (
            layered,
            of_heads(depth=2),
            LONG,
            [("attention", "k[0] + q[0]"), ("attention", "k[1] + q[1]")],
        ),
        (dense_experts, of_experts(), SEQUENCE, [("router", "router")]),
        (switch, of_experts(), SEQUENCE, [("gates", "router"), ("router", "router")]),
        (two_of_them, of_experts(), SEQUENCE, [("router", "router")]),
        (in_unrolled_blocks, of_heads(), LONG, [("attention", "k + q")]),
        (in_scanned_blocks, of_heads(), LONG, [("attention", "k + q")]),
        (by_jax, of_heads(), LONG, [("attention", "k + q")]),
        (with_capacity(keeps_by_place, 9), of_experts(), SEQUENCE, GATED),
        (codes, {"up": np.ones((16, 64)), "down": np.ones((64, 16))}, SEQUENCE, []),
        (classify, {"w": np.ones((16, 8))}, SEQUENCE, []),
    ],
)
def test_what_a_softmax_is_for(apply, params, x, found):
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), params)
    assert kinds(apply, params, x) == found


@pytest.mark.parametrize("fill", [-1e4, -1e9, float(np.finfo(np.float32).min), -np.inf])
@pytest.mark.parametrize("is_added", [True, False])
def test_entropies_are_those_of_the_unmasked_entries_head_by_head(fill, is_added):
    generator = np.random.default_rng(0)
    z = (generator.normal(size=(3, 2, 6, 6)) * np.array([1.0, 30.0])[:, None, None]).astype("f4")
    allowed = np.tril(np.ones((6, 6), bool))
    masked = z + np.where(allowed, 0, fill) if is_added else np.where(allowed, z, fill)
    shifted = (masked - masked.max(-1, keepdims=True)).astype(np.float32)
    found = softmax_statistics(np.exp(shifted), shifted, (3,), (False, True, False, False))
    expected = np.zeros((2, 3))
    for head in range(2):
        rows = [z[n, head, i, : i + 1].astype(float) for n in range(3) for i in range(1, 6)]
        p = [np.exp(row - row.max()) / np.exp(row - row.max()).sum() for row in rows]
        entropies = [-np.sum(each[each > 0] * np.log(each[each > 0])) for each in p]
        limits, spreads = [np.log(len(row)) for row in rows], [np.var(row) for row in rows]
        expected[head] = np.mean(entropies), np.mean(limits), np.sqrt(np.mean(spreads))
    got = np.stack([found[name] for name in ("entropy", "limit", "std")], axis=1)
    # -1e4 is rounded at 1e-3 of float32 where it is added.
    np.testing.assert_allclose(got, expected, rtol=2e-3)


def test_blocks_have_the_numbers_of_their_whole_rows():
    drawn = 3 * np.random.default_rng(1).normal(size=(2, 3, 12, 12)).astype(np.float32)
    units = (False, True, False, False)

    @jax.jit
    def both(z):
        shifted = z - jnp.max(z, -1, keepdims=True)
        found = [block_statistics(part, (3,)) for part in jnp.split(z, 4, axis=3)]
        blocks = {name: jnp.stack([each[name] for each in found]) for name in found[0]}
        whole = softmax_statistics(jnp.exp(shifted), shifted, (3,), units)
        return row_statistics(merge_blocks(blocks), units[:3]), whole

    for fill in (-1e4, -1e9, -np.inf):
        # Of a causal mask some blocks are masked as a whole.
        z = np.where(np.tril(np.ones((12, 12), bool)), drawn, np.float32(fill))
        merged, whole = both(z)
        for name, each in merged.items():
            np.testing.assert_allclose(each, whole[name], rtol=1e-4)


def test_blocks_in_branches_have_the_numbers_of_their_whole_rows():
    params = of_heads()
    model = taps.read_model(skipping_blocks, params, LONG)
    (place,) = (each for each in model.plan.sites() if role_of(each.site) == "attention")
    run = jax.jit(functools.partial(taps.measure_signals, model)).lower(params, LONG)
    found = compile_to_run_once(run)(params, LONG)[place.key]["entropy"][:, 0]
    q, k = (np.einsum("btd,hde->bhte", LONG, params[name]) for name in "qk")
    z = np.where(np.tril(np.ones((16, 16), bool)), np.einsum("bhte,bhse->bhts", q, k) / 2, -np.inf)
    p = np.exp(z - z.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    entropies = -np.sum(p * np.log(np.where(p > 0, p, 1)), -1).reshape(4, 4, 4, 4)
    # A mean for each block of rows; the first row of all has one entry, and is not judged.
    expected = entropies.sum((0, 3)).T / (4 * np.array([[3], [4], [4], [4]]))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_share_that_a_capacity_in_the_model_drops_is_exact():
    params = of_experts()
    counts = np.bincount(np.argmax(SEQUENCE.reshape(-1, 16) @ params["router"], axis=-1))
    found = initlab.audit(with_capacity(keeps_by_place, 4), params, SEQUENCE).findings
    (value,) = [each.value for each in found if each.code == "unbalanced_router"]
    assert value == pytest.approx(1 - np.minimum(counts, 4).sum() / counts.sum())


def test_a_load_is_counted():
    index = np.random.default_rng(0).integers(0, 5, size=(3, 7, 2))
    found = choice_statistics(jnp.asarray(index), 5)
    np.testing.assert_allclose(found["load"], np.bincount(index.ravel(), minlength=5) / 42)
    assert (float(found["choices"]), float(found["chosen"])) == (42, 2)


def test_what_a_capacity_drops_is_said():
    router = np.zeros((16, 4), np.float32)
    router[0, :2] = 1.0, -1.0
    # Of 40 tokens 30 choose the first expert, 10 the second: 5/16 of them is the capacity.
    x = np.abs(SEQUENCE) * np.where(np.arange(40).reshape(8, 5) % 4 > 0, 1, -1)[..., None]
    found = initlab.audit(switch, of_experts() | {"router": router}, x.astype(np.float32)).findings
    (finding,) = [each for each in found if each.code == "unbalanced_router"]
    assert "expert 0 gets 75% of the load, and 2 of 4 experts get none" in finding.cause
    assert "drops 44%" in finding.cause
    load = np.array([0.75, 0.25])
    effective = np.exp(3 / 80 - np.sum(load * np.log(load)))
    assert finding.value == pytest.approx((effective - 1) / 3, rel=1e-5)
