"""A parametrization on a network: factors by hand, of blocks, of stacks and of another depth."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import checks, initializers, networks, optimizers, theory
from initlab.theory import Optimizer, Parametrization
from initlab.types import ParamSpec, Role

COMPLETE = Parametrization.COMPLETE_P, Optimizer.ADAM


def decoder(width, depth, **options: Any):
    options = {"heads": 2, "length": 4} | options
    return networks.transformer((10, width, 10), depth, jax.nn.gelu, **options).specs


def factors(specs, base, *way, **more: Any):
    return theory.scaling(specs, base, *way, **more).factors


@pytest.mark.parametrize("scanned", [False, True])
def test_complete_p_is_the_published_table(scanned):
    """Dey et al. 2025, arXiv:2505.01618, table 1, with the readout's multiplier in its start."""
    m, deeper, alpha = 8.0, 3.0, 0.5
    wide, base = (decoder(*size, scanned=scanned) for size in ((64, 6), (8, 2)))
    found = factors(wide, base, *COMPLETE, alpha=alpha)
    block = "blocks" if scanned else "block_5"
    branch, rate = deeper**-alpha, deeper ** (alpha - 1)
    epsilon = 1 / m * branch
    wanted = {
        "embedding/table": (1, 1, 1, 1 / m, 1),
        f"{block}/attention/query/weight": (1, m**-0.5, rate / m, epsilon, m),
        f"{block}/mlp/layer_1/bias": (1, 1, rate, epsilon, 1),
        f"{block}/mlp/norm/scale": (1, 1, rate, epsilon, 1),
        f"{block}/mlp/layer_2/weight": (branch, m**-0.5, rate / m, epsilon, m),
        # The branch is multiplied as a whole.
        f"{block}/mlp/layer_2/bias": (branch, 1, rate, epsilon, 1),
        "readout/norm/scale": (1, 1, 1, 1 / m, 1),
        "readout/weight": (1, 1 / m, 1 / m, 1, m),
        "readout/bias": (1, 1, 1, 1, 1),
    }
    for path, want in wanted.items():
        np.testing.assert_allclose(found[path], want, rtol=1e-12, err_msg=path)
    same = theory.scaling(base, base, *COMPLETE, alpha=alpha)
    assert {value for each in same.factors.values() for value in each} == {1.0}
    assert same.multipliers == {}


def test_the_batch_multiplies_every_rate():
    specs = decoder(8, 1)
    found = factors(specs, specs, Parametrization.MUP, Optimizer.ADAM, batch=4.0)
    assert {(each.learning_rate, each.epsilon) for each in found.values()} == {(2.0, 0.5)}


def test_muon_leaves_what_is_no_matrix_between_layers_to_adam():
    wide, base = (decoder(width, 2, scanned=True) for width in (64, 8))
    found = factors(wide, base, Parametrization.MUP, Optimizer.MUON)
    assert found["blocks/mlp/layer_1/weight"].learning_rate == 1
    assert found["readout/weight"].learning_rate == 1 / 8
    experts, one = ({"w": ParamSpec((3, n, n), n, n, members=(0,))} for n in (8, 2))
    assert factors(experts, one, Parametrization.MUP, Optimizer.MUON)["w"].learning_rate == 1 / 4


@pytest.mark.parametrize(
    ("base", "more", "message"),
    [
        ({"w": ParamSpec((2,), 1, 1)}, {}, "got none"),
        (decoder(8, 2), {"batch": 0.0}, "batch must be over 0"),
        (decoder(8, 2), {"alpha": 0.3}, "alpha must be between"),
    ],
)
def test_what_has_no_counterpart_is_refused(base, more, message):
    specs = decoder(8, 2)
    with pytest.raises(ValueError, match=message):
        theory.scaling(specs, base, *COMPLETE, **more)


def test_layers_that_differ_cannot_be_matched_by_their_numbers():
    deep, base = (
        networks.mlp(sizes, jnp.tanh).specs for sizes in ((2, 4, 4, 4, 1), (2, 4, 8, 4, 1))
    )
    assert len(factors(deep, base, *COMPLETE)) == 8
    deeper = networks.mlp((2, 4, 4, 4, 4, 1), jnp.tanh).specs
    with pytest.raises(ValueError, match=r"'layer_4/weight'\], Role.WEIGHT, got several that diff"):
        factors(deeper, base, *COMPLETE)


def test_a_start_has_the_base_s_deviation_times_the_power():
    wide, base = (
        networks.residual_mlp((3, n, 5), 2, jnp.tanh, scanned=True).specs for n in (64, 16)
    )
    way = theory.scaling(wide, base, Parametrization.MUP, Optimizer.ADAM)
    scheme = initializers.parametrized(initializers.by_role(initializers.he_normal()), way)
    unit = initializers.by_role(initializers.unit_normal)
    key = jax.random.key(0, impl="rbg")
    params, plain = jax.jit(
        lambda key: [initializers.initialize(key, wide, each) for each in (scheme, unit)]
    )(key)
    leaves = checks.leaves_by_path("params", params)
    for path, power in (
        ("stem/weight", (2 / 3) ** 0.5),
        ("blocks/layer_1/weight", (2 / 16) ** 0.5 * 4**-0.5),
        ("readout/weight", (2 / 16) ** 0.5 / 4),
    ):
        drawn = checks.leaves_by_path("params", plain)[path]
        np.testing.assert_allclose(leaves[path], power * drawn, rtol=1e-5)
    with pytest.raises(ValueError, match=r"'other' must be a parameter of the scaling's network"):
        scheme(jax.random.key(0), ParamSpec((2,), 1, 2, path="other"))


SPECS = {
    "first": {"w": ParamSpec((2, 8), 2, 8, Role.INPUT), "b": ParamSpec((8,), 2, 8, Role.BIAS)},
    "stack": ParamSpec((3, 8, 8), 8, 8, stack=("s1", "s2", "s3")),
    "last": ParamSpec((8, 1), 8, 1, Role.READOUT),
}
BASE = {
    "first": {"w": ParamSpec((2, 2), 2, 2, Role.INPUT), "b": ParamSpec((2,), 2, 2, Role.BIAS)},
    "stack": ParamSpec((3, 2, 2), 2, 2, stack=("s1", "s2", "s3")),
    "last": ParamSpec((2, 1), 2, 1, Role.READOUT),
}


def steps(optimizer, specs, gradients, **more: Any):
    """The params after a step for each gradient, from ones."""
    way = theory.scaling(specs, BASE, Parametrization.MUP, optimizer)
    descent = optimizers.parametrized(way, 0.5, **more)
    params = jax.tree.map(lambda spec: np.ones(spec.shape, np.float32), specs)
    state, update = jax.jit(descent.init)(params), jax.jit(descent.update)
    for gradient in gradients:
        updates, state = update(gradient, state, params)
        params = jax.tree.map(
            lambda leaf, moved: np.asarray(leaf) + np.asarray(moved), params, updates
        )
    return way, checks.leaves_by_path("params", params)


@pytest.fixture
def standard_promotion():
    # Optax's Adam relies on it.
    with jax.numpy_dtype_promotion("standard"):
        yield


def gradients_of(specs, size=1.0):
    stream = np.random.default_rng(0)
    return [
        jax.tree.map(lambda spec: size * stream.normal(size=spec.shape).astype("f"), specs)
        for _ in range(2)
    ]


@pytest.mark.usefixtures("standard_promotion")
def test_adam_has_rates_epsilons_and_decays_of_each_parameter():
    # Gradients of the size of epsilon, which is then seen.
    gradients = gradients_of(SPECS, 1e-4)
    way, moved = steps(Optimizer.ADAM, SPECS, gradients, epsilon=1e-4, weight_decay=0.1)
    for path, got in moved.items():
        factor = way.factors[path]
        value, mean, square = np.ones(got.shape), 0.0, 0.0
        for count, gradient in enumerate(gradients, start=1):
            g = np.float64(checks.leaves_by_path("gradient", gradient)[path])
            mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
            root = np.sqrt(square / (1 - 0.999**count))
            step = mean / (1 - 0.9**count) / (root + 1e-4 * factor.epsilon)
            decay = 0.1 * factor.weight_decay * value
            value = value - 0.5 * factor.learning_rate * (step + decay)
        np.testing.assert_allclose(got, value, rtol=1e-4, err_msg=path)


def test_descent_has_momentum_and_rates_of_each_parameter():
    gradients = gradients_of(SPECS)
    way, moved = steps(Optimizer.SGD, SPECS, gradients, momentum=0.5)
    for path, got in moved.items():
        first, second = (checks.leaves_by_path("g", gradient)[path] for gradient in gradients)
        rate = 0.5 * way.factors[path].learning_rate
        np.testing.assert_allclose(got, 1 - rate * (1.5 * first + second), rtol=1e-4)


@pytest.mark.usefixtures("standard_promotion")
def test_signs_and_matrices_move_by_their_rates():
    (gradient, _) = gradients_of(SPECS)
    way, moved = steps(Optimizer.SIGN, SPECS, [gradient])
    for path, g in checks.leaves_by_path("gradient", gradient).items():
        rate = 0.5 * way.factors[path].learning_rate
        np.testing.assert_allclose(moved[path], 1 - rate * np.sign(g), rtol=1e-5)
    way, moved = steps(Optimizer.MUON, SPECS, [gradient], adam_rate=0.25)
    # Each slice by itself, nearly orthogonal: five iterations leave singular values near 1.
    values = np.linalg.svd((1 - moved["stack"]) / 0.5, compute_uv=False)
    assert values.shape == (3, 8)
    assert 0.5 < values.min() < values.max() < 1.4
    first = np.linalg.svd((1 - moved["first/w"]) / 0.5 / (8 / 2) ** 0.5, compute_uv=False)
    assert 0.5 < first.min() < first.max() < 1.4
    wanted = 1 - 0.25 * way.factors["last"].learning_rate * np.sign(gradient["last"])
    np.testing.assert_allclose(moved["last"], wanted, rtol=1e-4)


@pytest.mark.parametrize(
    ("optimizer", "more", "message"),
    [
        (Optimizer.ADAM, {"momentum": 0.9}, "momentum is of Optimizer.SGD alone"),
        (Optimizer.ADAM, {"adam_rate": 0.9}, "adam_rate is of Optimizer.MUON alone"),
        (Optimizer.SGD, {"weight_decay": np.nan}, "weight_decay must be finite"),
    ],
)
def test_what_an_optimizer_has_not_is_refused(optimizer, more, message):
    with pytest.raises(ValueError, match=message):
        steps(optimizer, SPECS, [], **more)


def test_factors_without_a_parameter_are_refused():
    with pytest.raises(ValueError, match="updates must hold the parameter 'v'"):
        optimizers.scale_leaves({"v": 2.0}).update({"w": np.ones(1)}, jnp.zeros(()))
