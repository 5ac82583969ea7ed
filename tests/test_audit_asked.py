"""What an audit checks only where it is asked: leaks and class priors; bad input is named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from asked_models import (
    RARE,
    WORDS,
    network,
    normalized_by_batch,
    of_words,
    one_logit,
    shifted_examples,
    twelve,
    two_layers,
    words,
)
from audit_models import LABELS, ROWS
from heads_models import attend

import initlab
from initlab.audits.class_prior import measure_predictions, read_prior
from initlab.audits.leaks import find_leaks
from initlab.taps import read_model


def leaks_of(apply, params, batch, **asked):
    model = read_model(apply, params, batch)
    batch = jax.tree.map(jnp.asarray, batch)
    given = {"independent": False, "causal": False} | asked
    return find_leaks(model, params, batch, **given)


def test_a_leak_is_as_large_as_the_change_that_it_makes():
    def mean(params, x):
        return x @ params["w"] + 0.25 * jnp.mean(x, axis=0, keepdims=True)

    x = np.arange(8.0, dtype=np.float32).reshape(4, 2)
    (leak,) = leaks_of(mean, {"w": np.eye(2, dtype=np.float32)}, x, independent=True)
    # The mean, (3, 4), becomes the first example, (0, 1), or the last, (6, 7).
    assert (leak.kind, leak.where) == ("independent", 0)
    assert leak.change == pytest.approx(0.75 / 2, rel=1e-5)


@pytest.mark.parametrize("ahead", [1, 2, 5])
@pytest.mark.parametrize("times", [2, 7, 8])
def test_any_step_ahead_is_a_leak_and_none_behind(ahead, times):
    def seen(shift):
        def apply(params, x):
            padded = jnp.pad(x, ((0, 0), (6, 6), (0, 0)))
            return (x + padded[:, 6 + shift : 6 + shift + times]) @ params["w"]

        return apply

    x = np.random.default_rng(0).normal(size=(3, times, 2)).astype(np.float32)
    params = {"w": np.eye(2, dtype=np.float32)}
    found = leaks_of(seen(ahead), params, x, causal=True)
    # Five steps from a first time of two lie outside.
    assert bool(found) == (ahead < times)
    assert not leaks_of(seen(-ahead), params, x, causal=True, independent=True)


def test_inputs_that_are_no_examples_are_left_alone():
    def apply(params, batch):
        x, mask, scale = batch
        return (x * mask[None] * scale) @ params["w"]

    batch = (ROWS, np.linspace(0, 1, 8).astype(np.float32), np.float32(2))
    params = {"w": np.eye(8, dtype=np.float32)}
    assert not leaks_of(apply, params, batch, independent=True)


def test_halves_are_compared_to_their_own_rounding():
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), of_words())
    apply = words(attend(twelve))
    asked = {"independent": True, "causal": True}
    assert not leaks_of(apply, params, WORDS, **asked)
    assert leaks_of(words(attend()), params, WORDS, **asked)


@pytest.mark.parametrize(
    ("apply", "batch", "asked", "message"),
    [
        (lambda p, x: jnp.mean(x @ p["in"]), ROWS, "independent", "first axis is 16 examples"),
        (lambda p, x: (x @ p["in"])[:, 0], ROWS, "causal", r"\[16 examples, times, ...\]"),
        (lambda p, x: x @ p["in"], np.ones_like(ROWS), "independent", "examples that differ"),
        (lambda p, x: x @ p["in"], ROWS, "causal", "from time 16 on"),
    ],
)
def test_what_cannot_be_asked_is_said(apply, batch, asked, message):
    given = {"independent": asked == "independent", "causal": asked == "causal"}
    with pytest.raises(ValueError, match=message):
        initlab.audit(apply, two_layers(), batch, **given)


def expected(z, labels):
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    right = np.take_along_axis(p, labels[..., None], axis=-1)
    hits = np.mean(p.argmax(-1) == labels)
    return -np.mean(np.log(right)), p.mean(0), p.max(-1).mean(), hits


def predictions_of(apply, params, labels, prior=None):
    model = read_model(apply, params, ROWS)
    known = read_prior(labels, prior, tuple(model.program.out_avals[0].shape))
    assert known is not None
    starts = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], params)
    (found,) = measure_predictions(model, known, starts, jnp.asarray(ROWS))
    return known, found


def test_predictions_are_those_of_the_outputs():
    params = two_layers()
    z = np.asarray(network(params, ROWS), float)
    loss, mean, confidence, accuracy = expected(z, LABELS)
    one_hot = np.eye(10)[LABELS]
    for labels in (LABELS, one_hot):
        known, found = predictions_of(network, params, labels)
        np.testing.assert_allclose(known.frequencies, one_hot.mean(0))
        np.testing.assert_allclose([found.loss, found.confidence], [loss, confidence], rtol=1e-5)
        np.testing.assert_allclose(found.mean, mean, rtol=1e-5)
        assert found.accuracy == pytest.approx(accuracy)
    binary = two_layers(1)
    z = np.asarray(one_logit(binary, ROWS), float)
    two = np.stack([np.zeros(16), z], axis=-1)
    for apply, labels in ((one_logit, RARE), (network, RARE[:, None]), (network, RARE)):
        known, found = predictions_of(apply, binary, labels)
        np.testing.assert_allclose(found.loss, expected(two, RARE)[0], rtol=1e-5)
        # One of sixteen, each counted once more: (1 + 1) / (15 + 1).
        np.testing.assert_allclose(known.bias, [np.log(2 / 16)])


def test_the_bias_that_is_given_meets_the_prior():
    prior = np.array([0.9, 0.06, 0.03, 0.01])
    params = two_layers(4, 0.01)
    first = initlab.audit(network, params, ROWS, prior=prior)
    assert {f.code: f.severity for f in first.findings}["unmet_prior"] == "info"
    assert first.class_bias is not None
    met = params | {"bias": first.class_bias.astype(np.float32)}
    second = initlab.audit(network, met, ROWS, prior=prior)
    assert "unmet_prior" not in {f.code for f in second.findings}
    _, found = predictions_of(network, met, None, prior)
    np.testing.assert_allclose(found.mean, prior, rtol=0.01)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"labels": LABELS + 1}, "labels must be classes 0 to 9, got 1 to 10"),
        ({"labels": LABELS[:8]}, r"labels must be integers \(16,\) or one-hot \(16, 10\)"),
        ({"labels": np.ones((16, 10))}, "rows of probabilities"),
        ({"prior": [0.5, 0.5]}, "prior must be 10 probabilities"),
        ({"prior": np.full(10, 0.2)}, "prior must sum to 1, got 2"),
    ],
)
def test_labels_and_priors_are_checked(given, message):
    with pytest.raises(ValueError, match=message):
        initlab.audit(network, two_layers(), ROWS, **given)


def test_labels_that_are_text_are_refused():
    with pytest.raises(TypeError, match=r"labels must be an array of numbers, got <U\d+ array"):
        initlab.audit(network, two_layers(), ROWS, labels=LABELS.astype(str))


def test_an_assertion_takes_what_an_audit_takes():
    with pytest.raises(AssertionError, match="leak at output"):
        initlab.assert_sound_initialization(
            shifted_examples, two_layers(), ROWS, independent=True, strict=True
        )
    initlab.assert_sound_initialization(network, two_layers(), ROWS, independent=True, strict=True)
    report = initlab.audit(normalized_by_batch, two_layers(), ROWS)
    assert "leak" not in {finding.code for finding in report.findings}
