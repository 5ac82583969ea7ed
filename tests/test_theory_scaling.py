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


# Where matrices are orthogonal the rate moves with the multiplier, as under Adam.
ALIKE = [Parametrization.MEAN_FIELD, Parametrization.U_MUP]


@pytest.mark.parametrize("parametrization", ALIKE)
@pytest.mark.parametrize("optimizer", Optimizer)
def test_mean_field_and_unit_scale_are_maximal_update_in_other_numbers(parametrization, optimizer):
    field = _table(parametrization, optimizer)
    update = _table(Parametrization.MUP, optimizer)
    shift = field[:, 0] - update[:, 0]
    power = 2 if optimizer is Optimizer.SGD else 1
    # Epsilons follow the gradient, and what is decayed in a step has no width.
    epsilon = shift * (update[:, 3] != field[:, 3])
    moved = update + np.stack([shift, -shift, -power * shift, epsilon, power * shift], axis=1)
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
    changes = {
        each: [theory.growth(Parametrization.STANDARD, each)[role].change for role in ROLES[:3]]
        for each in Optimizer
    }
    assert changes == {
        Optimizer.SGD: [-0.5, 0.5, 1],
        Optimizer.ADAM: [0, 1, 1.5],
        Optimizer.SIGN: [0, 1, 1.5],
        Optimizer.MUON: [0, 0, 1],
    }


def test_what_differs_in_depth_alone_has_the_width_of_maximal_update():
    others = Parametrization.DEPTH_MUP, Parametrization.COMPLETE_P, Parametrization.SPECTRAL
    for way, optimizer in itertools.product(others, Optimizer):
        assert theory.EXPONENTS[way, optimizer] is theory.EXPONENTS[Parametrization.MUP, optimizer]


def test_spectral_powers_are_those_of_its_fans():
    """Standard deviations `i^-1/2 min(1, sqrt(o/i))`, rates o/i (SGD) and 1/i (Adam)."""
    n = 64.0
    fans = {Role.INPUT: (2, n), Role.WEIGHT: (n, n), Role.READOUT: (n, 2), Role.BIAS: (1, n)}
    for optimizer, rate in (
        (Optimizer.SGD, lambda i, o: o / i),
        (Optimizer.ADAM, lambda i, o: 1 / i),
    ):
        for role, (i, o) in fans.items():
            wide = tuple(each * 2 if each == n else each for each in (i, o))
            power = theory.exponents(Parametrization.SPECTRAL, optimizer, role)
            assert np.isclose(np.log2(rate(*wide) / rate(i, o)), power.learning_rate), role
            if role is not Role.BIAS:
                std = [a**-0.5 * min(1, (b / a) ** 0.5) for a, b in ((i, o), wide)]
                assert np.isclose(np.log2(std[1] / std[0]), power.std), role


@pytest.mark.parametrize(
    ("way", "optimizer", "alpha", "powers"),
    [
        # Of branches, of rates and of epsilons: arXiv:2310.02244; arXiv:2505.01618, table 1.
        (Parametrization.DEPTH_MUP, Optimizer.SGD, 1.0, (-0.5, 0, 0)),
        (Parametrization.DEPTH_MUP, Optimizer.ADAM, 1.0, (-0.5, -0.5, -0.5)),
        (Parametrization.U_MUP, Optimizer.ADAM, 1.0, (-0.5, -0.5, -0.5)),
        (Parametrization.COMPLETE_P, Optimizer.ADAM, 0.5, (-0.5, -0.5, -0.5)),
        (Parametrization.COMPLETE_P, Optimizer.ADAM, 1.0, (-1, 0, -1)),
        (Parametrization.COMPLETE_P, Optimizer.SGD, 1.0, (-1, 1, 0)),
        (Parametrization.COMPLETE_P, Optimizer.MUON, 0.75, (-0.75, -0.25, 0)),
        (Parametrization.MUP, Optimizer.ADAM, 1.0, (0, 0, 0)),
    ],
)
def test_powers_of_depth_are_the_published_ones(way, optimizer, alpha, powers):
    found = theory.exponents(way, optimizer, Role.RESIDUAL, of="depth", alpha=alpha)
    assert (found.multiplier, found.learning_rate, found.epsilon) == powers
    inside = theory.exponents(way, optimizer, Role.WEIGHT, of="depth", alpha=alpha)
    assert inside == found._replace(multiplier=0)
    outside = theory.exponents(way, optimizer, Role.READOUT, of="depth", alpha=alpha)
    assert set(outside) == {0}


def test_powers_of_the_batch_are_those_of_sgd_and_adam():
    for optimizer, powers in ((Optimizer.SGD, (1, 0)), (Optimizer.ADAM, (0.5, -0.5))):
        found = theory.exponents(Parametrization.MUP, optimizer, Role.WEIGHT, of="batch")
        assert (found.learning_rate, found.epsilon) == powers
    with pytest.raises(ValueError, match=r"batch has published rules for .*MUON"):
        theory.exponents(Parametrization.MUP, Optimizer.MUON, Role.WEIGHT, of="batch")
    with pytest.raises(ValueError, match=r"of must be .*, got 'breadth'"):
        theory.exponents(Parametrization.MUP, Optimizer.MUON, Role.WEIGHT, of="breadth")
    with pytest.raises(ValueError, match=r"alpha must be between 0.5 and 1, got 2"):
        theory.exponents(Parametrization.MUP, Optimizer.SGD, Role.BIAS, of="depth", alpha=2)
    with pytest.raises(ValueError, match="no power of depth under"):
        theory.growth(Parametrization.MUP, Optimizer.SGD, of="depth")


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
        # A first step of Adam is the gradient's sign. The gradient of one example has rank 1.
        change = gradient if optimizer is Optimizer.SGD else np.sign(gradient)
        if optimizer is Optimizer.MUON and role is not Role.READOUT:
            outputs, inputs_of = gradient.shape
            change = gradient / np.linalg.norm(gradient) * max(1, outputs / inputs_of) ** 0.5
        moved[role] = weight - rate * step[role] * change
    after = forward(moved)
    sizes = [np.sqrt(np.mean(each**2)) for each in (first, second, out)]
    changes = [
        np.sqrt(np.mean((new - old) ** 2))
        for new, old in zip(after, (first, second, out), strict=True)
    ]
    return np.array([sizes, changes])


# The others have a table, or a step, of these.
PAIRS = [
    *((Parametrization.STANDARD, each) for each in (Optimizer.SGD, Optimizer.ADAM, Optimizer.MUON)),
    *((Parametrization.NTK, each) for each in (Optimizer.SGD, Optimizer.ADAM)),
    (Parametrization.MEAN_FIELD, Optimizer.SGD),
    *((Parametrization.MUP, each) for each in (Optimizer.ADAM, Optimizer.MUON)),
]


@pytest.mark.parametrize(("parametrization", "optimizer"), PAIRS)
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
