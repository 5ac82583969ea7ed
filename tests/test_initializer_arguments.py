"""Input validation of the initializers: numbers, functions, indices and specs that do not fit."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from initializer_tables import KEY, weight_spec

from initlab import initializers as I  # noqa: N812
from initlab.types import ParamSpec

BAD_NUMBERS = [
    (math.nan, ValueError, "must be finite, got nan"),
    (math.inf, ValueError, "must be finite, got inf"),
    (np.float32("-inf"), ValueError, "must be finite, got -inf"),
    (jnp.asarray(np.nan), ValueError, "must be finite, got nan"),
    ("0.1", TypeError, "must be a number, got '0.1'"),
    (None, TypeError, "must be a number, got None"),
    (True, TypeError, "must be a number, got True"),
    (np.True_, TypeError, "must be a number, got np.True_"),
    (1j, TypeError, "must be a number, got 1j"),
    ([0.1], TypeError, r"must be a number, got \[0.1\]"),
    (np.ones(2), TypeError, r"must be a number, got array\(\[1., 1.\]\)"),
]
# scheme, the name of its number, whether it may be negative
NUMBERS = {
    "constant": (I.constant, "value", True),
    "identity": (I.identity, "gain", True),
    "zero_hadamard": (I.zero_hadamard, "gain", True),
    "sinusoidal": (I.sinusoidal, "gain", True),
    "mixture_of_experts": (I.mixture_of_experts, "scale", False),
    "small_router": (lambda std: I.small_router(I.zeros(), std), "std", False),
    "scaled": (lambda factor: I.scaled(I.zeros(), factor), "factor", True),
    "normal": (I.normal, "std", False),
    "truncated_normal": (I.truncated_normal, "std", False),
    "uniform": (I.uniform, "limit", False),
    "orthogonal": (I.orthogonal, "gain", False),
    "variance_scaling": (I.variance_scaling, "scale", False),
    "sparse": (lambda std: I.sparse(3, std), "std", False),
    "scaled_uniform_orthogonal": (I.scaled_uniform_orthogonal, "gain", False),
    "delta_orthogonal": (I.delta_orthogonal, "gain", False),
    "dirac": (I.dirac, "gain", True),
    "lower": (lambda lower: I.truncated_normal(1.0, lower), "lower", True),
    "upper": (lambda upper: I.truncated_normal(1.0, -3.0, upper), "upper", True),
    "shifted": (lambda offset: I.shifted(I.zeros(), offset), "offset", True),
    "siren": (I.siren, "omega", False),
    "gpt2": (lambda std: I.gpt2(2, std), "std", False),
    "skipinit": (lambda alpha: I.skipinit(I.zeros(), alpha), "alpha", True),
    "small_readout": (lambda factor: I.small_readout(I.zeros(), factor), "factor", True),
    "critical": (lambda sigma_b2: I.critical(jnp.tanh, sigma_b2), "sigma_b2", False),
    "sigma_w2": (I.ntk, "sigma_w2", False),
    "sigma_b2": (lambda sigma_b2: I.ntk(1.0, sigma_b2), "sigma_b2", False),
    "mup": (I.mup, "gain", False),
    "mean_field": (I.mean_field, "gain", False),
}


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(("value", "error", "message"), BAD_NUMBERS)
def test_numbers_that_do_not_fit(name, value, error, message):
    make, number, _ = NUMBERS[name]
    with pytest.raises(error, match=f"^{number} {message}"):
        make(value)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_scale_is_not_negative(name):
    make, number, signed = NUMBERS[name]
    for value in (-0.1, np.float32(-1e-30), jnp.asarray(-2)):
        if signed:
            make(value)
        else:
            with pytest.raises(ValueError, match=f"^{number} must be at least 0, got -"):
                make(value)


def test_traced_arrays_are_no_numbers():
    with pytest.raises(TypeError, match=r"std must be a number, got an array of shape \(2,\)"):
        jax.jit(lambda std: I.normal(std)(KEY, weight_spec(2, 2)))(jnp.ones(2))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: I.sparse(0), ValueError, "nonzero must be at least 1, got 0"),
        (lambda: I.sparse(2.0), TypeError, "nonzero must be an integer, got 2.0"),  # pyright: ignore
        (lambda: I.sparse(True), TypeError, "nonzero must be an integer, got True"),
        (lambda: I.variance_scaling(1.0, 3), TypeError, "fan must be a function, got 3"),  # pyright: ignore
        (
            lambda: I.variance_scaling(1.0, I.fan_in, "normal"),  # pyright: ignore
            TypeError,
            "distribution must be a function, got 'normal'",
        ),
        (lambda: I.scaled(2.0, 2.0), TypeError, "initializer must be a function, got 2.0"),  # pyright: ignore
        (lambda: I.by_role(None), TypeError, "weight must be a function, got None"),  # pyright: ignore
        (
            lambda: I.by_role(I.zeros(), readout=0.5),  # pyright: ignore
            TypeError,
            "readout must be a function, got 0.5",
        ),
        (lambda: I.siren(0), ValueError, "omega must be over 0, got 0"),
        (lambda: I.critical("tanh"), TypeError, ".*'tanh'"),  # pyright: ignore
        (lambda: I.gpt2(0), ValueError, "branches must be at least 1, got 0"),
        (lambda: I.gpt2(2.0), TypeError, "branches must be an integer, got 2.0"),  # pyright: ignore
        (lambda: I.fixup(0), ValueError, "branches must be at least 1, got 0"),
        (lambda: I.fixup(3, 1), ValueError, "branch_layers must be at least 2, got 1"),
        (lambda: I.rezero(1.0), TypeError, "weight must be a function, got 1.0"),  # pyright: ignore
        (lambda: I.looks_linear("he"), TypeError, "block must be a function, got 'he'"),  # pyright: ignore
        (lambda: I.dirac(groups=0), ValueError, "groups must be at least 1, got 0"),
        (
            lambda: I.small_router(I.zeros(), routers=["*"]),
            ValueError,
            r"routers must be patterns of some paths, got \['\*'\]",
        ),
        (
            lambda: I.sinusoidal()(KEY, weight_spec(2, 2)),
            ValueError,
            "sinusoidal has waves of zeros only for 2 inputs and 2 units",
        ),
        (
            lambda: I.truncated_normal(1.0, 1.0, 1.0),
            ValueError,
            "lower must be under upper, got 1.0 and 1.0",
        ),
        (
            lambda: I.delta_orthogonal()(KEY, weight_spec(4, 4, path="layer_1/weight")),
            ValueError,
            r"delta_orthogonal requires a convolution's weights \[\*window, inputs, units\], "
            r"got shape \(4, 4\) for 'layer_1/weight'",
        ),
        (
            lambda: I.delta_orthogonal()(KEY, weight_spec(3, 3, 5, 4, path="conv/weight")),
            ValueError,
            r"delta_orthogonal requires at least as many units as inputs, got shape \(3, 3, 5, 4\)",
        ),
        (
            lambda: I.dirac()(KEY, weight_spec(4, 4)),
            ValueError,
            r"dirac requires a convolution's weights .* got shape \(4, 4\)",
        ),
        (
            lambda: I.dirac(groups=2)(KEY, weight_spec(3, 4, 5)),
            ValueError,
            r"dirac requires units in 2 equal groups, got shape \(3, 4, 5\)",
        ),
        (
            lambda: I.looks_linear(I.ones())(KEY, weight_spec(4, 5, path="layer_2/weight")),
            ValueError,
            r"looks_linear requires an even number of hidden units on each side, "
            r"got shape \(4, 5\)",
        ),
        *(
            (
                lambda make=make: make(KEY, ParamSpec((3,), 2, 3, path="layer_1/bias")),
                ValueError,
                rf"{name} requires at least 2 axes, got shape \(3,\) for 'layer_1/bias'",
            )
            for name, make in {
                "orthogonal": I.orthogonal(),
                "scaled_uniform_orthogonal": I.scaled_uniform_orthogonal(),
                "delta_orthogonal": I.delta_orthogonal(),
                "identity": I.identity(),
                "dirac": I.dirac(),
                "zero_hadamard": I.zero_hadamard(),
                "sparse": I.sparse(),
                "looks_linear": I.looks_linear(I.ones()),
            }.items()
        ),
        (lambda: I.by_path({}), ValueError, "patterns must name at least one initializer"),
        (
            lambda: I.by_path({"*/bias": 0}),  # pyright: ignore
            TypeError,
            r"patterns\['\*/bias'\] must be a function, got 0",
        ),
        (lambda: I.choice(0, ()), ValueError, "initializers must hold at least one, got none"),
        (
            lambda: I.choice(0, (I.zeros(), 1.0)),  # pyright: ignore
            TypeError,
            r"initializers\[1\] must be a function, got 1.0",
        ),
        (lambda: I.choice(2, (I.zeros(), I.ones())), ValueError, "index must be 0 to 1, got 2"),
        (lambda: I.choice(-1, (I.zeros(),)), ValueError, "index must be 0 to 0, got -1"),
        (
            lambda: I.choice(jnp.asarray(5), (I.zeros(), I.ones())),
            ValueError,
            "index must be 0 to 1, got 5",
        ),
        (
            lambda: I.identity()(KEY, weight_spec(3, 2, 2, path="conv/weight")),
            ValueError,
            r"identity requires a matrix, got shape \(3, 2, 2\) for 'conv/weight'",
        ),
        (
            lambda: I.by_path({"layer_1/*": I.zeros()})(
                KEY, weight_spec(2, 2, path="layer_2/weight")
            ),
            ValueError,
            r"no pattern matches 'layer_2/weight'; patterns are \['layer_1/\*'\]",
        ),
        (
            lambda: I.initialize(KEY, {"w": weight_spec(2, 2)}, 0.5),  # pyright: ignore
            TypeError,
            "initializer must be a function, got 0.5",
        ),
        (
            lambda: I.initialize(KEY, {"w": (2, 2)}, I.zeros()),
            TypeError,
            "specs must hold ParamSpec, got int",
        ),
        (
            lambda: I.initialize(
                KEY, {"a": {"w": weight_spec(2, 3)}}, lambda key, spec: jnp.zeros(spec.shape[::-1])
            ),
            ValueError,
            r"what initializer returns for params\['a/w'\] must have shape \(2, 3\), got \(3, 2\)",
        ),
        (
            lambda: I.initialize(
                KEY, {"w": weight_spec(2, 3)}, lambda key, spec: jnp.zeros(spec.shape, jnp.bfloat16)
            ),
            ValueError,
            r"what initializer returns for params\['w'\] must be float32, got bfloat16",
        ),
        (
            lambda: I.initialize(KEY, {"w": weight_spec(2, 3)}, lambda key, spec: 0.0),  # pyright: ignore
            TypeError,
            r"what initializer returns for params\['w'\] must be an array, got float",
        ),
    ],
)
def test_arguments_that_do_not_fit(make, error, message):
    with pytest.raises(error, match=f"^{message}"):
        make()


@pytest.mark.parametrize("index", [0.5, True, None, "0"])
def test_an_index_that_is_no_integer_is_refused(index):
    with pytest.raises(TypeError, match="index must be"):
        I.choice(index, (I.zeros(), I.ones()))


def test_a_bias_that_is_no_initializer_is_refused():
    with pytest.raises(TypeError, match="bias must be a function, got 0"):
        I.by_role(I.zeros(), bias=0)  # pyright: ignore[reportArgumentType]


def test_numbers_of_any_float_dtype_are_taken_and_huge_ones_refused():
    assert I.normal(jnp.asarray(0.5, jnp.bfloat16))
    with pytest.raises(ValueError, match="must be finite"):
        I.normal(10**400)
