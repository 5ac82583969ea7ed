"""The page's nets are the lab's: losses, gradients, copies, saturation, draws and theory agree.

Both sides train the same cases, every activation from every start with every optimizer; the
page's in Chromium, in one message, the lab's in one compiled program.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from lab_pages import page, task

import initlab
from initlab import initializers as init
from initlab import networks, probes, theory
from initlab.training.steps import apply_updates
from initlab.types import Batch

__all__ = ["page"]

SIZES = (2, 4, 4, 1)
SEED = 4
STEPS = (0, 1, 100)
ACTIVATIONS = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "gelu": jax.nn.gelu,
    "linear": initlab.activations.identity,
}
SCALES = {"constant": 0.5, "normal": 0.7, "orthogonal": 1.5, "he_uniform": 0.5}
WEIGHTS = {
    "zeros": init.zeros(),
    "constant": init.constant(SCALES["constant"]),
    "normal": init.normal(SCALES["normal"]),
    "glorot_normal": init.glorot_normal(),
    "glorot_uniform": init.glorot_uniform(),
    "he_normal": init.he_normal(),
    "he_uniform": init.scaled(init.he_uniform(), SCALES["he_uniform"]),
    "lecun_normal": init.lecun_normal(),
    "lecun_uniform": init.lecun_uniform(),
    "orthogonal": init.orthogonal(SCALES["orthogonal"]),
}
OPTIMIZERS = {"sgd": 0.1, "momentum": 0.05, "adam": 0.01}
CASES = list(itertools.product(ACTIVATIONS, WEIGHTS, OPTIMIZERS))

TRAIN_ALL = """async ([states, steps, starts]) => {
  const all = [];
  for (const [index, state] of states.entries()) {
    all.push(await train(state, steps, starts === null ? undefined : [[starts[index]]]));
  }
  return all;
}"""


def one_of(index):
    """Each of the three optimizers by a traced index."""
    given = [
        optax.sgd(OPTIMIZERS["sgd"]),
        optax.sgd(OPTIMIZERS["momentum"], momentum=0.9),
        optax.adam(OPTIMIZERS["adam"]),
    ]

    def start(params):
        return tuple(each.init(params) for each in given)

    def update(updates, state, params=None):
        # Adam multiplies a float by an integer.
        with jax.numpy_dtype_promotion("standard"):
            made = [
                each.update(updates, own, params) for each, own in zip(given, state, strict=True)
            ]
        each_one = [each for each, _ in made]
        chosen = jax.tree.map(lambda *leaves: jax.lax.select_n(index, *leaves), *each_one)
        return chosen, tuple(own for _, own in made)

    return optax.GradientTransformation(start, update)


@pytest.fixture(scope="module")
def lab():
    """What the lab has of every case at STEPS: [cases, steps, ...] of each quantity."""
    starts = [init.by_role(weight, bias=init.normal(0.1)) for weight in WEIGHTS.values()]
    functions = list(ACTIVATIONS.values())
    x, y = jnp.asarray(task().x, jnp.float32), jnp.asarray(task().y)
    batch = Batch(x, y, None, None, task().objective, {})

    @jax.jit
    @jax.vmap
    def run(activation, start, optimizer):
        network = networks.mlp(SIZES, lambda z: jax.lax.switch(activation, functions, z))
        params = initlab.initialize(jax.random.key(SEED), network.specs, init.choice(start, starts))
        descent = one_of(optimizer)
        gradient = jax.grad(lambda params: task().loss(network.apply(params, x), y))

        def step(carried, _):
            params, memory = carried
            updates, memory = descent.update(gradient(params), memory, params)
            return (apply_updates(params, updates), memory), params

        taken = STEPS[-1] + 1
        _, params = jax.lax.scan(step, (params, descent.init(params)), length=taken)
        params = jax.tree.map(lambda leaf: leaf[jnp.asarray(STEPS)], params)

        def measure(params):
            measured = {"params": params, "gradient": gradient(params)}
            for probe in (probes.loss, probes.accuracy, probes.distinct_units):
                measured |= probe(network, params, batch)
            return measured

        return jax.vmap(measure)(params)

    tables = [list(table) for table in (ACTIVATIONS, WEIGHTS, OPTIMIZERS)]
    places = [
        [names.index(name) for names, name in zip(tables, case, strict=True)] for case in CASES
    ]
    values = run(*jnp.asarray(places, jnp.int32).T)
    slopes = []
    for number, activation in enumerate(ACTIVATIONS.values()):
        network = networks.mlp(SIZES, activation)

        def of_slopes(params, network=network):
            return probes.saturation(network, params, batch) | probes.dead_units(
                network, params, batch
            )

        own = slice(number * len(CASES) // 5, (number + 1) * len(CASES) // 5)
        params = jax.tree.map(lambda leaf, own=own: leaf[own], values["params"])
        slopes.append(jax.jit(jax.vmap(jax.vmap(of_slopes)))(params))
    return jax.tree.map(np.asarray, values) | {
        name: np.concatenate([each[name] for each in slopes]) for name in slopes[0]
    }


def side(activation, scheme, optimizer):
    return {
        "depth": len(SIZES) - 2,
        "width": SIZES[1],
        "activation": activation,
        "start": {"scheme": scheme, "scale": SCALES.get(scheme, 1)},
        "bias": {"scheme": "normal", "scale": 0.1},
        "optimizer": optimizer,
        "learningRate": OPTIMIZERS[optimizer],
    }


def flat(params):
    """Params of cases and steps in the page's order, [cases, steps, parameters]."""
    leaves = [params[name][leaf] for name in sorted(params) for leaf in ("weight", "bias")]
    return np.concatenate([leaf.reshape(*leaf.shape[:2], -1) for leaf in leaves], axis=2)


def test_every_activation_start_and_optimizer_trains_alike(page, lab):
    params, gradient = flat(lab["params"]), flat(lab["gradient"])
    states = [{"task": "moons", "seed": SEED, "seeds": 1, "sides": [side(*case)]} for case in CASES]
    drawn = page.evaluate(TRAIN_ALL, [states, STEPS, None])
    given = page.evaluate(TRAIN_ALL, [states, STEPS, params[:, 0].tolist()])
    np.testing.assert_allclose([each["start"] for each in drawn], params[:, 0], 1e-6, 3e-6)
    # Of a gradient that has become small, rounding leaves what it leaves of the run's largest.
    largest = np.linalg.norm(gradient, axis=2).max(axis=1) + 1e-12
    # From zeros the first gradients are of rounding's size, and Adam divides them by their own; of
    # relu, where all examples then move together, one at the kink gives its whole term or none.
    most = np.full(len(CASES), 1e-4)
    for name in ACTIVATIONS:
        most[CASES.index((name, "zeros", "adam"))] = 2e-2 if name == "relu" else 1e-3
    for trained in (drawn, given):
        seen = {
            name: np.asarray([[step[name] for step in run["seen"]] for run in trained])
            for name in ("loss", "accuracy", "distinct", "saturation", "dead", "gradient")
        }
        np.testing.assert_array_equal(seen["distinct"], lab["distinct_units"])
        np.testing.assert_array_equal(seen["dead"], lab["dead_units"])
        np.testing.assert_allclose(seen["saturation"], lab["saturation"], 1e-4, 1e-6)
        np.testing.assert_allclose(seen["accuracy"], lab["accuracy"], 1e-4)
        np.testing.assert_allclose(seen["loss"], lab["loss"], 1e-4)
        off = np.linalg.norm(seen["gradient"] - gradient, axis=2).max(axis=1) / largest
        assert (off < most).all(), CASES[(off / most).argmax()]


@pytest.mark.quick
def test_the_page_draws_what_jax_draws(page):
    """Bits of keys and uniforms, normals to 1e-6."""
    drawn = page.evaluate(
        "() => { const key = window.page.split(window.page.keyOf(7), 3)[2]; return { key,"
        " uniform: [...window.page.uniform(key, 9, -2, 3)],"
        " normal: [...window.page.normal(key, 2000)] }; }"
    )
    key = jax.random.split(jax.random.key(7), 3)[2]
    assert drawn["key"] == jax.random.key_data(key).tolist()
    assert drawn["uniform"] == jax.random.uniform(key, (9,), minval=-2.0, maxval=3.0).tolist()
    np.testing.assert_allclose(drawn["normal"], jax.random.normal(key, (2000,)), 1e-6, 1e-6)


THEORY = [("tanh", 2.5, 0.05), ("relu", 2.0, 0.0), ("gelu", 1.5, 0.2), ("sigmoid", 80.0, 1.0)]


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "sigma_w2", "sigma_b2"), THEORY)
def test_the_page_predicts_what_theory_predicts(page, name, sigma_w2, sigma_b2):
    found = page.evaluate("of => window.page.fixedPoint(...of)", [name, sigma_w2, sigma_b2])
    point = theory.fixed_point(ACTIVATIONS[name], sigma_w2, sigma_b2)
    for ours, theirs in (("q", "q"), ("c", "c"), ("chi1", "chi1"), ("xi", "xi_c")):
        np.testing.assert_allclose(found[ours], getattr(point, theirs), 1e-8)


def test_known_fixed_points_and_none(page):
    def at(*of):
        return page.evaluate("of => window.page.fixedPoint(...of)", list(of))

    # The doctest of initlab.theory.fixed_point.
    point = at("tanh", 1.5, 0.05)
    np.testing.assert_allclose([point["q"], point["xi"]], [0.4180372, 15.790994], 1e-7)
    assert at("relu", 2.0, 0.0) == {"q": 1, "c": 1, "chi1": 1, "xi": np.inf}
    assert at("linear", 3.0, 0.0)["q"] == np.inf
    assert at("tanh", 0.5, 0.0)["q"] == 0
    # Where the signal vanishes chi1 is that of small signals, as in Python.
    vanishing, python = at("relu", 1.0, 0.0), theory.fixed_point(jax.nn.relu, 1.0, 0.0)
    assert (vanishing["q"], python.q) == (0, 0)
    np.testing.assert_allclose([vanishing["chi1"], python.chi1], 0.5, 1e-8)
    np.testing.assert_allclose(vanishing["xi"], python.xi_c, 1e-8)
