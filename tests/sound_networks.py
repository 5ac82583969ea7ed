"""The lab's own sequence networks by the schemes that are made for them."""

import jax
import numpy as np

from initlab import initialize, networks
from initlab import initializers as I  # noqa: N812

__all__ = ["NETWORK_SOUND"]

TOKENS = np.random.default_rng(0).integers(0, 9, (8, 6))
VALUES = np.random.default_rng(1).standard_normal((32, 8, 2)).astype(np.float32)
LLAMA = {
    "positions": "rotary",
    "norm": "rms",
    "mlp": "gated",
    "kv_heads": 1,
    "qk_norm": "rms",
    "bias": False,
}
STD = 0.02 * (768 / 16) ** 0.5


def _transformer(scheme, **options):
    return lambda: _started(
        networks.transformer(
            (9, 16, 9), 3, jax.nn.silu, heads=2, length=6, scanned=True, **options
        ),
        scheme,
        TOKENS,
    )


def _recurrent(scheme, **options):
    network = networks.recurrent
    return lambda: _started(network((2, 16, 3), 2, length=8, **options), scheme, VALUES)


def _state_space(scheme, **options):
    network = networks.state_space
    return lambda: _started(
        network((2, 16, 3), 2, jax.nn.silu, length=8, **options), scheme, VALUES
    )


def _started(network, scheme, x):
    return network.apply, initialize(jax.random.key(0), network.specs, scheme), x


_READY = {
    "Llama, GPT-2's start": _transformer(I.gpt2(6, std=STD), **LLAMA),
    "Llama, depth-indexed": _transformer(I.depth_indexed(STD), **LLAMA),
    "Llama, nanoGPT speedrun": _transformer(I.nanogpt_speedrun(), **LLAMA),
    "Llama, muP": _transformer(I.mup_transformer(), **LLAMA, attention_scale="1/d"),
    "Llama, LayerScale": _transformer(I.layer_scale(I.lecun_normal(), 3), **LLAMA, gates="channel"),
    "Llama, small init": _transformer(I.small_init(3), **LLAMA),
    "DeepNorm": _transformer(I.deepnorm(3), norm_at="post", branch_scale=6**-0.25),
    "T-Fixup": _transformer(I.t_fixup(3), norm=None),
    "a sandwich with caps": _transformer(
        I.by_role(I.lecun_normal()),
        norm_at="both",
        positions="sinusoidal",
        gates="scalar",
        softcap=50.0,
        readout_softcap=30.0,
    ),
    "LSTM": _recurrent(I.by_role(I.lecun_normal())),
    "LSTM, chrono": _recurrent(I.chrono(I.lecun_normal(), 8), scanned=True),
    "LSTM, forget biases": _recurrent(I.forget_bias(I.orthogonal())),
    "GRU, the last step": _recurrent(I.by_role(I.lecun_normal()), cell="gru", last_only=True),
    "state space": _state_space(I.by_role(I.lecun_normal()), scanned=True),
    "state space, Mamba": _state_space(I.mamba(I.lecun_normal())),
}
NETWORK_SOUND = {f"lab: {name}": (ready, None, ()) for name, ready in _READY.items()}
