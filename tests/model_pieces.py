"""What the sound models of the tables are made of: draws, norms, attention, positions."""

import jax
import jax.numpy as jnp
import numpy as np
from audit_models import TOKENS

WIDTH, VOCABULARY, HEADS = 16, 9, 2
LENGTH = TOKENS.shape[1]


class Draws:
    """Arrays drawn one after another from one seed; LeCun's std unless another is given."""

    def __init__(self, seed=0):
        self._rng = np.random.default_rng(seed)

    def __call__(self, *shape, std=None):
        std = shape[-2] ** -0.5 if std is None else std
        return self._rng.normal(0, std, shape).astype(np.float32)

    def uniform(self, *shape, bound):
        return self._rng.uniform(-bound, bound, shape).astype(np.float32)

    def log_uniform(self, *shape, between):
        return np.exp(self._rng.uniform(np.log(between[0]), np.log(between[1]), shape)).astype(
            np.float32
        )

    def orthogonal(self, *shape, gain=1.0):
        tall = self._rng.normal(size=(max(shape), min(shape)))
        square = gain * np.linalg.qr(tall)[0].astype(np.float32)
        return square if shape[0] >= shape[1] else square.T.copy()

    def dense(self, fan_in, fan_out, std=None):
        return {"w": self(fan_in, fan_out, std=std), "b": zeros(fan_out)}

    def norm(self, width=WIDTH):
        return {"scale": ones(width), "bias": zeros(width)}


def zeros(*shape):
    return np.zeros(shape, np.float32)


def ones(*shape):
    return np.ones(shape, np.float32)


def full(value, *shape):
    return np.full(shape, value, np.float32)


def stacked(layers):
    """Layers of one shape as one tree whose leaves have a first axis of layers."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *layers)


def through(block, h, layers):
    """A stream through stacked blocks."""
    return jax.lax.scan(lambda h, layer: (block(h, layer), None), h, layers)[0]


def dense(layer, x):
    return x @ layer["w"] + layer["b"]


def layer_norm(x, layer):
    centred = x - x.mean(-1, keepdims=True)
    variance = jnp.mean(centred**2, -1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + 1e-5) * layer["scale"] + layer["bias"]


def rms_norm(x, scale=1.0):
    return x * jax.lax.rsqrt(jnp.mean(x**2, -1, keepdims=True) + 1e-6) * scale


def unit(x, axis=-1):
    """Of length 1 along an axis."""
    return x / jnp.linalg.norm(x, axis=axis, keepdims=True)


def split(x, heads=HEADS):
    """[batch, time, width] as [batch, time, head, width of a head]."""
    return x.reshape(*x.shape[:-1], heads, -1)


def joined(x):
    return x.reshape(*x.shape[:-2], -1)


def causal(length=LENGTH):
    return jnp.tril(jnp.ones((length, length), bool))


def attend(q, k, v, mask=None, scale=None):
    """Attention of [batch, time, head, width] with fewer key heads than query heads, if so."""
    k, v = (jnp.repeat(each, q.shape[-2] // each.shape[-2], axis=-2) for each in (k, v))
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    logits = jnp.einsum("bqhd,bkhd->bhqk", q, k) * scale
    if mask is not None:
        logits = jnp.where(mask, logits, -1e30)
    return joined(jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(logits), v))


def rotated(x):
    """Rotary positions of [batch, time, head, width]."""
    half = x.shape[-1] // 2
    angles = jnp.arange(x.shape[1])[:, None] * 100.0 ** (-jnp.arange(half) / half)
    cos, sin = (f(angles)[:, None] for f in (jnp.cos, jnp.sin))
    one, other = x[..., :half], x[..., half:]
    return jnp.concatenate([one * cos - other * sin, one * sin + other * cos], -1)


def sinusoids(t, width=WIDTH):
    """Features of a time, as diffusion models take them."""
    angles = t[..., None] * jnp.exp(-jnp.linspace(0.0, 4.0, width // 2))
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], -1)


def token_loss(logits):
    """Cross-entropy of the next token."""
    log_p = jax.nn.log_softmax(logits[:, :-1])
    return -jnp.mean(jnp.take_along_axis(log_p, TOKENS[:, 1:, None], axis=-1))
