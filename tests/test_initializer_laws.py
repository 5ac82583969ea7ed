"""The law that draws follow: found for schemes whose formula is known, and for none by mistake."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from initializer_tables import GENERATOR, RANDOM

from initlab.initializers import bias_law, weight_law, zeros
from initlab.types import ParamSpec, Role

SHAPES = [(64, 64), (64, 256), (256, 64)]
LAWS = {
    "normal": ("1", 0.3**2),
    "uniform": ("1", 0.6**2 / 3),
    "lecun_normal": ("fan_in", 1),
    "lecun_uniform": ("fan_in", 1),
    "glorot_normal": ("fan_avg", 1),
    "glorot_uniform": ("fan_avg", 1),
    "he_normal": ("fan_in", 2),
    "he_uniform": ("fan_in", 2),
    "by fan_out": ("fan_out", 2),
    "torch_default": ("fan_in", 1 / 3),
    "keras_default": ("fan_avg", 1),
    "flax_default": ("fan_in", 1),
}


def draw(initializer, shapes, count=2):
    keys = jax.random.split(jax.random.key(3, impl=GENERATOR), count)
    specs = [ParamSpec(shape, *shape) for shape in shapes]
    return [(spec, [initializer(key, spec) for key in keys]) for spec in specs]


@pytest.mark.parametrize("name", LAWS)
def test_the_law_of_a_scheme_is_its_formula(name):
    initializer, _, kurtosis = RANDOM[name]
    law = weight_law(draw(initializer, SHAPES))
    fan, factor = LAWS[name]
    assert law.fan == fan
    # Five standard errors of the mean of three logarithms.
    error = math.sqrt(sum((kurtosis - 1) / (2 * i * o) for i, o in SHAPES)) / len(SHAPES)
    assert abs(math.log(law.factor / factor)) < 5 * error


def test_equal_fans_cannot_be_told_apart():
    square = [(64, 64), (128, 128)]
    assert weight_law(draw(RANDOM["he_normal"][0], square)).fan == "width"
    # A variance that depends on no fan is one all the same.
    assert weight_law(draw(RANDOM["normal"][0], square)).fan == "1"


def test_a_variance_of_another_power_follows_no_fan():
    def squared(key, spec):
        return jax.random.normal(key, spec.shape) / spec.fan_in

    assert weight_law(draw(squared, SHAPES)).fan == "none"


@settings(max_examples=50, deadline=None)
@given(
    factor=st.floats(1e-12, 1e12),
    fan=st.sampled_from(["1", "fan_in", "fan_out", "fan_avg"]),
    fans=st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=3, max_size=6, unique=True
    ),
)
def test_an_exact_variance_has_an_exact_factor(factor, fan, fans):
    # Fans that differ by half or more, and not all by one common power.
    fans = [(2**i, 2**o) for i, o in (*fans, (1, 1), (1, 9), (9, 1))]
    of = {
        "1": lambda i, o: 1.0,
        "fan_in": lambda i, o: i,
        "fan_out": lambda i, o: o,
        "fan_avg": lambda i, o: (i + o) / 2,
    }[fan]
    signs = np.array([1.0, -1.0])
    draws = [(ParamSpec((2,), i, o), [math.sqrt(factor / of(i, o)) * signs] * 2) for i, o in fans]
    law = weight_law(draws)
    assert law.fan == fan
    np.testing.assert_allclose(law.factor, factor, rtol=1e-12)


def test_zeros_follow_a_law_and_zeros_among_others_follow_none():
    assert weight_law(draw(zeros(), SHAPES)) == ("1", 0.0)
    some = [*draw(zeros(), SHAPES[:1]), *draw(RANDOM["normal"][0], SHAPES[1:])]
    assert weight_law(some).fan == "none"


@pytest.mark.parametrize("dtype", [np.float32, np.float16, jnp.bfloat16])
def test_a_bias_law_is_fan_in_times_the_mean_square_in_float64(dtype):
    spec = ParamSpec((2,), 16, 2, Role.BIAS)
    # A square of 2^-24 is 0 in float16.
    arrays = [jnp.array([0.5, -0.25], dtype), jnp.array([2.0**-12, 2.0**-12], dtype)]
    expected = 16 * (0.25 + 0.0625 + 2 * 2.0**-24) / 4
    np.testing.assert_allclose(bias_law(spec, arrays), expected, rtol=1e-14)
    assert bias_law(spec, [np.zeros(2)]) == 0


def test_no_draws_are_refused():
    spec = ParamSpec((2,), 16, 2)
    with pytest.raises(ValueError, match="draws must hold at least one spec, got none"):
        weight_law([])
    for law in (lambda: weight_law([(spec, [])]), lambda: bias_law(spec, [])):
        with pytest.raises(ValueError, match="must have at least one draw, got none for ParamSpec"):
            law()
