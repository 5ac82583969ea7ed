"""What every diagnostic of an audit keeps to, and that an audit compiles once."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
from audit_faults import FAULTS
from audit_models import ROWS
from compiled_programs import counting

import initlab
from initlab.audits import auditing, diagnostics
from initlab.audits.diagnostics import DIAGNOSTICS
from initlab.audits.finding import SEVERITIES


def test_a_second_audit_of_the_same_shapes_compiles_nothing():
    def init(key):
        return {"in": jax.random.normal(key, (8, 8)), "out": jnp.ones((8, 2))}

    def apply(params, x):
        return jnp.tanh(x @ params["in"]) @ params["out"]

    def audit(number):
        key, batch = jax.random.key(number), ROWS + np.float32(number)
        starts = initlab.audit(apply, None, batch, init=init, keys=jax.random.split(key, 3))
        one = initlab.audit(apply, init(key), batch, loss=jnp.mean, key=key)
        return [row.values["rms"].tolist() for row in (*starts.rows, *one.rows)]

    with counting() as first:
        before = audit(0)
    with counting() as second:
        after = audit(1)
    # What is measured is another: the program is kept, not its result.
    assert before != after
    assert first.programs > 0
    assert second.programs == 0


def test_every_diagnostic_is_a_function_of_evidence_and_thresholds(monkeypatch):
    """Its protocol: findings of its own code, of a known severity, with a cause and a remedy."""
    seen = []
    monkeypatch.setattr(
        auditing, "diagnose", lambda *given: seen.append(given) or diagnostics.diagnose(*given)
    )
    names = ("zero weights", "weights times 100", "a NaN in a bias", "layers out of balance")
    for fault in (FAULTS[name] for name in names):
        apply, params, batch = fault.make()
        initlab.audit(apply, params, batch, loss=fault.loss)
    assert len(seen) == len(names)
    for code, find in DIAGNOSTICS.items():
        assert list(inspect.signature(find).parameters) == ["evidence", "thresholds"]
        assert find.__doc__
        for given in seen:
            for finding in find(*given):
                assert (finding.code, finding.severity in SEVERITIES) == (code, True)
                # They are put into sentences: no capital, no full stop of their own.
                for text in (finding.cause, finding.remedy):
                    assert text[0].islower()
                    assert text[-1] not in ".!"
                assert finding.place
    assert set(DIAGNOSTICS) >= diagnostics.NETWORK_WIDE
