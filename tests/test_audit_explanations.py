"""Every code is explained, and every example has the code that it is an example of."""

import pytest
from thorough import rows

from initlab.audits import Thresholds
from initlab.audits.diagnostics import DIAGNOSTICS
from initlab.audits.explanations import EXPLANATIONS, SETUP

# Each code has planted faults besides, which run every time.
EVERY_RUN = frozenset(
    {"confident_start", "dead_units", "non_finite", "symmetric_units", "vanishing_signal"}
)


@pytest.mark.quick
def test_every_code_is_explained():
    assert set(EXPLANATIONS) == set(DIAGNOSTICS)
    for explanation in EXPLANATIONS.values():
        for text in explanation:
            assert text
            assert text == text.strip()
        # Fields of Thresholds stand in braces.
        explanation.threshold.format_map(vars(Thresholds()))


@pytest.mark.parametrize("code", rows(EXPLANATIONS, EVERY_RUN))
def test_an_example_has_its_code(code):
    names = {}
    exec(compile(f"{SETUP}\n{EXPLANATIONS[code].example}", code, "exec"), names)
    report = names["report"]
    assert code in {finding.code for finding in report.findings}, str(report)
