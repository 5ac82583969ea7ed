"""A hundred generated hostile calls; two thousand by `python tests/hostile.py --cases 2000`."""

import collections

import pytest
from hostile import ask
from hostile_judge import Case, run_case
from hostile_nouns import public_functions


def test_hostile_calls_are_answered_by_name_or_rightly():
    """None silently, and at most one in a hundred by a message that does not name the argument."""
    outcomes = []
    ask(60, lambda case: outcomes.append((case, run_case(case))), slow=False)
    tally = collections.Counter(outcome.kind for _, outcome in outcomes)
    bad = [each for each in outcomes if each[1].kind in ("silent", "obscure")]
    assert tally["silent"] == 0, bad
    assert tally["obscure"] <= 1, bad


@pytest.mark.quick
def test_the_judge_tells_what_is_silent_and_what_is_obscure():
    """With functions that are known to be careless in the place of the library's."""
    careless = {
        "theory.gain": lambda activation: float("nan"),
        "theory.chi": lambda activation, sigma_w2, q: 1.0,
        "keys.path_key": lambda key, path: path.missing,
    }
    assert len(public_functions()) > 150
    before = dict(public_functions())
    public_functions().update(careless)
    try:
        judged = [
            run_case(Case("theory.gain", "activation", len, wrong=False)),
            run_case(Case("theory.chi", "q", "text", wrong=True)),
            run_case(Case("keys.path_key", "path", 3, wrong=True)),
        ]
    finally:
        public_functions().update(before)
    assert [each.kind for each in judged] == ["silent", "silent", "obscure"]
