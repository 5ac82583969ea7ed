"""Published results: when a claim is met, the recipes' length and print, every recipe in small."""

import ast
import inspect
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st

from experiments.published.claims import Claim, interval, judge
from experiments.published.reproductions import REPRODUCTIONS
from experiments.published.tables import show, summarize, verdict

GUIDE = Path(__file__).parents[1] / "docs" / "guide" / "published.md"
NUMBERS = st.floats(-100, 100)


def test_a_recipe_has_at_most_fifteen_lines_and_the_guide_prints_them():
    page = GUIDE.read_text()
    for name, each in REPRODUCTIONS.items():
        source = inspect.getsource(each.recipe)
        (function,) = ast.parse(source).body
        assert isinstance(function, ast.FunctionDef)
        # After the contract.
        body = source.splitlines()[function.body[1].lineno - 1 :]
        assert len([line for line in body if line.strip()]) <= 15, name
        assert f"```python\n{source}```" in page, name
        assert name == each.recipe.__name__


def test_a_recipe_takes_its_settings_and_every_claim_has_its_own_name():
    assert len(REPRODUCTIONS) == 12
    for name, each in REPRODUCTIONS.items():
        expected = {"seeds", *each.setting}
        assert set(inspect.signature(each.recipe).parameters) == expected, name
        assert set(each.small) == set(each.setting), name
        quantities = [claim.quantity for claim in each.claims]
        assert len(set(quantities)) == len(quantities), name


@pytest.mark.parametrize(
    ("claim", "low", "high", "expected"),
    [
        (Claim("", 1.0, 0.1), 0.95, 1.05, "agrees"),
        (Claim("", 1.0, 0.1), 1.05, 1.2, "agrees"),
        (Claim("", 1.0, 0.1), 1.11, 1.2, "disagrees"),
        (Claim("", 1.0, 0.1), 0.5, 0.89, "disagrees"),
        (Claim("", 1.0, 0.1), 0.5, 1.5, "not comparable"),
        (Claim("", 1.0, 0.1), np.nan, np.nan, "not comparable"),
        (Claim("", 6.0, sense="below"), 4.0, 5.9, "agrees"),
        (Claim("", 6.0, sense="below"), 5.9, 6.1, "not comparable"),
        (Claim("", 6.0, sense="below"), 6.1, 6.2, "disagrees"),
        (Claim("", 0.9, sense="above"), 0.95, 0.99, "agrees"),
        (Claim("", 0.9, sense="above"), 0.1, 0.8, "disagrees"),
    ],
)
def test_an_interval_agrees_disagrees_or_says_nothing(claim, low, high, expected):
    assert judge(claim, low, high, True) == expected
    assert judge(claim, low, high, False) == "not comparable"


@given(NUMBERS, st.floats(0, 10), NUMBERS, st.floats(0, 10), st.sampled_from(["is", "below"]))
def test_what_disagrees_shares_no_number_with_what_is_published(number, off, middle, half, sense):
    claim = Claim("", number, off if sense == "is" else 0.0, sense)
    low, high = middle - half, middle + half
    least, most = claim.range
    meets = least <= high and low <= most
    assert (judge(claim, low, high, True) == "disagrees") == (not meets)


def test_an_interval_holds_the_mean_as_often_as_it_says():
    draws = np.random.default_rng(0).standard_normal((500, 3))
    ends = np.array([interval(each.mean(), each.std(ddof=1), 3) for each in draws])
    share = np.mean((ends[:, 0] <= 0) & (ends[:, 1] >= 0))
    # Four standard errors of a share of 500; with 1.96 for t it would be 0.81.
    assert abs(share - 0.95) < 4 * (0.95 * 0.05 / 500) ** 0.5
    assert np.isnan(interval(1.0, np.nan, 1)).all()


def results(measured):
    columns = {
        "reproduction": np.array(["lazy_training", "fractal"], dtype=object),
        "quantity": np.array(["exponent of alpha", "relu"], dtype=object),
        "measured": np.array(measured),
        "std": np.array([0.01, 0.01]),
        "seeds": np.array([16, 8]),
    }
    return xarray.Dataset({name: ("row", column) for name, column in columns.items()})


def test_a_claim_that_is_not_met_is_said_and_fails_the_run():
    summary = summarize(results([-1.0, 0.5]), {"size": "published"})
    assert [row["verdict"] for row in summary["rows"]] == ["agrees", "disagrees"]
    assert verdict(summary) == 1
    text = show(summary, {"size": "published"})
    assert "1 agrees, 1 disagrees, 0 not comparable, of 2 rows." in text
    assert "arXiv:2402.06184" in text
    assert verdict(summarize(results([-1.0, 0.29]), {"size": "published"})) == 0
    assert verdict(summarize(results([-1.0, 0.5]), {"size": "small"})) == 0


@pytest.mark.thorough
@pytest.mark.parametrize("name", REPRODUCTIONS)
def test_every_recipe_runs_small_and_measures_what_is_claimed(name):
    each = REPRODUCTIONS[name]
    # optax counts Adam's steps as int32, and takes powers of floats by them.
    with jax.numpy_dtype_promotion("standard"):
        found = each.recipe(each.small_seeds, **each.small)
    assert found
    assert set(found) <= {claim.quantity for claim in each.claims}
    for values in found.values():
        assert np.asarray(values).shape == (each.small_seeds,)
