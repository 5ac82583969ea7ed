"""Layers of flax, equinox and haiku, as their packages start them."""

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
from audit_models import IMAGES, ROWS, SEQUENCE, TOKENS, drawn
from flax import nnx
from foreign_models import equinox, haiku, linen
from model_pieces import LENGTH, VOCABULARY, WIDTH, token_loss


def _ready(make):
    """A row of the table from a maker of (init, apply, x)."""

    def ready():
        init, apply, x = make()
        return apply, drawn(init), x

    return ready


def _of_nnx(build, x):
    """Parameters alone are params: statistics and counters stay with the rest."""

    def make():
        graph, shapes, rest = nnx.split(nnx.eval_shape(lambda: build(nnx.Rngs(0))), nnx.Param, ...)
        del shapes

        def apply(params, x):
            zeros = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), rest)
            return nnx.merge(graph, params, zeros)(x)

        return lambda key: nnx.split(build(nnx.Rngs(key)), nnx.Param, ...)[1], apply, x

    return make


class _SelfAttention(nn.Module):
    @nn.compact
    def __call__(self, x):
        y = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(2)(y, y)
        x = x + nn.Dense(WIDTH)(nn.gelu(nn.Dense(32)(nn.LayerNorm()(x))))
        return nn.Dense(3)(jnp.asarray(x).mean(1))


class _Bidirectional(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Bidirectional(nn.RNN(nn.OptimizedLSTMCell(8)), nn.RNN(nn.OptimizedLSTMCell(8)))(x)
        return nn.Dense(3)(jnp.asarray(x).mean(1))


class _Convolutional(nn.Module):
    """Strided, grouped and dilated convolutions, and their transposes."""

    @nn.compact
    def __call__(self, x):
        h = nn.silu(nn.GroupNorm(4)(nn.Conv(WIDTH, (3, 3), 2)(x)))
        h = h + nn.silu(nn.Conv(WIDTH, (3, 3), feature_group_count=4, kernel_dilation=2)(h))
        h = nn.silu(nn.ConvTranspose(8, (2, 2), (2, 2))(h))
        return nn.Conv(3, (1, 1))(h)


class _General(nn.Module):
    """DenseGeneral over two axes, Einsum, and a weight-normalized layer."""

    @nn.compact
    def __call__(self, x):
        h = nn.relu(nn.DenseGeneral((2, 8))(x))
        h = nn.relu(nn.DenseGeneral(WIDTH, axis=(-2, -1))(h))
        h = nn.tanh(nn.Einsum((WIDTH, WIDTH), "...i,io->...o")(h))
        return nn.WeightNorm(nn.Dense(3))(h)


class _Scanned(nn.Module):
    """Blocks in a scan, each with a key of its own, rematerialized."""

    @nn.compact
    def __call__(self, tokens):
        h = nn.Embed(VOCABULARY, WIDTH)(tokens)

        class Block(nn.Module):
            @nn.compact
            def __call__(self, h, _):
                mask = nn.make_causal_mask(jnp.ones(h.shape[:2]))
                h = h + nn.MultiHeadDotProductAttention(2)(nn.RMSNorm()(h), mask=mask)
                return h + nn.Dense(WIDTH)(nn.silu(nn.Dense(32)(nn.RMSNorm()(h)))), None

        blocks = nn.scan(
            nn.remat(Block), variable_axes={"params": 0}, split_rngs={"params": True}, length=3
        )
        return nn.Dense(VOCABULARY)(nn.LayerNorm()(blocks()(h, None)[0]))


class _Members(nn.Module):
    """Five critics of one class by vmap, whose keys are split."""

    @nn.compact
    def __call__(self, x):
        class Critic(nn.Module):
            @nn.compact
            def __call__(self, x):
                return nn.Dense(1)(nn.relu(nn.Dense(32)(nn.relu(nn.Dense(32)(x)))))

        many = nn.vmap(
            Critic,
            {"params": 0},
            {"params": True},
            in_axes=None,  # pyright: ignore[reportArgumentType]  (flax documents it so)
            out_axes=-1,
            axis_size=5,
        )
        return many()(x)[..., 0, :]


class _NnxAttention(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Embed(VOCABULARY, WIDTH, rngs=rngs)
        self.norm = nnx.RMSNorm(WIDTH, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, WIDTH, decode=False, rngs=rngs)
        self.out = nnx.Linear(WIDTH, VOCABULARY, rngs=rngs)

    def __call__(self, tokens):
        h = self.embed(tokens)
        mask = jnp.tril(jnp.ones((LENGTH, LENGTH), bool))
        return self.out(h + self.attention(self.norm(h), mask=mask))


class _NnxConvnet(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(3, WIDTH, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(WIDTH, use_running_average=False, rngs=rngs)
        self.hidden = nnx.Linear(WIDTH, 32, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, deterministic=True, rngs=rngs)
        self.out = nnx.Linear(32, 3, rngs=rngs)

    def __call__(self, x):
        h = nnx.relu(self.norm(self.conv(x))).mean((1, 2))
        return self.out(self.dropout(nnx.relu(self.hidden(h))))


class _NnxRecurrent(nnx.Module):
    def __init__(self, rngs):
        self.rnn = nnx.RNN(nnx.GRUCell(WIDTH, WIDTH, rngs=rngs), rngs=rngs)
        self.out = nnx.Linear(WIDTH, 3, rngs=rngs)

    def __call__(self, x):
        return self.out(jnp.asarray(self.rnn(x))[:, -1])


class _EquinoxRecurrent(eqx.Module):
    lstm: eqx.nn.LSTMCell
    gru: eqx.nn.GRUCell
    out: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, 3)
        self.lstm = eqx.nn.LSTMCell(WIDTH, 8, key=keys[0])
        self.gru = eqx.nn.GRUCell(8, 8, key=keys[1])
        self.out = eqx.nn.Linear(8, 3, key=keys[2])

    def __call__(self, xs):
        def step(state, x):
            pair, h = state
            pair = self.lstm(x, pair)
            h = self.gru(pair[0], h)
            return (pair, h), h

        zeros = jnp.zeros(8)
        return self.out(jax.lax.scan(step, ((zeros, zeros), zeros), xs)[1][-1])


class _EquinoxConvolutions(eqx.Module):
    layers: list
    out: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, 4)
        self.layers = [
            eqx.nn.Conv2d(3, 8, 3, padding=1, key=keys[0]),
            eqx.nn.GroupNorm(2, 8),
            eqx.nn.Conv2d(8, WIDTH, 3, 2, key=keys[1]),
            eqx.nn.ConvTranspose2d(WIDTH, 8, 2, 2, key=keys[2]),
        ]
        self.out = eqx.nn.Linear(8, 3, key=keys[3])

    def __call__(self, x):
        h = jnp.moveaxis(x, -1, 0)
        for n, layer in enumerate(self.layers):
            h = jax.nn.relu(layer(h)) if n != 0 else layer(h)
        return self.out(h.mean((1, 2)))


class _EquinoxTransformer(eqx.Module):
    attention: eqx.nn.MultiheadAttention
    norms: list
    mlp: eqx.nn.MLP
    rope: eqx.nn.RotaryPositionalEmbedding
    out: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, 3)
        self.attention = eqx.nn.MultiheadAttention(2, WIDTH, key=keys[0])
        self.norms = [eqx.nn.LayerNorm(WIDTH), eqx.nn.RMSNorm(WIDTH)]
        self.mlp = eqx.nn.MLP(WIDTH, WIDTH, 32, 1, jax.nn.gelu, key=keys[1])
        self.rope = eqx.nn.RotaryPositionalEmbedding(8)
        self.out = eqx.nn.Linear(WIDTH, 3, key=keys[2])

    def __call__(self, xs):
        def rotate(q, k, v):
            turned = jax.vmap(self.rope, in_axes=1, out_axes=1)
            return turned(q), turned(k), v

        seen = jax.vmap(self.norms[0])(xs)
        mask = jnp.tril(jnp.ones((len(xs), len(xs)), bool))
        h = xs + self.attention(seen, seen, seen, mask, process_heads=rotate)
        h = h + jax.vmap(self.mlp)(jax.vmap(self.norms[1])(h))
        return self.out(h.mean(0))


def _haiku_convnet(x):
    h = jax.nn.relu(hk.Conv2D(8, 3)(x))
    inside = jax.nn.relu(hk.LayerNorm(-1, True, True)(hk.Conv2D(8, 3)(h)))
    h = h + hk.Conv2D(8, 3, w_init=jnp.zeros)(inside)
    h = jax.nn.relu(hk.DepthwiseConv2D(2, 3)(h))
    return hk.Linear(3)(hk.Conv2DTranspose(8, 3, 2)(h).mean((1, 2)))


def _haiku_recurrent(x):
    gru, lstm = hk.GRU(8), hk.LSTM(8)
    h, _ = hk.dynamic_unroll(gru, x, gru.initial_state(len(x)), time_major=False)
    h, _ = hk.dynamic_unroll(lstm, h, lstm.initial_state(len(x)), time_major=False)
    return hk.Linear(3)(jnp.asarray(h)[:, -1])


def _haiku_attention(tokens):
    h = hk.Embed(VOCABULARY, WIDTH)(tokens)
    mask = jnp.tril(jnp.ones((1, 1, LENGTH, LENGTH)))
    start = hk.initializers.VarianceScaling(1.0)
    seen = hk.LayerNorm(-1, True, True)(h)
    h = h + hk.MultiHeadAttention(2, 8, w_init=start)(seen, seen, seen, mask)
    h = h + hk.Linear(WIDTH)(jax.nn.gelu(hk.Linear(32)(hk.LayerNorm(-1, True, True)(h))))
    return hk.Linear(VOCABULARY)(h)


SOUND_LAYERS = {
    "linen: MultiHeadDotProductAttention": (
        _ready(lambda: linen(_SelfAttention(), SEQUENCE)),
        None,
        (),
    ),
    "linen: LSTM both ways": (_ready(lambda: linen(_Bidirectional(), SEQUENCE)), None, ()),
    "linen: convolutions": (_ready(lambda: linen(_Convolutional(), IMAGES)), None, ()),
    "linen: DenseGeneral, WeightNorm": (_ready(lambda: linen(_General(), ROWS)), None, ()),
    "linen: scanned decoder": (_ready(lambda: linen(_Scanned(), TOKENS)), token_loss, ()),
    "linen: critics by vmap": (_ready(lambda: linen(_Members(), ROWS)), None, ()),
    "nnx: MultiHeadAttention": (_ready(_of_nnx(_NnxAttention, TOKENS)), token_loss, ()),
    "nnx: BatchNorm, Dropout": (_ready(_of_nnx(_NnxConvnet, IMAGES)), None, ()),
    "nnx: GRU": (_ready(_of_nnx(_NnxRecurrent, SEQUENCE)), None, ()),
    "equinox: LSTM, GRU": (_ready(lambda: equinox(_EquinoxRecurrent, SEQUENCE)), None, ()),
    "equinox: convolutions": (_ready(lambda: equinox(_EquinoxConvolutions, IMAGES)), None, ()),
    "equinox: attention, rotary": (
        _ready(lambda: equinox(_EquinoxTransformer, SEQUENCE)),
        None,
        (),
    ),
    "haiku: convolutions": (_ready(lambda: haiku(_haiku_convnet, IMAGES)), None, ()),
    "haiku: GRU, LSTM": (_ready(lambda: haiku(_haiku_recurrent, SEQUENCE)), None, ()),
    "haiku: attention": (_ready(lambda: haiku(_haiku_attention, TOKENS)), token_loss, ()),
}
