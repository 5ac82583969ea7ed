"""Recurrent networks and state spaces: their groups, what adopt says of them, what they refuse."""

import functools

import jax
import network_oracles
import numpy as np
import pytest
from deep_networks import start
from known_groups import groups_as_read, read_groups

from initlab import networks
from initlab import symmetry as sy

pytestmark = pytest.mark.quick

X = np.random.default_rng(0).standard_normal((2, 4, 2))


def gated(*gates):
    """Units of a layer keep their places in the bias, both sides of U, and the readout."""
    each = "{" + ",".join(gates) + "}"
    return f"""6: block_1.bias 1, block_1.{each}.recurrent {{0,1}}, block_1.{each}.weight 1,
        readout.weight 0; 6: embedding.weight 1, embedding.bias 0, block_1.{each}.weight 0"""


# Written down from the layers: of a state space the channels, their states, and the stream.
KNOWN = {
    "lstm": gated("input", "forget", "candidate", "output"),
    "gru": gated("reset", "update", "candidate"),
    "state space": """
        6: block_1.layer_1.{weight 1,bias 0}, block_1.mixer.{dt_bias,A_log,B,C,D} 0,
           block_1.layer_2.weight 0;
        3: block_1.mixer.{A_log,B,C} 1;
        6: embedding.weight 1, embedding.bias 0, {block_1,readout}.norm.scale 0,
           block_1.layer_1.weight 0, block_1.layer_2.{weight 1,bias 0}, readout.weight 0
    """,
}


ORACLES = {
    "lstm": functools.partial(network_oracles.recurrent, cell="lstm"),
    "gru": functools.partial(network_oracles.recurrent, cell="gru"),
    "state space": functools.partial(network_oracles.state_space, name="silu", last_only=False),
}


def make(name, **options):
    if name == "state space":
        return networks.state_space((2, 6, 3), 1, jax.nn.silu, length=5, states=3, **options)
    return networks.recurrent((2, 6, 3), 1, length=5, cell=name, **options)


@pytest.mark.parametrize("name", KNOWN)
def test_the_known_groups_and_no_others(name):
    with jax.enable_x64(True):
        network = make(name, dtype=np.float64)
        params = start(network)
        groups, coverage = sy.find_groups(network.apply, params, X, report=True)
        assert groups_as_read(groups) == read_groups(KNOWN[name])
        assert coverage == ((), 0.0, ())
        before = network.apply(params, X)
        by_hand = ORACLES[name](params, X)["readout"][0]
        np.testing.assert_allclose(before, by_hand, rtol=1e-11, atol=1e-11)
        for group in groups:
            moved = sy.permute(params, group, np.roll(np.arange(group.size), 1))
            np.testing.assert_allclose(network.apply(moved, X), before, rtol=1e-10, atol=1e-13)


def test_what_adopt_reads_of_a_state_space():
    network = make("state space")
    x = X.astype(np.float32)
    adopted = networks.adopt(lambda key: start(network), network.apply, x)
    # Exponents of decays, steps by softplus and products entry by entry are no linear layers.
    assert set(adopted.doubts) == {
        f"block_1/mixer/{name}" for name in ("A_log", "B", "C", "D", "dt_bias")
    }
    read, wanted = (
        {name: own for name, own in specs["block_1"].items() if name != "mixer"}
        for specs in (adopted.specs, network.specs)
    )
    assert read == wanted
    for name in ("embedding", "readout"):
        assert adopted.specs[name] == network.specs[name]


WRONG = {
    "cell must be one of 'lstm', 'gru', got 'rnn'": lambda: networks.recurrent(
        (2, 6, 3), 1, length=5, cell="rnn"
    ),
    "states must be at least 1, got 0": lambda: networks.state_space(
        (2, 6, 3), 1, jax.nn.silu, length=5, states=0
    ),
    "sizes must be .inputs, width, outputs., got .2, 6.": lambda: networks.recurrent(
        (2, 6), 1, length=5
    ),
    "x must have shape .B, 1 to 5, 2. or .B, 10., got .1, 6, 2.": lambda: make("gru").apply(
        start(make("gru")), np.zeros((1, 6, 2))
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_what_does_not_fit(message):
    with pytest.raises(ValueError, match=f"^{message}"):
        WRONG[message]()
