"""The audit finds every planted fault: its code, where it is, and how bad it is."""

import jax
import pytest
from audit_faults import FAULTS
from compiled_programs import counting_measurements
from finding_texts import check_texts, is_a_sentence, names_as_written
from thorough import rows

import initlab
from initlab.audits.diagnostics import DIAGNOSTICS

# Of each code the faults that compile fastest, and one in a framework.
EVERY_RUN = frozenset(
    {
        "0.01 in a 30-layer net",
        "0.01 in haiku",
        "a NaN in a bias",
        "a branch that drowns its stream",
        "a branch that nearly drowns its stream",
        "a draw in bfloat16",
        "a first weight of 1e-6 before a last one of zero",
        "a draw stuck at its bound",
        "a graph's weights over 1000",
        "a kernel of powers that forgets",
        "a learning rate of 3,000",
        "a log variance that overflows",
        "a masked layer times 100",
        "a mixture of one expert",
        "a router that is sure of itself",
        "a state that grows over 60 steps",
        "a step function",
        "a trunk in no balance",
        "a trunk that hardly looks",
        "a weight of zero before a code",
        "a while loop",
        "all weights of the branches times 1e-4",
        "an init that ignores its key",
        "an inner layer over 1e5",
        "an update that goes uphill",
        "batch norm in training mode, a zero readout",
        "chaotic layers behind a zero readout",
        "confident logits, labels and no loss",
        "confident logits, one-hot labels",
        "constant kernels in haiku",
        "constants everywhere",
        "critics that are copies",
        "critics that are copies, under a loss that treats them alike",
        "dead biases in flax",
        "dead relus in a trunk",
        "experts that are copies",
        "layers out of balance",
        "one constant kernel",
        "one expert of several in one sum",
        "one key, two shapes",
        "one layer of a relu net times 1e4",
        "one positive in a hundred",
        "one positive in sixteen, one logit",
        "one zero layer",
        "scanned layers drawn as one tensor",
        "sharp heads, a softmax by hand",
        "sharp heads, divided afterwards",
        "sigmoids in a 30-layer net, their gradient",
        "statistics of the batch",
        "two consecutive zero layers",
        "two layers from one key",
        "two units of one expert",
        "two units of one member",
        "weights that see only one side",
        "weights times 100",
        "zero kernels in flax",
    }
)


@pytest.mark.parametrize("name", rows(FAULTS, EVERY_RUN))
def test_a_planted_fault_is_found_with_its_code_at_its_place(name, monkeypatch):
    fault, measured = FAULTS[name], counting_measurements(monkeypatch)
    # Other frameworks are written for JAX's own promotion.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        apply, params, batch, *more = fault.make()
        report = initlab.audit(apply, params, batch, loss=fault.loss, **dict(*more))
        check_texts(report, params)
    assert 0 < len(measured) <= 3
    found = [(each.severity, each.place) for each in report.findings if each.code == fault.code]
    assert any(each == fault.severity and fault.place in place for each, place in found), str(
        report
    )


@pytest.mark.quick
def test_every_code_is_planted_every_time():
    assert set(FAULTS) >= EVERY_RUN
    assert len(FAULTS) >= 190
    assert {FAULTS[name].code for name in EVERY_RUN} == set(DIAGNOSTICS)


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
