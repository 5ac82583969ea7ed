"""What breaks symmetry: the steps against NumPy, known truths, and a planted culprit found."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray

import initlab
from experiments.what_breaks_symmetry import attribution, truth_table
from experiments.what_breaks_symmetry.attribution import TERMS
from experiments.what_breaks_symmetry.training import (
    Data,
    Noise,
    Problem,
    Start,
    State,
    Treatment,
    start_params,
)
from initlab.compilation import compile_fast
from initlab.initializers import constant, normal, zeros
from initlab.types import Network

pytestmark = pytest.mark.full_compile

RATE = 0.5
TREATMENTS = {
    "full batch": Treatment(RATE),
    "minibatch": Treatment(RATE, minibatch=0.3),
    "momentum": Treatment(RATE, momentum=0.9),
    "Adam": Treatment(0.05, adam=1.0),
    "weight decay": Treatment(RATE, weight_decay=0.01),
    "input noise": Treatment(RATE, input_noise=0.3),
    "label noise": Treatment(RATE, label_noise=0.2),
    "dropout": Treatment(RATE, dropout=0.3),
}
STARTS = [Start(*pieces) for pieces in itertools.product(range(3), repeat=3)]
ZERO, CONSTANT, RANDOM = range(3)
SYMMETRIC = [start for start in STARTS if RANDOM not in start]


def flower_part():
    """45 points, in no whole lanes, and of classes so unequal that the output's bias moves."""
    flower = initlab.tasks.flower()
    rows = np.linspace(0, 399, 50).astype(int)[:45]
    return initlab.tasks.from_arrays(flower.x[rows], flower.y[rows])


def numbers(treatments):
    return Treatment(*np.asarray(list(treatments), np.float32).T)


def starts_of(network: Network, seeds: int):
    pieces = (zeros(), constant(0.5), normal(0.5))
    return start_params(network.specs, range(seeds), STARTS, pieces)


@pytest.fixture(scope="module")
def tanh_problem():
    return Problem(initlab.networks.mlp((2, 4, 1), jnp.tanh), flower_part())


@pytest.fixture(scope="module")
def drawn(tanh_problem):
    """The noise of two steps."""
    return jax.jit(Data(tanh_problem).draw, static_argnums=1)(jax.random.key(3), 2)


def test_steps_of_every_treatment_are_numpy_s(tanh_problem, drawn):
    data = Data(tanh_problem)
    start = jax.tree.map(lambda leaf: leaf[0, -1], starts_of(tanh_problem.network, 1))

    def two_steps(treatment):
        first = State(start, tanh_problem.optimizer(treatment).init(start))
        steps = jax.lax.scan(
            lambda state, noise: (data.step(state, treatment, noise), None), first, drawn
        )
        return steps[0].params

    # optax's own bias correction mixes dtypes.
    with jax.numpy_dtype_promotion("standard"):
        given = numbers(TREATMENTS.values())
        reached = compile_fast(jax.jit(jax.vmap(two_steps)).lower(given))(given)
    noises = [Noise(*each) for each in zip(*map(np.asarray, drawn), strict=True)]
    for index, (name, treatment) in enumerate(TREATMENTS.items()):
        wanted = numpy_steps(start, tanh_problem.task, treatment, noises)
        got = [
            np.asarray(leaf[index], float)
            for leaf in (*reached["layer_1"].values(), *reached["layer_2"].values())
        ]
        for leaf, value in zip(("b1", "w1", "b2", "w2"), got, strict=True):
            np.testing.assert_allclose(value, wanted[leaf], rtol=1e-4, atol=1e-5, err_msg=name)


def numpy_steps(start, task, treatment, noises):
    first, second = start["layer_1"], start["layer_2"]
    p = {"w1": first["weight"], "b1": first["bias"], "w2": second["weight"], "b2": second["bias"]}
    p = {name: np.asarray(value, float) for name, value in p.items()}
    sums, m, v = ({name: np.zeros_like(value) for name, value in p.items()} for _ in range(3))
    examples = len(task.x)
    for number, noise in enumerate(noises, start=1):
        x = task.x + treatment.input_noise * noise.inputs[:, :examples].T
        y = np.where(noise.labels[:examples] < treatment.label_noise, 1 - task.y, task.y)
        rows = np.arange(examples)
        if treatment.minibatch:
            rows = np.argsort(noise.order[:examples])[: round(treatment.minibatch * examples)]
        x, y = x[rows], y[rows]
        mask = ~(treatment.dropout > noise.units[:, rows].T) / (1 - treatment.dropout)
        a = np.tanh(x @ p["w1"] + p["b1"])
        logit = (a * mask) @ p["w2"] + p["b2"]
        dz2 = (1 / (1 + np.exp(-logit)) - y[:, None]) / len(y)
        dz1 = dz2 @ p["w2"].T * mask * (1 - a**2)
        g = {"w1": x.T @ dz1, "b1": dz1.sum(0), "w2": (a * mask).T @ dz2, "b2": dz2.sum(0)}
        for name in p:
            g[name] = g[name] + treatment.weight_decay * p[name]
            sums[name] = g[name] + treatment.momentum * sums[name]
            m[name] = 0.9 * m[name] + 0.1 * g[name]
            v[name] = 0.999 * v[name] + 0.001 * g[name] ** 2
            scaled = m[name] / (1 - 0.9**number)
            scaled = scaled / (np.sqrt(v[name] / (1 - 0.999**number)) + 1e-8)
            p[name] = p[name] - treatment.learning_rate * (scaled if treatment.adam else sums[name])
    return p


def test_a_step_draws_each_example_s_place_once_and_another_order_each_time(drawn):
    orders = np.asarray(drawn.order)
    for order in orders:
        assert sorted(order[:45].tolist()) == list(range(45))
        assert order[45:].min() >= 45
    assert not np.array_equal(*orders)


def found_by(problem: Problem):
    """`(start, treatment) -> Found` of both seeds, after 40 steps."""
    with jax.numpy_dtype_promotion("standard"):
        starts = starts_of(problem.network, 2)
        found = attribution.run_all(problem, 40, range(2), starts, numbers(TREATMENTS.values()))
    return lambda start, treatment: at(found, start, list(TREATMENTS).index(treatment))


@pytest.fixture(scope="module")
def tanh_found(tanh_problem):
    return found_by(tanh_problem)


def at(found, start, treatment):
    return jax.tree.map(lambda array: array[:, STARTS.index(start), treatment], found)


def terms(event):
    """The terms that every seed names."""
    assert np.all(event.by == event.by[0])
    return {term for term, named in zip(TERMS, event.by[0], strict=True) if named}


HARMLESS = [name for name in TREATMENTS if name != "dropout"]


@pytest.mark.parametrize("treatment", HARMLESS)
def test_no_treatment_but_dropout_parts_units_that_start_equal(tanh_found, treatment):
    for start in SYMMETRIC:
        found = tanh_found(start, treatment)
        assert (found.apart.step == -1).all(), start
        assert (found.broken.step == -1).all(), start
        assert (found.exchangeable == 1).all(), start
        assert not found.apart.by.any()
        assert found.moved.all() == (start != (ZERO, ZERO, ZERO))


def test_tanh_units_at_zero_stand_still_under_everything(tanh_found):
    for treatment in TREATMENTS:
        found = tanh_found((ZERO, ZERO, ZERO), treatment)
        assert not found.moved.any()
        assert (found.visible == -1).all()
        assert (found.apart.step == -1).all()


def test_dropout_parts_them_unless_they_all_output_zero(tanh_found):
    for start in SYMMETRIC[1:]:
        found = tanh_found(start, "dropout")
        assert (found.apart.step == 1).all(), start
        assert terms(found.apart) == {"dropout"}
        assert not found.apart.any_would_do.any()
        if start[2] == CONSTANT:
            assert (found.broken.step == 1).all()
            assert terms(found.broken) == {"dropout"}
        else:
            # From zero the outgoing weights come apart first, and then either is enough.
            assert (found.broken.step == 2).all()
            assert terms(found.broken) == {"outgoing_weights", "dropout"}
            assert found.broken.any_would_do.all()


@pytest.mark.parametrize("treatment", HARMLESS)
def test_random_outgoing_weights_part_units_through_the_first_gradient(tanh_found, treatment):
    for pieces in itertools.product((ZERO, CONSTANT), repeat=2):
        found = tanh_found((*pieces, RANDOM), treatment)
        assert (found.apart.step == 0).all()
        assert (found.broken.step == 1).all()
        assert terms(found.apart) == terms(found.broken) == {"outgoing_weights"}
        assert not found.broken.any_would_do.any()
        assert (found.identical == 4).all()


def test_a_random_start_says_which_piece_it_is(tanh_found):
    names = ("incoming_weights", "biases", "outgoing_weights")
    for start in set(STARTS) - set(SYMMETRIC):
        found = tanh_found(start, "full batch")
        pieces = {name for name, piece in zip(names, start, strict=True) if piece == RANDOM}
        assert (found.apart.step == 0).all()
        assert terms(found.apart) == pieces
        assert (found.apart.any_would_do == (len(pieces) > 1)).all()
        if functions := pieces - {"outgoing_weights"}:
            assert (found.broken.step == 0).all()
            assert terms(found.broken) == functions


def planted(treatment):
    """Gradient descent in which the first unit alone decays and remembers; and is faster (adam)."""
    plain = optax.trace(0.0)

    def first_only(params, factor):
        mark = jnp.asarray([1.0, 0.0, 0.0, 0.0])
        return jax.tree.map(lambda leaf: factor * leaf * mark if leaf.shape == (4,) else 0, params)

    def update(updates, state, params=None):
        parts = (
            first_only(params, treatment.weight_decay),
            first_only(state.trace, treatment.momentum),
            first_only(updates, treatment.adam),
        )
        changed = jax.tree.map(lambda *each: sum(each), updates, *parts)
        _, state = plain.update(updates, state)
        rate = treatment.learning_rate
        return jax.tree.map(lambda leaf: -rate * leaf, changed), state

    return optax.GradientTransformation(plain.init, update)


@pytest.fixture(scope="module")
def sigmoid_found():
    """The planted optimizer: gradient descent as it should be, where a treatment lacks a plant."""
    network = initlab.networks.mlp((2, 4, 1), jax.nn.sigmoid)
    return found_by(Problem(network, flower_part(), planted))


def test_the_planted_term_is_found(sigmoid_found):
    start = (CONSTANT, CONSTANT, CONSTANT)
    for treatment, step, culprit in (
        ("weight decay", 1, "weight_decay"),
        ("momentum", 2, "memory"),
    ):
        found = sigmoid_found(start, treatment)
        for event in (found.apart, found.broken):
            assert (event.step == step).all()
            assert terms(event) == {culprit}
            assert not event.any_would_do.any()


def test_what_is_none_of_the_terms_stays_unexplained(sigmoid_found):
    found = sigmoid_found((CONSTANT, CONSTANT, CONSTANT), "Adam")
    assert (found.apart.step == 1).all()
    assert terms(found.apart) == set()


def test_sigmoid_units_at_zero_move_and_stay_equal(sigmoid_found):
    for treatment in ("full batch", "minibatch", "input noise", "label noise"):
        found = sigmoid_found((ZERO, ZERO, ZERO), treatment)
        assert found.moved.all()
        # A minibatch may hold as many examples of one class as of the other, and move nothing.
        assert (found.visible <= (5 if treatment == "minibatch" else 1)).all()
        assert (found.apart.step == -1).all()
        assert (found.exchangeable == 1).all()


def runs_dataset(**changed):
    """One cell: four seeds of a start without a random piece, under one treatment."""
    values = {
        "moved": np.ones(4, bool),
        "visible_step": np.ones(4, int),
        "apart_step": np.full(4, -1),
        "broken_step": np.full(4, -1),
        "loss": np.full(4, 0.5),
        "apart_any_would_do": np.zeros(4, bool),
        "broken_any_would_do": np.zeros(4, bool),
        "apart_by": np.zeros((4, len(TERMS)), bool),
        "broken_by": np.zeros((4, len(TERMS)), bool),
    } | {name: np.asarray(value) for name, value in changed.items()}
    dims = ("activation", "treatment", *truth_table.STARTS, "seed", "term")
    return xarray.Dataset(
        {
            name: (dims[: 5 + value.ndim], value.reshape(1, 1, 1, 1, 1, *value.shape))
            for name, value in values.items()
        },
        coords={
            "activation": ["tanh"],
            "treatment": ["dropout"],
            **{name: ["zero"] for name in truth_table.STARTS},
            "term": list(TERMS),
        },
    )


def by(*names):
    return np.tile([term in names for term in TERMS], (4, 1))


@pytest.mark.parametrize(
    ("changed", "outcome", "code"),
    [
        ({"moved": [False] * 4}, 0, "."),
        ({"visible_step": [3, 5, 4, -1]}, 1, "=4"),
        ({"visible_step": [-1] * 4}, 1, "=-"),
        ({"apart_step": [0] * 4}, 2, "/1"),
        (
            {
                "apart_step": [1] * 4,
                "broken_step": [2] * 4,
                "apart_by": by("dropout"),
                "broken_by": by("dropout", "outgoing_weights"),
                "broken_any_would_do": [True] * 4,
                "loss": [0.1, 0.1, 0.1, np.nan],
            },
            4,
            "1d>2o|d 3/4",
        ),
        ({"apart_step": [0] * 4, "broken_step": [0] * 4, "broken_by": by("biases")}, 3, "0b 0/4"),
        ({"apart_step": [7] * 4, "broken_step": [7] * 4}, 3, "7? 0/4"),
        ({"moved": [True, True, True, False]}, 1, "=1*"),
    ],
)
def test_a_cell_says_what_its_runs_did(changed, outcome, code):
    results = runs_dataset(**changed)
    table = truth_table.cells(results, trained_under=0.3)
    assert table["outcome"].item() == outcome
    assert table["code"].item() == code
    assert table["start"].item() == "0 0 0"
    counted = truth_table.summary_of(results, trained_under=0.3)
    happened = int((results["apart_step"] >= 0).sum())
    assert counted["symmetric"]["dropout"]["happened"] == happened
    assert counted["harmless"] == ([] if happened else ["dropout"])
    unnamed = sum(
        4 * (name in changed and not np.any(changed.get(f"{name[:-5]}_by", 0)))
        for name in ("apart_step", "broken_step")
    )
    assert counted["unexplained"] == unnamed
