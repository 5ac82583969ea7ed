"""What is compared along a path: steps, where a fall enters, and what zeros hide."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from audit_models import ROWS, normal

import initlab
from initlab.audits.evidence import Signal
from initlab.audits.steps import entry

WEIGHTS = (0.7, -3.0, 0.25, 5.0)


def products(params, x):
    h = x @ params["in"]
    for w in params["w"]:
        h = h @ w
    return h @ params["out"]


@pytest.mark.parametrize("classes", [1, 3])
def test_gradients_behind_a_zero_readout_change_as_they_do_behind_any_other(classes):
    """One unit wide, each layer multiplies the gradient by its one weight."""
    params = {
        "in": normal(0, (8, 1), 0.3),
        "w": [np.full((1, 1), w, np.float32) for w in WEIGHTS],
        "out": np.zeros((1, classes), np.float32),
    }
    rows = initlab.audit(products, params, ROWS).rows
    hidden = [row for row in rows if row.kind == "product"][:-1]
    norms = [row.values["gradient_behind_zeros"][0] for row in hidden]
    np.testing.assert_allclose(np.divide(norms[:-1], norms[1:]), np.abs(WEIGHTS), rtol=1e-5)
    assert all(row.values["gradient_norm"] == 0 for row in hidden)
    # Nothing is run again where no zero hides anything.
    open_readout = params | {"out": np.ones((1, classes), np.float32)}
    rows = initlab.audit(products, open_readout, ROWS).rows
    assert not any("gradient_behind_zeros" in row.values for row in rows)


def _steps(falls):
    values = np.concatenate([[0.0], -np.cumsum(falls)])
    signals = [Signal(str(n), "product", True, 0, 0, 1, 1.0) for n in range(len(values))]
    return list(zip(signals, values, strict=True))


@pytest.mark.quick
@pytest.mark.parametrize(
    ("falls", "forward", "backward"),
    [
        ([0.1, 4.6, 0.5, 0.5, 0.5], "2", "1"),
        ([0.4, 0.4, 0.4, 4.6, 0.4, 0.4], "4", "3"),
        ([3.5, 0.0, 0.0, 3.6, 0.0], "1", "0"),
        # As much at every step: where it passes the limit.
        ([1.0] * 9, "7", "7"),
        ([0.2, -3.0, 9.5, 0.2], "3", "2"),
    ],
)
def test_a_fall_is_told_where_it_enters(falls, forward, backward):
    assert entry(_steps(falls), 6.0)[0].place == forward
    assert entry(_steps(falls), 6.0, backward=True)[0].place == backward


def test_the_order_of_tracing_says_nothing():
    def apply(first, second):
        def run(params, x):
            ends = {}
            for name in (first, second):
                h = x
                for w in params[name]:
                    h = jnp.tanh(h @ w)
                ends[name] = h
            return ends

        return run

    sizes = [8, 12, 12, 12, 12, 3]
    params = {
        name: [
            normal(start + n, (i, o), std * i**-0.5)
            for n, (i, o) in enumerate(itertools.pairwise(sizes))
        ]
        for name, start, std in (("a", 0, 1.0), ("b", 9, 0.05))
    }
    found = [
        {(f.code, f.place, f.severity) for f in initlab.audit(run, params, ROWS).findings}
        for run in (apply("a", "b"), apply("b", "a"))
    ]
    assert found[0] == found[1]
    assert all(
        place.startswith("b/") for code, place, _ in found[0] if code.startswith("vanishing")
    )
