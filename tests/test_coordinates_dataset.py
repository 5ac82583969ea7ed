"""A coordinate check as a dataset, and a check again; and as text."""

import numpy as np
import pytest
from coordinate_powers import FLAT, check_of

from initlab.coordinates import CoordinateCheck
from initlab.theory import Growth


def test_a_dataset_is_a_check_again():
    growth = {"in": Growth(0.1, 0.0), "out": Growth(0, 1)}
    check = check_of(FLAT, {name: [0, 0.5] for name in FLAT}, noise=0.1, predicted=growth)
    results = check.to_dataset()
    # As an experiment stores it: dimensions in another order, variables and attributes beside.
    results = results.transpose("layer", ...).assign(other=("x", [1.0]))
    again = CoordinateCheck.from_dataset(results)
    for name in ("axis", "sizes", "layers", "predicted", "tolerance"):
        assert getattr(again, name) == getattr(check, name), name
    np.testing.assert_array_equal(again.start, check.start)
    np.testing.assert_array_equal(again.change, check.change)
    assert (again.verdict, str(again)) == (check.verdict, str(check))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda results: results.drop_attrs(), r"lack \['axis', 'tolerance'\]"),
        (lambda results: results.drop_vars("change"), "'change' over .* got no such variable"),
        (lambda results: results.isel(seed=0), r"'start' over .* got \('width', 'layer'\)"),
    ],
)
def test_a_dataset_that_is_no_check_is_refused(spoil, message):
    results = check_of(FLAT, {name: [0] for name in FLAT}).to_dataset()
    with pytest.raises(ValueError, match=message):
        CoordinateCheck.from_dataset(spoil(results))


def test_what_is_printed_says_where_theory_differs():
    predicted = {"in": Growth(0.0, 0.0), "hidden": Growth(0.0, -0.5), "out": Growth(0.3, 0.0)}
    lines = str(check_of(FLAT, dict.fromkeys(FLAT, (0,)), predicted=predicted)).splitlines()
    assert lines[0].endswith("theory differs by more than 0.15")
    rows = {line.split()[0]: line for line in lines[2:]}
    assert "theory" not in rows["in"]
    assert rows["hidden"].endswith("change flat; change 0.50 from theory")
    assert rows["out"].endswith("; start 0.30 from theory")
    agreeing = check_of(
        FLAT, dict.fromkeys(FLAT, (0,)), predicted=dict.fromkeys(FLAT, predicted["in"])
    )
    assert str(agreeing).splitlines()[0].endswith("; theory agrees")
    # An interval that holds theory's slope says so: here is too much noise to tell.
    noisy = check_of(
        FLAT, dict.fromkeys(FLAT, (0,)), noise=3.0, predicted=dict.fromkeys(FLAT, Growth(0.9, 0.0))
    )
    assert "from theory, within its interval" in str(noisy)
    assert "theory" not in "".join(str(check_of(FLAT, dict.fromkeys(FLAT, (0,)))).splitlines()[2:])
