"""The audit lets published and packages' own starts pass, and they do train."""

import jax
import pytest
from audit_sound import SOUND
from descent_oracle import trains
from pending import rows
from thorough import IS_THOROUGH

import initlab

# Slow to compile, and each beside a faster one of its kind.
SLOW = frozenset(
    {
        "ALBERT",
        "BERT",
        "Glow",
        "GPT-2",
        "Griffin",
        "Houlsby adapters",
        "LSTM, both ways",
        "MobileNet",
        "SchNet",
        "T5",
        "equinox: LSTM, GRU",
        "equinox: attention, rotary",
        "experts, all mixed",
        "haiku: GRU, LSTM",
        "haiku: attention",
        "highway",
        "linen: LSTM both ways",
        "linen: SelfAttention",
        "linen: scanned decoder",
        "retention",
    }
)
NAMES = [name for name in SOUND if IS_THOROUGH or name not in SLOW]
PENDING = {
    "CaiT": "a class token that is equal for all examples, behind branches times 1e-5",
    "Mamba-2": "softplus with a small slope by design counts as saturated",
}
"""False alarms that are left, and what the audit does not see there."""


@pytest.mark.parametrize("name", rows(NAMES, PENDING))
def test_a_sound_start_passes(name):
    make, loss, explained = SOUND[name]
    # Other frameworks are written for JAX's own promotion.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        apply, params, batch, *more = make()
        report = initlab.audit(apply, params, batch, loss=loss, **dict(*more))
    said = {finding.code for finding in report.findings if finding.severity != "info"}
    assert said <= set(explained), str(report)
    assert report.verdict == ("warn" if explained else "pass")


# Probabilities cannot meet the oracle's normal targets.
@pytest.mark.parametrize(
    "name", [name for name in SOUND if IS_THOROUGH and name != "probabilities of classes"]
)
def test_a_sound_start_trains(name):
    make, loss, _ = SOUND[name]
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        apply, params, batch, *_ = make()
        assert trains(apply, params, batch, loss)
