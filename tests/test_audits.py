"""The audit: planted faults are found where they are, and sound starts pass."""

import jax
import pytest
from audit_faults import FAULTS
from audit_sound import SOUND

import initlab
from initlab.audits.judges import JUDGES


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_with_its_code_at_its_place(name):
    fault = FAULTS[name]
    # Other frameworks are written for JAX's own promotion.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        apply, params, batch = fault.make()
        report = initlab.audit(apply, params, batch, loss=fault.loss)
    found = [(each.severity, each.place) for each in report.findings if each.code == fault.code]
    assert any(each == fault.severity and fault.place in place for each, place in found), str(
        report
    )


def test_every_code_is_planted():
    assert {fault.code for fault in FAULTS.values()} == set(JUDGES)


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_start_passes(name):
    make, loss, explained = SOUND[name]
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        apply, params, batch = make()
        report = initlab.audit(apply, params, batch, loss=loss)
    said = {finding.code for finding in report.findings if finding.severity != "info"}
    assert said <= set(explained), str(report)
    assert report.verdict == ("warn" if explained else "pass")
