"""What a coordinate check says of what breaks: of known powers, and that its powers mend."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from coordinate_powers import FLAT, check_of

from initlab import initializers, networks, optimizers
from initlab.coordinates import CoordinateCheck, coordinate_check, of_network

X = np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 10, 8)


def loss(logits):
    return optax.softmax_cross_entropy_with_integer_labels(logits, Y).mean()


@pytest.mark.quick
def test_what_breaks_is_named_with_the_power_that_would_mend_it():
    check = check_of(FLAT | {"hidden": 0.5}, {"in": [0], "hidden": [1], "out": [1.5]})
    widths = np.array([64.0, 256.0, 1024.0])[:, None, None]
    powers = np.array([[-0.5, -0.5, -0.5], [0, 1.0, 0.5], [0, 0, 0.1], [0, 0, 0]])
    # Layers before a role's own do not move.
    moves = np.array([[1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]])
    own = np.tile((moves * widths**powers)[:, None], (1, 8, 1, 1))
    roles = ("INPUT", "WEIGHT", "READOUT", "GATE")
    named = dataclasses.replace(check, roles=roles, own=own)
    assert check.remedies == ()
    assert named.remedies == (
        "hidden starts as width^+0.50 of what it takes; standard deviations times width^-0.50 "
        "there would hold it",
        "INPUT: its update moves no layer by more than in, as width^-0.50 [-0.50, -0.50]; a "
        "learning rate times width^+0.50 would let it learn",
        "WEIGHT: its update moves hidden as width^+1.00 [+1.00, +1.00]; a learning rate times "
        "width^-1.00 would hold it",
    )
    assert f"breaks: {named.remedies[2]}." in str(named).splitlines()
    again = CoordinateCheck.from_dataset(named.to_dataset().transpose("layer", ...))
    assert again.remedies == named.remedies
    assert "branches times depth^-0.50" in dataclasses.replace(named, axis="depth").remedies[0]


def test_what_grows_exponentially_with_depth_is_given_no_power():
    depths = np.array([16.0, 32.0, 64.0, 128.0])
    stream = np.random.default_rng(0)

    def sizes(logs):
        """[4 depths, 8 seeds, layers], with noise between seeds."""
        return np.exp(np.stack(logs, axis=-1)[:, None] + 0.1 * stream.normal(size=(4, 8, 3)))

    start = sizes([0 * depths, 0.1 * depths, 0.2 * depths])
    own = np.stack([sizes([0 * depths, 0.1 * depths, 0.3 * depths]), sizes([np.log(depths)] * 3)])
    layers, growth = ("first", "last", "output"), np.ones((4, 8, 1, 3))
    check = CoordinateCheck(
        "depth", (16, 32, 64, 128), layers, start, growth, {}, 0.15, ("WEIGHT", "BIAS"),
        np.moveaxis(own, 0, 2),
    )  # fmt: skip

    def starts_of(start):
        return [e for e in dataclasses.replace(check, start=start).remedies if " starts as " in e]

    exploding, weight, bias = check.remedies
    assert exploding.startswith("last starts as exp(+0.1 depth), which no power of depth holds")
    assert weight.startswith("WEIGHT: its update moves output as exp(+0.3 depth); no learning rate")
    # A power beside it is one, and so is a constant and a power.
    assert re.search(r"BIAS: .* as depth\^\+1\.0\d .* times depth\^-1\.0", bias)
    # A constant beside a power bends as an exponential does, and is none however it bends.
    for offset in (1 + depths / 64, (1 + (depths / 64) ** 2) ** 0.5, (1 + depths / 256) ** 0.5):
        noisy = np.exp(0.02 * stream.normal(size=(4, 8, 3))) * offset[:, None, None]
        assert not [each for each in starts_of(noisy) if "exp(" in each]
    bent = start * 0 + (1 + depths / 64)[:, None, None]
    assert "branches times depth^-0.42" in dataclasses.replace(check, start=bent).remedies[0]
    # What hardly grows is flat, and hides nothing; what decays has no branches to make smaller.
    flat = sizes([0.0008 * depths, 0 * depths, np.log(depths)])
    assert [each.split()[0] for each in starts_of(flat)] == ["output"]
    decaying = sizes([0 * depths, -0.1 * depths, -0.1 * depths])
    (said,) = starts_of(decaying)
    assert said.startswith("last starts as exp(-0.1 depth)")
    assert "branches" not in said
    assert not starts_of(sizes([0 * depths, 0 * depths, -0.1 * depths]))
    idle = np.moveaxis(np.stack([sizes([-0.1 * depths] * 3), own[1]]), 0, 2)
    _, weight, _ = dataclasses.replace(check, start=decaying, own=idle).remedies
    assert re.search(r"by more than \w+, as exp\(-0.1 depth\); no .* let it learn", weight)
    # Units of one layer add up: of width nothing is exponential.
    assert "exp(" not in str(dataclasses.replace(check, axis="width"))


@pytest.mark.thorough
@pytest.mark.parametrize("optimizer", [optax.sgd, optax.adam])
def test_the_named_powers_mend_a_network(optimizer):
    def make(powers):
        def at(width):
            network = networks.mlp((2, width, width, 10), jnp.tanh)
            # Biases are the weight's in `by_role`, if they have no rate.
            rates = {
                role.lower(): optimizer(1e-3 * (width / 128) ** powers.get(role, 0.0))
                for role in ("BIAS", "INPUT", "WEIGHT", "READOUT")
            }
            steps = optimizers.by_role(network.specs, rates.pop("weight"), **rates)
            return of_network(network, initializers.ntk(), steps)

        with jax.numpy_dtype_promotion("standard"):
            return coordinate_check(at, [128, 512], X, loss, seeds=range(8), steps=1, tolerance=0.2)

    broken = make({})
    said = [re.fullmatch(r"(\w+): .* rate times width\^(\S+) .*", each) for each in broken.remedies]
    powers = {found[1]: float(found[2]) for found in said if found}
    assert powers["READOUT"] == pytest.approx(-1, abs=0.2)
    mended = make(powers)
    assert broken.verdict == "fail"
    assert mended.change_slopes["layer_3"][0].value == pytest.approx(0, abs=0.2)
    assert not any("hold" in each for each in mended.remedies if "update" in each), mended
