"""Small real models of flax, equinox and haiku: `name -> (apply, shapes of its params, input)`."""

import functools

import equinox as eqx
import flax.linen as nn
import haiku as hk
import haiku.experimental as hk_experimental
import jax
import jax.numpy as jnp
from flax import nnx

KEY = jax.ShapeDtypeStruct((2,), jnp.uint32)


def floats(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def words(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.int32)


class LinenMLP(nn.Module):
    @nn.compact
    def __call__(self, x):
        h = nn.tanh(nn.Dense(5)(x))
        h = nn.relu(nn.Dense(4)(h))
        return nn.Dense(2)(h)


class LinenCNN(nn.Module):
    flat: bool

    @nn.compact
    def __call__(self, x):
        h = nn.max_pool(nn.relu(nn.Conv(4, (3, 3))(x)), (2, 2), (2, 2))
        h = nn.relu(nn.LayerNorm()(nn.Conv(6, (3, 3), strides=(2, 2))(h)))
        h = h.reshape(h.shape[0], -1) if self.flat else jnp.mean(h, (1, 2))
        return nn.Dense(3)(h)


class LinenRNN(nn.Module):
    cell: type

    @nn.compact
    def __call__(self, x):
        return nn.Dense(2)(jnp.asarray(nn.RNN(self.cell(4))(x))[:, -1])


class LinenBlock(nn.Module):
    """A block of a pre-norm transformer; `(h, None) -> (h, None)`, as a scan requires it."""

    heads: int
    hidden: int

    @nn.compact
    def __call__(self, h, _=None):
        width = h.shape[-1]
        mask = nn.make_causal_mask(jnp.ones(h.shape[:2]))
        a = nn.MultiHeadDotProductAttention(self.heads, name="attention")(
            nn.LayerNorm()(h), mask=mask
        )
        h = h + a
        z = nn.gelu(nn.Dense(self.hidden, name="up")(nn.LayerNorm()(h)))
        return h + nn.Dense(width, name="down")(z), None


class LinenTransformer(nn.Module):
    """A pre-norm language model: learned positions, an output that is tied to the embedding."""

    words: int = 7
    positions: int = 5
    width: int = 6
    heads: int = 2
    hidden: int = 8
    layers: int = 2
    scanned: bool = False

    @nn.compact
    def __call__(self, ids):
        embed = nn.Embed(self.words, self.width, name="embed")
        place = self.param("place", nn.initializers.normal(), (self.positions, self.width))
        h = embed(ids) + place[None, : ids.shape[1]]
        if self.scanned:
            layers = nn.scan(
                nn.remat(LinenBlock, prevent_cse=False),
                variable_axes={"params": 0},
                split_rngs={"params": True},
                length=self.layers,
            )
            h, _ = layers(self.heads, self.hidden, name="blocks")(h, None)
        else:
            for number in range(self.layers):
                h, _ = LinenBlock(self.heads, self.hidden, name=f"block_{number}")(h)
        return embed.attend(nn.LayerNorm(name="norm")(h))


class LinenMixer(nn.Module):
    @nn.compact
    def __call__(self, x):
        h = nn.Conv(6, (2, 2), strides=(2, 2), name="patches")(x)
        h = h.reshape(h.shape[0], -1, 6)
        z = jnp.swapaxes(nn.LayerNorm(name="norm_1")(h), 1, 2)
        z = nn.Dense(4, name="tokens_down")(nn.gelu(nn.Dense(5, name="tokens_up")(z)))
        h = h + jnp.swapaxes(z, 1, 2)
        z = nn.gelu(nn.Dense(7, name="channels_up")(nn.LayerNorm(name="norm_2")(h)))
        h = h + nn.Dense(6, name="channels_down")(z)
        return nn.Dense(3, name="head")(jnp.mean(h, 1))


def linen(module, x):
    shapes = jax.eval_shape(module.init, KEY, x)["params"]
    return (lambda params, x: module.apply({"params": params}, x)), shapes, x


class NnxTransformer(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(3, 6, rngs=rngs)
        self.norm = nnx.LayerNorm(6, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 6, decode=False, rngs=rngs)
        self.last = nnx.Linear(6, 2, rngs=rngs)

    def __call__(self, x):
        h = self.first(x)
        return self.last(h + self.attention(self.norm(h)))


def nnx_model(make, x):
    graph, params, rest = nnx.split(make(nnx.Rngs(0)), nnx.Param, ...)
    shapes = jax.eval_shape(lambda: nnx.to_pure_dict(params))
    return (lambda params, x: nnx.merge(graph, params, rest)(x)), shapes, x


class EquinoxRNN(eqx.Module):
    cell: eqx.nn.LSTMCell
    last: eqx.nn.Linear

    def __init__(self, key):
        self.cell = eqx.nn.LSTMCell(3, 4, key=key)
        self.last = eqx.nn.Linear(4, 2, key=key)

    def __call__(self, x):
        state = jnp.zeros(4), jnp.zeros(4)
        (h, _), _ = jax.lax.scan(lambda state, x: (self.cell(x, state), None), state, x)
        return self.last(h)


class EquinoxTransformer(eqx.Module):
    first: eqx.nn.Linear
    norm: eqx.nn.RMSNorm
    attention: eqx.nn.MultiheadAttention
    up: eqx.nn.Linear
    last: eqx.nn.Linear

    def __init__(self, key):
        self.first = eqx.nn.Linear(3, 6, key=key)
        self.norm = eqx.nn.RMSNorm(6)
        self.attention = eqx.nn.MultiheadAttention(2, 6, use_query_bias=True, key=key)
        self.up = eqx.nn.Linear(6, 8, key=key)
        self.last = eqx.nn.Linear(4, 2, key=key)

    def __call__(self, x):
        h = jax.vmap(self.first)(x)
        z = jax.vmap(self.norm)(h)
        h = h + self.attention(z, z, z)
        value, gate = jnp.split(jax.vmap(self.up)(h), 2, axis=-1)
        return jax.vmap(self.last)(value * jax.nn.sigmoid(gate))


def _equinox_cnn(key):
    return eqx.nn.Sequential(
        [
            eqx.nn.Conv2d(1, 4, 3, padding=1, key=key),
            eqx.nn.Lambda(jax.nn.relu),
            eqx.nn.MaxPool2d(2, 2),
            eqx.nn.Conv2d(4, 6, 3, padding=1, key=key),
            eqx.nn.Lambda(jnp.ravel),
            eqx.nn.Linear(24, 3, key=key),
        ]
    )


def equinox(make, x):
    model = eqx.filter_eval_shape(make, jax.random.key(0))
    params, rest = eqx.partition(model, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
    return (lambda params, x: jax.vmap(eqx.combine(params, rest))(x)), params, x


def _haiku_cnn(x):
    h = jax.nn.relu(hk.Conv2D(4, 3, name="conv")(x))
    h = hk.GroupNorm(2, name="norm")(hk.DepthwiseConv2D(1, 3, name="depthwise")(h))
    return hk.Linear(3, name="head")(jnp.mean(h, (1, 2)))


def _haiku_rnn(cell, x):
    core = cell(4, name="core")
    _, state = hk.dynamic_unroll(core, x, core.initial_state(x.shape[1]))
    return hk.Linear(2, name="head")(getattr(state, "hidden", state))


def _haiku_block(h):
    z = hk.LayerNorm(-1, True, True, name="norm_1")(h)
    attention = hk.MultiHeadAttention(
        2, 3, model_size=6, w_init=hk.initializers.VarianceScaling(), name="attention"
    )
    h = h + attention(z, z, z)
    z = hk.Linear(8, name="up")(hk.LayerNorm(-1, True, True, name="norm_2")(h))
    return h + hk.Linear(6, name="down")(jax.nn.gelu(z))


def _haiku_transformer(x):
    return hk.Linear(2, name="head")(_haiku_block(hk.Linear(6, name="first")(x)))


def _haiku_stack(x):
    h = hk.Linear(6, name="first")(x)
    return hk.Linear(2, name="head")(hk_experimental.layer_stack(3, name="stack")(_haiku_block)(h))


def haiku(function, x):
    pair = hk.without_apply_rng(hk.transform(function))
    return pair.apply, jax.eval_shape(pair.init, KEY, x), x


MODELS = {
    "linen mlp": lambda: linen(LinenMLP(), floats(2, 3)),
    "linen cnn, flat": lambda: linen(LinenCNN(True), floats(2, 8, 8, 1)),
    "linen cnn, pooled": lambda: linen(LinenCNN(False), floats(2, 8, 8, 1)),
    "linen gru": lambda: linen(LinenRNN(nn.GRUCell), floats(2, 5, 3)),
    "linen lstm": lambda: linen(LinenRNN(nn.OptimizedLSTMCell), floats(2, 5, 3)),
    "linen transformer": lambda: linen(LinenTransformer(), words(2, 4)),
    "linen scanned transformer": lambda: linen(LinenTransformer(scanned=True), words(2, 4)),
    "linen mixer": lambda: linen(LinenMixer(), floats(2, 4, 4, 1)),
    "nnx transformer": lambda: nnx_model(NnxTransformer, floats(2, 4, 3)),
    "equinox mlp": lambda: equinox(lambda key: eqx.nn.MLP(3, 2, 5, 2, key=key), floats(2, 3)),
    "equinox cnn": lambda: equinox(_equinox_cnn, floats(2, 1, 4, 4)),
    "equinox lstm": lambda: equinox(EquinoxRNN, floats(2, 5, 3)),
    "equinox transformer": lambda: equinox(EquinoxTransformer, floats(2, 4, 3)),
    "haiku mlp": lambda: haiku(lambda x: hk.nets.MLP([5, 4, 2], name="mlp")(x), floats(2, 3)),
    "haiku cnn": lambda: haiku(_haiku_cnn, floats(2, 4, 4, 1)),
    "haiku gru": lambda: haiku(functools.partial(_haiku_rnn, hk.GRU), floats(5, 2, 3)),
    "haiku lstm": lambda: haiku(functools.partial(_haiku_rnn, hk.LSTM), floats(5, 2, 3)),
    "haiku transformer": lambda: haiku(_haiku_transformer, floats(2, 4, 3)),
    "haiku stacked transformer": lambda: haiku(_haiku_stack, floats(2, 4, 3)),
}
