"""Models whose outputs see what they must not, and their neighbours that do not; class labels."""

import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from audit_models import CLASSES, ROWS, TOKENS, WIDTH, drawn, lecun, normal
from heads_models import LONG, of_heads, unit

BATCH = {"independent": True}
TIME = {"causal": True}
BOTH = BATCH | TIME
RARE = (np.arange(16) == 3).astype(np.int32)
WORDS = np.random.default_rng(5).integers(0, 50, size=(8, 12)).astype(np.int32)


def asked(make, **more):
    """A row of the tables with further arguments of the audit."""
    return lambda: (*make(), more)


def two_layers(classes=CLASSES, scale=1.0):
    return {
        "in": normal(1, (8, WIDTH), lecun(8)),
        "out": normal(2, (WIDTH, classes), scale * lecun(WIDTH)),
        "bias": np.zeros(classes, np.float32),
    }


def network(params, x):
    return jnp.tanh(x @ params["in"]) @ params["out"] + params["bias"][None]


def one_logit(params, x):
    return network(params, x)[:, 0]


def over_examples(params, x):
    """A softmax over the wrong axis."""
    h = jnp.tanh(x @ params["in"])
    return (jax.nn.softmax(h, axis=0) * h) @ params["out"] + params["bias"][None]


def normalized_by_batch(params, x):
    h = x @ params["in"]
    h = (h - jnp.mean(h, axis=0, keepdims=True)) / jnp.std(h, axis=0, keepdims=True)
    return jnp.tanh(h) @ params["out"] + params["bias"][None]


def shifted_examples(params, x):
    """Each example sees the one after it: the last of a batch sees the first."""
    return network(params, x + 0.1 * jnp.roll(x, -1, axis=0))


def words(block):
    """A decoder of token ids around a block [batch, time, units]."""

    def apply(params, ids):
        h = params["table"][ids]
        return (h + block(params, unit(h))) @ params["readout"]

    return apply


def of_words(readout=0.25):
    return of_heads() | {
        "table": normal(5, (50, 16), 1.0),
        "readout": normal(6, (16, 50), 1.0) * np.float32(readout),
    }


def twelve(z):
    return jnp.where(np.tril(np.ones((12, 12), bool))[None, None], z / 2, -1e9)


def in_chunks(z):
    """A mask of chunks of three, within which everything is seen."""
    chunk = np.arange(12) // 3
    return jnp.where((chunk[:, None] >= chunk[None])[None, None], z / 2, -1e9)


def renormalized(z):
    """A mask after the softmax: what is hidden is still in the sum."""
    return jax.nn.softmax(z / 2) * np.tril(np.ones((12, 12), np.float32))[None, None]


class FlaxBatchNorm(nn.Module):
    running: bool

    @nn.compact
    def __call__(self, x):
        x = nn.BatchNorm(use_running_average=self.running)(nn.Dense(WIDTH)(x))
        return nn.Dense(5)(nn.relu(x))


def flax_batch_norm(running):
    model = FlaxBatchNorm(running)
    variables = drawn(lambda key: model.init(key, ROWS))
    stats = variables["batch_stats"]

    def apply(params, x):
        given = {"params": params, "batch_stats": stats}
        return model.apply(given, x, mutable=["batch_stats"])[0]

    return apply, variables["params"], ROWS


def haiku_convolution(padding):
    def net(x):
        return hk.Linear(4)(jax.nn.relu(hk.Conv1D(16, 3, padding=padding)(x)))

    model = hk.without_apply_rng(hk.transform(net))
    return model.apply, drawn(lambda key: model.init(key, LONG)), LONG


def flax_decoder():
    class Decoder(nn.Module):
        @nn.compact
        def __call__(self, ids):
            h = nn.Embed(9, 16)(ids)
            normed = nn.LayerNorm()(h)
            h = h + nn.MultiHeadDotProductAttention(4)(normed, mask=nn.make_causal_mask(ids))
            return nn.Dense(9)(h)

    model = Decoder()
    return model.apply, drawn(lambda key: model.init(key, TOKENS)), TOKENS


def recurrent(params, x):
    def step(h, x):
        h = jnp.tanh(x @ params["in"] + h @ params["w"])
        return h, h

    _, h = jax.lax.scan(step, jnp.zeros((x.shape[0], WIDTH)), jnp.swapaxes(x, 0, 1))
    return jnp.swapaxes(h, 0, 1) @ params["out"]


def of_recurrent():
    return {
        "in": normal(1, (16, WIDTH), 0.25),
        "w": normal(2, (WIDTH, WIDTH), lecun(WIDTH)),
        "out": normal(3, (WIDTH, 4), lecun(WIDTH)),
    }


def long_convolution(params, x):
    """Of the whole past, by a Fourier transform: it mixes the rounding of all times."""
    kernel = params["kernel"] * jnp.exp(-jnp.arange(16.0) / 4)[:, None]
    spectrum = jnp.fft.rfft(x, 32, axis=1) * jnp.fft.rfft(kernel, 32, axis=0)[None]
    return jnp.fft.irfft(spectrum, 32, axis=1)[:, :16] @ params["out"]
