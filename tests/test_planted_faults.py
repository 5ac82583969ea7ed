"""A random fault at a random place of a random sound start is found there; without one, all pass.

20 draws, or 1,000: `INITLAB_THOROUGH=1 pytest -n0 -s tests/test_planted_faults.py`.
"""

from collections import Counter

import jax
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_faults import FAULTS
from random_starts import ARCHITECTURES, SCHEMES, loss_of, starts
from thorough import IS_THOROUGH

import initlab

DRAWS = 1_000 if IS_THOROUGH else 12

plants = st.tuples(
    st.sampled_from(list(ARCHITECTURES)),
    st.sampled_from(SCHEMES),
    st.integers(0, 2**20),
    # A start without a fault is as likely as several with one.
    st.sampled_from([*FAULTS, *["none"] * 4]),
    st.integers(0, 3),
)


def judged(architecture, scheme, seed, name, place):
    """What is wrong with the audit of one draw: ("miss" or "false alarm", the report), or None."""
    net = ARCHITECTURES[architecture]
    params = net.draw(starts(seed, scheme))
    loss = loss_of(len(net.batch))
    layer = net.hidden[place % len(net.hidden)]
    planted = None if name == "none" else FAULTS[name](net, params, layer)
    if planted is None:
        report = initlab.audit(net.apply, params, net.batch, loss=loss)
        return None if report.verdict == "pass" else ("false alarm", str(report))
    report = initlab.audit(planted.apply, planted.params, net.batch, loss=loss)
    for finding in report.findings:
        # A group of units is called by the layer that its parameters lie in.
        is_there = any(
            place in finding.place or finding.place == place.rpartition("/")[0]
            for place in planted.places
        )
        if finding.code == planted.code and finding.severity in planted.severities and is_there:
            return None
    return "miss", f"{planted.code} at {planted.places}: {report}"


def test_planted_faults_are_found_and_sound_starts_pass():
    counts, wrong = Counter(), []

    # Without shrinking: a draw is small, and all that are wrong are counted.
    @settings(
        max_examples=DRAWS,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(plants)
    def each(plant):
        found = judged(*plant)
        counts[plant[3]] += 1
        if found:
            wrong.append((plant, *found))

    with jax.numpy_dtype_promotion("standard"):
        each()
    print(f"{DRAWS} draws: {dict(counts)}; wrong: {Counter((p[3], kind) for p, kind, _ in wrong)}")
    assert not wrong, "\n\n".join(f"{kind} {plant}\n{text}" for plant, kind, text in wrong[:5])
