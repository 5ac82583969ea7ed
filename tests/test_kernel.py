"""The kernel's gradient, its operations run one by one, beside differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from thorough import rows

from initlab import networks, objectives
from initlab.compilation import compile_fast
from initlab.initializers import by_role, initialize, normal
from initlab.networks.mlp import find_chain
from initlab.symmetry import assert_units_identical
from initlab.training.kernel import SLOPES, gradient_kernel

CASES = {
    # Examples that fill no tile, and two; layers without a bias; minibatches; several outputs.
    "binary": ((2, 3, 1), jnp.tanh, True, objectives.binary, 37, False),
    "regression": ((1, 2, 2, 1), jax.nn.silu, [True, False, True], objectives.regression, 5, True),
    "softmax": ((2, 2, 3), jax.nn.relu, True, objectives.softmax, 32, False),
}


@pytest.mark.parametrize("case", rows(CASES, ("binary",)))
def test_kernel_is_the_gradient_of_the_mean_loss(case):
    sizes, activation, bias, objective, examples, each_its_own = CASES[case]
    network = networks.mlp(sizes, activation, bias=bias)
    chain = find_chain(network)
    assert chain is not None
    start = initialize(jax.random.key(1), network.specs, by_role(weight=normal(1.0)))
    # The units of the second run are all alike.
    params = jax.tree.map(lambda leaf: jnp.stack([leaf, jnp.full_like(leaf, 0.3)]), start)
    rng = np.random.default_rng(0)
    shape = (2, examples) if each_its_own else (examples,)
    x = rng.standard_normal((*shape, sizes[0])).astype(np.float32)
    y = rng.integers(0, max(2, sizes[-1]), shape).astype(np.int32)

    def both(params, x, y):
        def loss(params, x, y):
            return objective.loss(network.apply(params, x), y)

        axis = 0 if each_its_own else None
        wanted = jax.vmap(jax.grad(loss), in_axes=(0, axis, axis))(params, x, y)
        return gradient_kernel(chain, objective.loss, params, x, y, interpret=True), wanted

    compiled = compile_fast(jax.jit(both).lower(params, x, y))
    found, wanted = compiled(params, x, y)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6), found, wanted)
    assert_units_identical(jax.tree.map(lambda leaf: leaf[1], found))


@pytest.mark.parametrize("name", ["binary", "regression", "softmax"])
def test_slopes_are_those_of_each_objective(name):
    objective, outputs = getattr(objectives, name), 3 if name == "softmax" else 1
    z = np.random.default_rng(2).normal(0, 20, (8, outputs)).astype(np.float32)

    def of_many(z, y):
        return jax.vmap(jax.grad(lambda z, y: objective.loss(z[None], y[None])))(z, y)

    # Traced, labels beyond the classes are taken, and the gradient of each is what it is.
    y = np.arange(8, dtype=np.int32) % 5
    wanted = jax.jit(of_many)(z, y)
    found = jnp.stack(SLOPES[objective.loss](list(z.T), jnp.asarray(y)), axis=1)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
