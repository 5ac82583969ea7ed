"""No group is ever wrong: random architectures, random parameters, random permutations, float64."""

import collections
import random

import architecture_pieces as pieces
import jax
import numpy as np
import numpy_programs
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_architectures import (
    ALL,
    Architecture,
    compose,
    random_architecture,
    random_inputs,
)
from symmetry_oracles import moved
from thorough import IS_THOROUGH

from initlab import symmetry as sy
from initlab.symmetry import dimensions, primitive_rules, propagate_axes
from initlab.symmetry.rule_types import elementwise, fresh

ARCHITECTURES = 4000 if IS_THOROUGH else 80


@pytest.fixture(autouse=True, scope="module")
def _in_double_precision():
    with (
        jax.enable_x64(True),
        jax.numpy_rank_promotion("allow"),
        jax.numpy_dtype_promotion("standard"),
        np.errstate(all="ignore"),
    ):
        yield


def wrong_groups(architecture: Architecture, seed: int) -> tuple[int, list[str]]:
    """How many groups were found and tried, and those whose permutation changes the output."""
    params, x = random_inputs(architecture, seed)
    groups = sy.find_groups(architecture.apply, params, x)
    if not groups:
        return 0, []
    program = jax.make_jaxpr(architecture.apply)(params, x)
    rng = np.random.default_rng(seed)

    def output(params):
        return np.asarray(numpy_programs.run(program, *jax.tree.leaves(params), x)[0])

    def same(other):
        # The order of sums has changed; numbers are of order one.
        return np.allclose(other, before, rtol=1e-9, atol=1e-9, equal_nan=True)

    def nudged(leaf):
        return leaf * (1 + 1e-13 * rng.standard_normal(leaf.shape))

    before = output(params)
    tried, wrong = 0, []
    blocks = [
        sy.in_block(each, rng.integers(each.blocks).tolist()) for each in groups if each.blocks
    ]
    for group in (*groups, *blocks):
        permutation = rng.permutation(group.size)
        if (permutation == np.arange(group.size)).all():
            permutation = np.roll(permutation, 1)
        if same(output(moved(params, group, permutation))):
            tried += int(np.isfinite(before).all())
        # Where rounding decides by itself, as in an argmax of two that are equal, nothing is told.
        elif all(same(output(jax.tree.map(nudged, params))) for _ in range(10)):
            wrong.append(f"{group} under {permutation} in {architecture.names}")
    return tried, wrong


def test_no_group_of_a_random_architecture_is_wrong():
    found, used = [], collections.Counter()

    @settings(
        max_examples=ARCHITECTURES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.randoms(use_true_random=False), st.integers(0, 2**32 - 1))
    def check(chooser, seed):
        architecture = random_architecture(chooser.randrange)
        number, wrong = wrong_groups(architecture, seed)
        assert not wrong
        found.append(number)
        used.update(architecture.names)

    check()
    assert len(found) >= ARCHITECTURES
    assert np.mean(np.asarray(found) > 0) > 0.4
    assert set(used) == set(ALL)


def _unlike(operands, outputs, params):
    """A rule that ties nothing and pins nothing."""
    del operands, params
    return [fresh(shape) for shape in outputs]


def _same_axes(operands, outputs, params):
    del params
    return [operands[0] for _ in outputs]


BREAKAGES = {
    "a cumulated axis is free": ("ordered", primitive_rules.RULES, "cumsum", elementwise),
    "a cumulated maximum is free": ("ordered", primitive_rules.RULES, "cummax", elementwise),
    "a reversed axis is free": ("ordered", primitive_rules.RULES, "rev", _same_axes),
    "the winners are free": ("ordered", primitive_rules.RULES, "top_k", _same_axes),
    "places are not data": ("position", primitive_rules.RULES, "iota", _unlike),
    "masks are not data": ("attention", primitive_rules.RULES, "iota", _unlike),
    "a sum ties nothing": ("residual", primitive_rules.RULES, "add", _unlike),
    "a product ties nothing": ("dense", primitive_rules.RULES, "dot_general", _unlike),
    "a broadcast ties nothing": ("shift", primitive_rules.RULES, "broadcast_in_dim", _unlike),
    "a transpose moves nothing": ("square_dense", primitive_rules.RULES, "transpose", _same_axes),
    "a reshape ties nothing": ("reshape", primitive_rules.RULES, "reshape", _unlike),
    "a piece is unlike the whole": ("pick", primitive_rules.RULES, "slice", _unlike),
    "halves are unlike the whole": ("gate", primitive_rules.RULES, "split", _unlike),
    "a whole is unlike its parts": ("join", primitive_rules.RULES, "concatenate", _unlike),
    "padding is free": ("pick", primitive_rules.RULES, "pad", _unlike),
    "windows are free": ("pool", primitive_rules.RULES, "reduce_window_sum", _same_axes),
    "a convolution ties nothing": (
        "convolve",
        primitive_rules.RULES,
        "conv_general_dilated",
        _unlike,
    ),
    "a lookup ties nothing": ("embed", primitive_rules.RULES, "gather", _unlike),
    "a write ties nothing": ("write", primitive_rules.RULES, "scatter-add", _same_axes),
    "a loop forgets its state": ("recurrent", vars(propagate_axes), "_unify_all", lambda *_: None),
    "branches are unlike": ("branch", vars(propagate_axes), "_unify_all", lambda *_: None),
    "constants are alike": (
        "position",
        vars(propagate_axes),
        "_constant_axes",
        lambda a: fresh(np.shape(a)),
    ),
    "whatever crosses borders is free": ("reshape", vars(dimensions), "pin", lambda *_: None),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_rule_is_caught(breakage, monkeypatch):
    piece, table, name, broken = BREAKAGES[breakage]
    for seed in range(200):
        chooser = random.Random(seed)
        architecture = compose(
            chooser.randrange, (2, 3, 4), 2, {piece: ALL[piece]}, pieces.dense, pieces.readout
        )
        with monkeypatch.context() as patch:
            patch.setitem(table, name, broken)
            _, wrong = wrong_groups(architecture, seed)
        if wrong:
            assert wrong_groups(architecture, seed)[1] == []
            return
    pytest.fail(f"200 architectures of {piece} did not tell that {breakage}")
