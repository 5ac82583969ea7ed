"""The audit finds every planted fault: its code, where it is, and how bad it is."""

import jax
import pytest
from audit_faults import FAULTS
from pending import rows

import initlab
from initlab.audits.diagnostics import DIAGNOSTICS

PENDING: dict[str, str] = {}
"""Faults that are not found, or found a layer too late, and what the audit does not see there."""


@pytest.mark.parametrize("name", rows(FAULTS, PENDING))
def test_a_planted_fault_is_found_with_its_code_at_its_place(name):
    fault = FAULTS[name]
    # Other frameworks are written for JAX's own promotion.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        apply, params, batch, *more = fault.make()
        report = initlab.audit(apply, params, batch, loss=fault.loss, **dict(*more))
    found = [(each.severity, each.place) for each in report.findings if each.code == fault.code]
    assert any(each == fault.severity and fault.place in place for each, place in found), str(
        report
    )


@pytest.mark.quick
def test_every_code_is_planted():
    assert {fault.code for fault in FAULTS.values()} == set(DIAGNOSTICS)
