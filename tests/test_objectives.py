"""The objectives against float64 NumPy, at the ends of their range, and their input validation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from initlab import objectives

ROWS, CLASSES = 8, 3


def _np_log_softmax(z):
    shifted = z - z.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _np_binary_loss(z, y):
    return np.mean(np.logaddexp(0.0, z[:, 0]) - y * z[:, 0])


def _np_softmax_loss(z, y):
    return -np.mean(_np_log_softmax(z)[np.arange(len(y)), y.astype(int)])


def _np_r_squared(z, y):
    return 1 - np.sum((z[:, 0] - y) ** 2) / np.sum((y - y.mean()) ** 2)


# objective, logits K, labels from a generator, then its oracles: loss, metric, gradient of the loss
TABLE = {
    "binary": (
        objectives.binary,
        1,
        lambda rng: rng.integers(0, 2, ROWS),
        _np_binary_loss,
        lambda z, y: np.mean((z[:, 0] > 0) == y),
        lambda z, y: (1 / (1 + np.exp(-z)) - y[:, None]) / len(y),
    ),
    "softmax": (
        objectives.softmax,
        CLASSES,
        lambda rng: rng.integers(0, CLASSES, ROWS),
        _np_softmax_loss,
        lambda z, y: np.mean(z.argmax(axis=1) == y),
        lambda z, y: (np.exp(_np_log_softmax(z)) - np.eye(CLASSES)[y]) / len(y),
    ),
    "regression": (
        objectives.regression,
        1,
        lambda rng: rng.normal(size=ROWS),
        lambda z, y: np.mean((z[:, 0] - y) ** 2),
        _np_r_squared,
        lambda z, y: 2 * (z - y[:, None]) / len(y),
    ),
}
EACH = pytest.mark.parametrize("name", TABLE)

logit_columns = hnp.arrays(
    np.float32, (ROWS, 1), elements=st.floats(-50, 50, width=32, allow_subnormal=False)
)
logit_rows = hnp.arrays(
    np.float32, (ROWS, CLASSES), elements=st.floats(-50, 50, width=32, allow_subnormal=False)
)
two_classes = hnp.arrays(np.int32, ROWS, elements=st.integers(0, 1))
classes = hnp.arrays(np.int32, ROWS, elements=st.integers(0, CLASSES - 1))
few_examples = settings(max_examples=40, deadline=None)


@EACH
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_numpy_and_keeps_the_dtype(name, dtype, seed):
    objective, width, labels, loss, metric, gradient = TABLE[name]
    rng = np.random.default_rng(seed)
    y = labels(rng)
    logits = jnp.asarray(3 * rng.normal(size=(ROWS, width)), dtype)
    z = np.asarray(logits).astype(np.float64)
    eps = float(jnp.finfo(dtype).eps)
    close = functools.partial(np.testing.assert_allclose, rtol=40 * eps, atol=4 * eps)
    assert objective.loss(logits, y).dtype == objective.metric(logits, y).dtype == dtype
    close(float(objective.loss(logits, y)), loss(z, y))
    close(float(objective.metric(logits, y)), metric(z, y))
    got = np.asarray(jax.grad(objective.loss)(logits, y)).astype(np.float64)
    close(got, gradient(z, y))


@EACH
def test_labels_may_be_any_number_type(name):
    objective, width, _, *_ = TABLE[name]
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(ROWS, width)), jnp.float32)
    y = np.arange(ROWS) % 2
    want = objective.loss(logits, y), objective.metric(logits, y)
    for dtype in (bool, np.uint8, np.int32, np.int64, np.float32, np.float64):
        assert (objective.loss(logits, y.astype(dtype)), objective.metric(logits, y)) == want
        objective.outputs(y.astype(dtype))


@EACH
def test_compiles_and_maps(name):
    objective, width, labels, *_ = TABLE[name]
    rng = np.random.default_rng(0)
    y = jnp.asarray(labels(rng))
    logits = jnp.asarray(rng.normal(size=(5, ROWS, width)), jnp.float32)
    mapped = jax.jit(jax.vmap(objective.loss, in_axes=(0, None)))(logits, y)
    np.testing.assert_allclose(mapped, [objective.loss(z, y) for z in logits], rtol=1e-6)
    assert jax.vmap(objective.predict)(logits).shape == (5, ROWS)
    assert objective.link(logits[0]).shape == logits[0].shape


@pytest.mark.quick
@EACH
def test_permuting_rows_leaves_the_loss_alone(name):
    objective, width, labels, *_ = TABLE[name]
    rng = np.random.default_rng(1)
    y, order = labels(rng), rng.permutation(ROWS)
    logits = jnp.asarray(rng.normal(size=(ROWS, width)), jnp.float32)
    moved = objective.loss(logits[order], y[order])
    np.testing.assert_allclose(moved, objective.loss(logits, y), rtol=1e-6)


def test_links_and_predictions():
    column = jnp.array([[-1.0], [0.0], [3.0]])
    np.testing.assert_allclose(objectives.binary.link(column), 1 / (1 + np.exp(-column)), rtol=1e-6)
    np.testing.assert_array_equal(objectives.regression.link(column), column)
    np.testing.assert_allclose(objectives.softmax.link(jnp.zeros((2, 4))), 0.25, rtol=1e-6)
    np.testing.assert_array_equal(objectives.binary.predict(column), [0, 0, 1])
    np.testing.assert_array_equal(objectives.regression.predict(column), column[:, 0])
    np.testing.assert_array_equal(objectives.softmax.predict(jnp.eye(3)), [0, 1, 2])
    for objective in (objectives.binary, objectives.softmax):
        assert objective.predict(column).dtype == jnp.int32


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_stable_at_large_logits(size):
    columns = jnp.array([[size], [-size]], jnp.float32)
    pairs = jnp.array([[0.0, size], [0.0, -size]], jnp.float32)
    for objective, logits in ((objectives.binary, columns), (objectives.softmax, pairs)):
        right, wrong = jnp.array([1, 0]), jnp.array([0, 1])
        assert objective.loss(logits, right) == 0
        np.testing.assert_allclose(objective.loss(logits, wrong), size, rtol=1e-6)
        for y in (right, wrong):
            assert jnp.isfinite(jax.grad(objective.loss)(logits, y)).all()


@pytest.mark.quick
def test_small_losses_do_not_round_to_zero():
    logits = jnp.full((2, 1), 30.0, jnp.float32)
    np.testing.assert_allclose(
        objectives.binary.loss(logits, jnp.array([1, 1])), np.exp(-30.0), rtol=1e-5
    )


def test_a_class_number_out_of_range_is_not_a_number():
    for label in (-1, CLASSES):
        assert jnp.isnan(objectives.softmax.loss(jnp.zeros((1, CLASSES)), jnp.array([label])))


@few_examples
@given(logit_columns, two_classes)
def test_binary_is_softmax_with_a_zero(z, y):
    pair = jnp.concatenate([jnp.zeros_like(z), z], axis=1)
    np.testing.assert_allclose(
        objectives.binary.loss(z, y), objectives.softmax.loss(pair, y), rtol=1e-5, atol=1e-6
    )
    # Each rounds in its own way where the probability of a class is at the last bit from one half.
    clear = np.abs(z[:, 0]) > 1e-6
    agree = objectives.binary.predict(z) == objectives.softmax.predict(pair)
    assert np.asarray(agree)[clear].all()


@few_examples
@given(logit_columns, two_classes)
def test_binary_is_bit_identical_when_the_classes_swap_names(z, y):
    assert objectives.binary.loss(z, y) == objectives.binary.loss(-z, 1 - y)


@few_examples
@given(logit_rows, classes, st.floats(-100, 100, width=32))
def test_softmax_ignores_a_shift(z, y, shift):
    np.testing.assert_allclose(
        objectives.softmax.loss(z + shift, y), objectives.softmax.loss(z, y), rtol=1e-4, atol=1e-4
    )


@few_examples
@given(two_classes, st.floats(-20, 20, width=32))
def test_no_constant_logit_beats_the_constant_loss(y, logit):
    constant = jnp.full((ROWS, 1), logit, jnp.float32)
    for objective in (objectives.binary, objectives.regression):
        least = objective.constant_loss(y)
        assert objective.loss(constant, jnp.asarray(y)) >= least * (1 - 1e-6) - 1e-7


@few_examples
@given(classes, hnp.arrays(np.float32, CLASSES, elements=st.floats(-20, 20, width=32)))
def test_no_constant_logits_beat_the_constant_loss(y, row):
    constant = jnp.tile(row, (ROWS, 1))
    least = objectives.softmax.constant_loss(y)
    assert objectives.softmax.loss(constant, jnp.asarray(y)) >= least * (1 - 1e-6) - 1e-6


@pytest.mark.quick
@pytest.mark.parametrize(
    ("objective", "y", "best"),
    [
        (objectives.binary, [0, 0, 0, 1, 1, 0, 1, 0], [np.log(3 / 5)]),
        (objectives.softmax, [0, 0, 0, 1, 1, 2, 1, 0], np.log([4 / 8, 3 / 8, 1 / 8])),
        (objectives.regression, [0.5, -1.0, 2.0, 4.5], [1.5]),
    ],
)
def test_the_constant_loss_is_attained(objective, y, best):
    logits = jnp.tile(jnp.asarray(best, jnp.float32), (len(y), 1))
    least = objective.constant_loss(np.array(y))
    np.testing.assert_allclose(objective.loss(logits, jnp.array(y)), least, rtol=1e-6)


def test_the_mean_explains_nothing():
    assert objectives.r_squared(jnp.full((4, 1), 1.5), jnp.array([0.5, -1.0, 2.0, 4.5])) == 0


def test_one_class_has_no_entropy():
    assert objectives.label_entropy(np.ones(4, int)) == 0.0


@pytest.mark.quick
@pytest.mark.parametrize(
    ("objective", "y", "outputs"),
    [
        (objectives.binary, np.array([0, 1, 0]), 1),
        (objectives.binary, np.array([True, False]), 1),
        (objectives.softmax, np.array([0, 4]), 5),
        (objectives.softmax, np.array([0.0, 2.0]), 3),
        (objectives.regression, np.array([-0.5, 1e9]), 1),
    ],
)
def test_outputs(objective, y, outputs):
    got = objective.outputs(y)
    assert got == outputs
    assert type(got) is int


@pytest.mark.quick
@pytest.mark.parametrize(
    ("objective", "y", "message"),
    [
        (objectives.binary, np.array([0, 1, 2, 7]), "must be 0 or 1, got 2, 7"),
        (objectives.binary, np.arange(20), "got 2, 3, 4, 5, 6 and 13 more"),
        (objectives.binary, np.array([0.0, np.nan]), "got nan"),
        (objectives.softmax, np.array([0, -3]), "class numbers from 0, got -3"),
        (objectives.softmax, np.array([0.5, 1.0]), "got 0.5"),
        (objectives.softmax, np.array([np.inf, 1.0]), "got inf"),
        (objectives.softmax, np.array([np.nan, 1.0]), "got nan"),
        (objectives.regression, np.array([0.5, np.nan]), "got nan in row 1"),
        (objectives.regression, np.array([-np.inf]), "got -inf in row 0"),
    ],
)
def test_labels_that_do_not_fit(objective, y, message):
    with pytest.raises(ValueError, match=message):
        objective.outputs(y)


@EACH
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros((2, 1)), r"real numbers of shape \[B\] .* shape \(2, 1\)"),
        (np.zeros(0), r"shape \(0,\)"),
        (np.array(["a"]), "y must be an array of numbers, got <U1"),
        (np.array([1j]), "labels must be real .* got complex128"),
    ],
)
def test_labels_that_are_no_rows_of_numbers(name, y, message):
    objective = TABLE[name][0]
    for ask in (objective.outputs, objective.constant_loss):
        with pytest.raises((TypeError, ValueError), match=message):
            ask(y)


@EACH
def test_logits_that_do_not_fit(name):
    objective, width, *_ = TABLE[name]
    want = "1" if width == 1 else "K"
    logits, y = jnp.zeros((2, width)), jnp.zeros(2, jnp.int32)
    bad_shape = jnp.zeros((2, width, 1)) if width > 1 else jnp.zeros((2, 2))
    for score in (objective.loss, objective.metric, lambda z, _: objective.predict(z)):
        with pytest.raises(ValueError, match=rf"logits must have shape \[B, {want}\], got"):
            score(bad_shape, y)
        with pytest.raises(TypeError, match="logits must be floating, got int32"):
            score(logits.astype(jnp.int32), y)
    for score in (objective.loss, objective.metric):
        for labels in (jnp.zeros(3), jnp.zeros((2, 1))):
            with pytest.raises(ValueError, match=r"labels must have shape \[B\] .* got"):
                score(logits, labels)
        with pytest.raises(ValueError, match="B >= 1"):
            score(logits[:0], y[:0])
