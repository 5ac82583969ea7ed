"""The sections of published numbers that theory and initializers give without drawn networks."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from experiments.number_tables.rows import Measured
from initlab import initializers, theory
from initlab.activations import identity
from initlab.initializers import fan_avg, fan_in
from initlab.types import ParamSpec

__all__ = ["measure_constants", "measure_mean_field", "measure_starts"]

GAINS = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "gelu": jax.nn.gelu,
    "elu": jax.nn.elu,
    "selu": jax.nn.selu,
    "softplus": jax.nn.softplus,
    "softsign": jax.nn.soft_sign,
}

TORCH = {
    "linear": identity,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "selu": jax.nn.selu,
}


def measure_mean_field() -> Measured:
    """Section 5: the maps of wide networks, and where they lead."""
    measured: Measured = {}
    biases = np.array([0.05, 0.1, 0.2])
    weights = theory.critical_sigma_w2(jnp.tanh, biases)
    for sigma_w2, sigma_b2 in zip(weights, biases, strict=True):
        q = theory.fixed_point(jnp.tanh, sigma_w2, sigma_b2).q
        measured["tanh, critical line: sigma_w2, q*", str(sigma_b2)] = np.stack([sigma_w2, q])
    for sigma_w2 in (1.5, 2.5):
        point = theory.fixed_point(jnp.tanh, sigma_w2, 0.05)
        measured["tanh, fixed point: q*, chi1, c*, xi_c", f"{sigma_w2}, 0.05"] = np.stack(
            [point.q, point.chi1, point.c, point.xi_c]
        )
    c = theory.propagate(jax.nn.relu, 2.0, 0.0, 1.0, 0.0, 2000).c
    for layer in (1, 2, 3, 10, 100):
        measured["relu, critical: c from 0", str(layer)] = c[layer]
    # 1 / sqrt(1 - c) grows as l / K + a ln l, and K^2 is the limit: the logarithm falls out of the
    # difference of what two doublings of the depth add.
    growth = 1 / np.sqrt(1 - c[[500, 1000, 2000]])
    limit = (500 / (growth[2] - 2 * growth[1] + growth[0])) ** 2
    measured["relu, critical: limit of (1 - c) l^2", ""] = limit
    q = theory.propagate(jnp.tanh, 1.0, 0.0, 1.0, 1.0, 1000).q
    measured["tanh, sigma_w2 = 1: q1 from 1", ""] = q[1]
    for layer in (10, 1000):
        measured["tanh, sigma_w2 = 1: 2 l q", str(layer)] = 2 * layer * q[layer]
    return measured


def measure_constants() -> Measured:
    """Section 7: gains, and the constants of a truncated normal and of selu."""
    measured: Measured = {
        ("PyTorch's gain", name): np.float64(theory.torch_gain(each))
        for name, each in TORCH.items()
    }
    measured["PyTorch's gain", "leaky_relu 0.2"] = np.float64(theory.leaky_relu_gain(0.2))
    for name, activation in GAINS.items():
        measured["1 / std phi(N(0, 1))", name] = theory.centered_gain(activation)
    inside = theory.expectation(lambda z: jnp.where(jnp.abs(z) < 2, 1.0, 0.0).astype(z.dtype), 1.0)
    cut = theory.expectation(lambda z: jnp.where(jnp.abs(z) < 2, z**2, 0.0), 1.0)
    measured["std of a normal cut at two", ""] = np.sqrt(cut.value / inside.value)
    # selu keeps mean 0 and variance 1: alpha from the mean, lambda from the variance.
    right = theory.expectation(jax.nn.relu, 1.0).value
    left = theory.expectation(lambda z: jnp.expm1(jnp.minimum(z, 0.0)), 1.0).value
    alpha = float(-right / left)
    scale = theory.centered_gain(lambda z: jax.nn.elu(z, alpha))
    measured["selu: lambda, alpha", "solved for"] = np.stack([scale, alpha])
    at_one, far_left = (float(jax.nn.selu(np.float64(z))) for z in (1.0, -100.0))
    measured["selu: lambda, alpha", "JAX has them"] = np.array([at_one, -far_left / at_one])
    return measured


def measure_starts() -> Measured:
    """Section 8: regimes of training by initialization, ZerO, sparse weights."""
    measured: Measured = {}
    for name, scales in _two_layers().items():
        # Powers of width: constant factors cancel between two widths.
        widths = np.array([1e8, 1e10])
        output_scale, after, before = scales(widths)
        at = theory.training_regime(output_scale, after, before, widths)
        logs = np.log(widths)
        gammas = [np.diff(each * logs)[0] / np.diff(logs)[0] for each in at[:2]]
        # The linear regime is gamma < 1 or gamma' > gamma - 1. Its border, where the margin is 0,
        # is not in it: 1e-6 is far above the rounding of these logarithms.
        margin = max(1 - gammas[0], gammas[1] - gammas[0] + 1)
        measured["exponents of width: gamma, gamma'", name] = np.array(gammas)
        measured["in the linear regime (1: yes)", name] = np.float64(margin > 1e-6)
    key = jax.random.key(0)
    for shape in ((3, 3), (4, 2), (3, 5)):
        name = f"ZerO of shape {shape[0]}x{shape[1]}"
        spec = ParamSpec(shape, *shape, dtype=np.float64)
        measured[name, ""] = np.asarray(initializers.zero_hadamard()(key, spec))
    weights = np.asarray(initializers.sparse()(key, ParamSpec((100, 4000), 100, 4000)))
    counts = (weights != 0).sum(axis=0)
    measured["sparse: fewest, most non-zero weights of a unit", ""] = np.array(
        [counts.min(), counts.max()]
    )
    squares = np.square(weights[weights != 0], dtype=np.float64)
    measured["sparse: mean square of a non-zero weight", ""] = float(squares.mean())
    return measured


def _two_layers() -> dict[str, Callable[[np.ndarray], tuple]]:
    """`width -> (output scale, std after the activation, std before it)`, for one input."""

    def scaled(fan: Callable[[ParamSpec], float], scale: float) -> Callable:
        def stds(widths: np.ndarray) -> tuple:
            sizes = [int(width) for width in widths]
            after = [fan(ParamSpec((m, 1), m, 1)) for m in sizes]
            before = [fan(ParamSpec((1, m), 1, m)) for m in sizes]
            return 1.0, np.sqrt(scale / np.array(after)), np.sqrt(scale / np.array(before))

        return stds

    return {
        "LeCun": scaled(fan_in, 1.0),
        "He": scaled(fan_in, 2.0),
        "Xavier": scaled(fan_avg, 1.0),
        "NTK": lambda widths: (np.sqrt(widths), 1.0, 1.0),
        "mean field": lambda widths: (widths, 1.0, 1.0),
    }
