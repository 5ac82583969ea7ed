"""The audit lets published and packages' own starts pass, and they do train."""

import jax
import pytest
from audit_sound import SOUND
from compiled_programs import counting_measurements
from descent_oracle import trains
from thorough import IS_THOROUGH, rows

import initlab

# The starts that everybody knows, and of each kind the one that compiles fastest.
EVERY_RUN = frozenset(
    {
        "30 relu layers, He",
        "60 orthogonal steps",
        "ALiBi",
        "DeepONet",
        "DeepSets",
        "FiLM times 1e-4",
        "Fourier features",
        "GCN",
        "GPT-2, scanned",
        "LoRA alone",
        "MADE",
        "ResNet, zero gamma",
        "SkipInit and a head of zeros",
        "VAE",
        "VQ-VAE",
        "a bias that meets the prior",
        "a depthwise kernel by its window",
        "a switch of experts",
        "an init of zeros",
        "attention",
        "branches of two products, the last times 1e-4",
        "bytes over 255",
        "dueling",
        "equinox: mlp",
        "experts",
        "flax: relu mlp",
        "inputs standardized inside",
        "logistic regression from zero",
        "members with readouts of zero",
        "nnx: BatchNorm, Dropout",
        "scanned layers drawn one by one",
        "siren",
        "tanh, LeCun",
        "tied autoencoder",
        "weight norm",
    }
)


@pytest.mark.quick
def test_the_table_is_large_and_some_of_it_is_tried_every_time():
    assert len(SOUND) >= 200
    assert set(SOUND) >= EVERY_RUN


@pytest.mark.parametrize("name", rows(SOUND, EVERY_RUN))
def test_a_sound_start_passes(name, monkeypatch):
    (make, loss, explained), measured = SOUND[name], counting_measurements(monkeypatch)
    # Other frameworks are written for JAX's own promotion.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        apply, params, batch, *more = make()
        report = initlab.audit(apply, params, batch, loss=loss, **dict(*more))
    assert 0 < len(measured) <= 3
    said = {finding.code for finding in report.findings if finding.severity != "info"}
    assert said <= set(explained), str(report)
    assert report.verdict == ("warn" if explained else "pass")


# Probabilities cannot meet the oracle's normal targets.
TRAINED = [name for name in SOUND if name != "probabilities of classes"]


@pytest.mark.parametrize("name", TRAINED if IS_THOROUGH else ["slopes of a spline"])
def test_a_sound_start_trains(name):
    make, loss, _ = SOUND[name]
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        apply, params, batch, *_ = make()
        assert trains(apply, params, batch, loss)
