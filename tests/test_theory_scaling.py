"""Parametrizations and regimes: published tables, symmetries, and networks of several widths."""

import itertools
from typing import Any

import numpy as np
import pytest

from initlab import theory
from initlab.theory import Optimizer, Parametrization
from initlab.types import Role

NAME: Any = "mup"
ROLES: tuple[Role, ...] = (Role.INPUT, Role.WEIGHT, Role.READOUT, Role.BIAS)


def _table(parametrization, optimizer):
    return np.array([theory.exponents(parametrization, optimizer, role) for role in ROLES])


@pytest.mark.parametrize("optimizer", Optimizer)
def test_mean_field_is_maximal_update_in_other_numbers(optimizer):
    field = _table(Parametrization.MEAN_FIELD, optimizer)
    update = _table(Parametrization.MUP, optimizer)
    shift = field[:, 0] - update[:, 0]
    power = 2 if optimizer is Optimizer.SGD else 1
    moved = update + np.stack([shift, -shift, -power * shift], axis=1)
    # A bias may differ: its multiplier and its start have no width.
    np.testing.assert_allclose(field, moved)


@pytest.mark.parametrize("optimizer", Optimizer)
@pytest.mark.parametrize("parametrization", [Parametrization.MUP, Parametrization.MEAN_FIELD])
def test_maximal_update_moves_every_layer_and_no_more(parametrization, optimizer):
    growth = theory.growth(parametrization, optimizer)
    assert [growth[role].change for role in ROLES[:3]] == [0, 0, 0]
    assert [growth[role].start for role in ROLES[:3]] == [0, 0, -0.5]


@pytest.mark.parametrize("optimizer", Optimizer)
def test_the_kernel_s_features_stand_still_and_its_output_moves(optimizer):
    growth = theory.growth(Parametrization.NTK, optimizer)
    assert [growth[role].change for role in ROLES[:3]] == [-0.5, -0.5, 0]
    assert [growth[role].start for role in ROLES[:3]] == [0, 0, 0]


def test_standard_networks_blow_up_with_width():
    sgd, adam = (theory.growth(Parametrization.STANDARD, each) for each in Optimizer)
    assert [sgd[role].change for role in ROLES[:3]] == [-0.5, 0.5, 1]
    assert [adam[role].change for role in ROLES[:3]] == [0, 1, 1.5]


def _step(width, parametrization, optimizer, rng):
    """Root mean squares of three layers' outputs, and of their changes in one step; tanh."""
    table: dict[Role, np.ndarray] = dict(
        zip(ROLES, _table(parametrization, optimizer), strict=True)
    )
    inputs, rate = 8, 1e-4
    x = np.ones(inputs)
    shapes = {
        Role.INPUT: (width, inputs),
        Role.WEIGHT: (width, width),
        Role.READOUT: (1, width),
    }
    multiplier, std, step = (
        {role: float(width) ** table[role][column] for role in shapes} for column in range(3)
    )
    weights = {
        role: rng.standard_normal(shape) * std[role] * (inputs**-0.5 if shape[1] == inputs else 1)
        for role, shape in shapes.items()
    }

    def forward(weights):
        first = multiplier[Role.INPUT] * weights[Role.INPUT] @ x
        second = multiplier[Role.WEIGHT] * weights[Role.WEIGHT] @ np.tanh(first)
        return first, second, multiplier[Role.READOUT] * weights[Role.READOUT] @ np.tanh(second)

    first, second, out = forward(weights)
    slopes = {Role.READOUT: np.ones(1)}
    back = multiplier[Role.READOUT] * weights[Role.READOUT].T @ slopes[Role.READOUT]
    slopes[Role.WEIGHT] = back * (1 - np.tanh(second) ** 2)
    back = multiplier[Role.WEIGHT] * weights[Role.WEIGHT].T @ slopes[Role.WEIGHT]
    slopes[Role.INPUT] = back * (1 - np.tanh(first) ** 2)
    seen = {Role.INPUT: x, Role.WEIGHT: np.tanh(first), Role.READOUT: np.tanh(second)}
    moved = {}
    for role, weight in weights.items():
        gradient = multiplier[role] * np.outer(slopes[role], seen[role])
        # A first step of Adam is the gradient's sign.
        change = gradient if optimizer is Optimizer.SGD else np.sign(gradient)
        moved[role] = weight - rate * step[role] * change
    after = forward(moved)
    sizes = [np.sqrt(np.mean(each**2)) for each in (first, second, out)]
    changes = [
        np.sqrt(np.mean((new - old) ** 2))
        for new, old in zip(after, (first, second, out), strict=True)
    ]
    return np.array([sizes, changes])


@pytest.mark.parametrize(
    ("parametrization", "optimizer"), list(itertools.product(Parametrization, Optimizer))
)
def test_networks_of_several_widths_grow_as_predicted(parametrization, optimizer):
    widths = np.array([64, 128, 256, 512])
    rng = np.random.default_rng(0)
    sizes = [
        np.exp(np.mean([np.log(_step(n, parametrization, optimizer, rng)) for _ in range(24)], 0))
        for n in widths
    ]
    growth = theory.growth(parametrization, optimizer)
    slopes = np.polyfit(np.log(widths), np.log(sizes).reshape(len(widths), -1), 1)[0].reshape(2, 3)
    predicted = np.array([growth[role] for role in ROLES[:3]]).T
    np.testing.assert_allclose(slopes, predicted, atol=0.15)


def test_embeddings_and_norms_scale_like_their_kin_and_gates_not_at_all():
    given = Parametrization.MUP, Optimizer.ADAM
    assert theory.exponents(*given, Role.EMBEDDING) == theory.exponents(*given, Role.INPUT)
    assert theory.exponents(*given, Role.RESIDUAL) == theory.exponents(*given, Role.WEIGHT)
    assert theory.exponents(*given, Role.NORM_SCALE) == theory.exponents(*given, Role.BIAS)
    with pytest.raises(ValueError, match=r"Role.GATE has no width"):
        theory.exponents(*given, Role.GATE)
    with pytest.raises(TypeError, match=r"got 'mup': one of Parametrization.STANDARD"):
        theory.exponents(NAME, Optimizer.ADAM, Role.WEIGHT)


@pytest.mark.parametrize(
    ("scales", "published"),
    [
        (lambda m: (1, m**-0.5, 1), (0.5, 0.5)),
        (lambda m: (m**0.5, 1, 1), (0.5, 0)),
        (lambda m: (1, m**-0.5, m**-0.5), (1, 0)),
        (lambda m: (m, 1, 1), (1, 0)),
    ],
    ids=["LeCun", "NTK", "Xavier", "mean field"],
)
def test_initializations_lie_in_the_published_regimes(scales, published):
    output_scale, second_std, first_std = scales(1e6)
    regime = theory.training_regime(output_scale, second_std, first_std, 1e6)
    np.testing.assert_allclose(regime[:2], published, atol=1e-12)
    linear = published[0] < 1 or published[1] > published[0] - 1
    assert (regime.margin > 1e-9) == linear


def test_small_starts_condense():
    assert theory.training_regime(1.0, 1e-6, 1e-6, 1e4).margin < 0
