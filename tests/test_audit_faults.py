"""The audit finds every planted fault: its code, where it is, and how bad it is."""

import jax
import pytest
from audit_faults import FAULTS
from finding_texts import check_texts, is_a_sentence, names_as_written
from pending import rows
from thorough import IS_THOROUGH

import initlab
from initlab.audits.diagnostics import DIAGNOSTICS

# Slow to compile, and each beside a faster one of its code.
SLOW = frozenset(
    {
        "a PINN of one number",
        "a capacity of a quarter of a fair share",
        "a discriminator of zeros",
        "a last bias that a field cannot overcome",
        "a mask of chunks",
        "a policy before its shrinking value",
        "a trunk with one shrinking head",
        "dead relus in DenseGeneral",
        "dead relus in nnx",
        "gradients under epsilon, clipped",
        "heads taken for a window",
        "infinity in a learned scale",
        "one layer from a key of its own",
        "one of two towers in flax",
        "one of two towers, concatenated",
        "queries of one block drawn as the next block's",
        "scanned layers drawn as one tensor in equinox",
        "sharp heads by jax.nn",
        "sharp heads in every layer of a scan",
        "sharp heads in haiku",
        "the same in flax",
        "tokens that are all alike",
        "two channels of one group in flax",
        "weight decay of 30",
    }
)
NAMES = [name for name in FAULTS if IS_THOROUGH or name not in SLOW]
PENDING: dict[str, str] = {}
"""Faults that are not found, or found a layer too late, and what the audit does not see there."""


@pytest.mark.parametrize("name", rows(NAMES, PENDING))
def test_a_planted_fault_is_found_with_its_code_at_its_place(name):
    fault = FAULTS[name]
    # Other frameworks are written for JAX's own promotion.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        apply, params, batch, *more = fault.make()
        report = initlab.audit(apply, params, batch, loss=fault.loss, **dict(*more))
        check_texts(report, params)
    found = [(each.severity, each.place) for each in report.findings if each.code == fault.code]
    assert any(each == fault.severity and fault.place in place for each, place in found), str(
        report
    )


@pytest.mark.quick
def test_every_code_is_planted():
    assert set(FAULTS) >= SLOW
    assert {FAULTS[name].code for name in set(FAULTS) - SLOW} == set(DIAGNOSTICS)


@pytest.mark.quick
def test_a_finding_that_is_worded_otherwise_is_noticed():
    assert is_a_sentence("the signal shrinks by 0.5 from a/w to b/w")
    for text in ("", "it shrinks. It vanishes", "it shrinks.", " it shrinks", "it  shrinks"):
        assert not is_a_sentence(text)
    paths = ["Dense_0/kernel", "blocks/w"]
    for text in ("Dense_0/kernel is zero", "NaN where blocks/w is", "blocks/w[3] is"):
        assert names_as_written(text, paths)
    for text in ("Blocks/w is zero", "where BLOCKS/W is", "Draw it at random"):
        assert not names_as_written(text, paths)
