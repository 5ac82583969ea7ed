"""Models of flax, equinox and haiku as (init, apply, x), with what is known of each parameter."""

import functools
from typing import Any

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from initlab.types import Role

W, B, IN, OUT, E, S, N, R, G = (
    Role.WEIGHT,
    Role.BIAS,
    Role.INPUT,
    Role.READOUT,
    Role.EMBEDDING,
    Role.NORM_SCALE,
    Role.NORM_BIAS,
    Role.RESIDUAL,
    Role.GATE,
)
ROWS = np.zeros((3, 5), np.float32)
IMAGES = np.zeros((3, 6, 6, 2), np.float32)
TOKENS = np.zeros((3, 4), np.int32)


def linen_apply(module: nn.Module, params: Any, *x: Any, **more: Any) -> Any:
    return module.apply({"params": params}, *x, **more)


def linen(module, x):
    return lambda key: module.init(key, x)["params"], functools.partial(linen_apply, module), x


class LinenMLP(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.LayerNorm()(nn.Dense(7)(x)))
        x = nn.tanh(nn.RMSNorm()(nn.Dense(6, use_bias=False)(x)))
        return nn.Dense(3)(x)


class LinenConvnet(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3))(x))
        x = nn.gelu(nn.GroupNorm(num_groups=2)(nn.Conv(8, (3, 2), feature_group_count=2)(x)))
        x = nn.avg_pool(x, (2, 2), (2, 2))
        return nn.Dense(3)(x.reshape(x.shape[0], -1))


class LinenBlock(nn.Module):
    heads: int = 2

    @nn.compact
    def __call__(self, h, _):
        seen = nn.LayerNorm()(h)
        mask = nn.make_causal_mask(seen[..., 0])
        h = h + nn.MultiHeadDotProductAttention(self.heads)(seen, mask=mask)
        inside = nn.Dense(12)(nn.LayerNorm()(h))
        gate = self.param("gate", nn.initializers.zeros, ())
        return h + gate * nn.Dense(6)(nn.gelu(inside)), None


class LinenDecoder(nn.Module):
    """Two blocks, scanned; or one, with the table for a readout."""

    scanned: bool

    @nn.compact
    def __call__(self, tokens):
        table = nn.Embed(9, 6)
        position = self.param("position", nn.initializers.normal(), (8, 6))
        h = table(tokens) + position[: tokens.shape[1]][None]
        if self.scanned:
            blocks = nn.scan(
                nn.remat(LinenBlock),
                variable_axes={"params": 0},
                split_rngs={"params": True},
                length=2,
            )
            h, _ = blocks()(h, None)
            return nn.Dense(9)(nn.LayerNorm()(h))
        h, _ = LinenBlock()(h, None)
        return table.attend(nn.LayerNorm()(h))


class LinenRNN(nn.Module):
    @nn.compact
    def __call__(self, x):
        states: Any = nn.RNN(nn.SimpleCell(4))(x)
        return nn.Dense(2)(states[:, -1])


class NnxNet(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(2, 4, (3,), rngs=rngs)
        self.norm = nnx.LayerNorm(4, rngs=rngs)
        self.inner = nnx.Linear(4, 4, rngs=rngs)
        self.out = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        h = self.conv(x)
        h = h + self.inner(nnx.silu(self.norm(h)))
        return self.out(jnp.mean(h, axis=1))


def nnx_net(x):
    graph = nnx.split(nnx.eval_shape(lambda: NnxNet(nnx.Rngs(0))))[0]
    return lambda key: nnx.split(NnxNet(nnx.Rngs(key)))[1], lambda p, x: nnx.merge(graph, p)(x), x


class EquinoxDecoder(eqx.Module):
    table: eqx.nn.Embedding
    attention: eqx.nn.MultiheadAttention
    norm: eqx.nn.LayerNorm
    mlp: eqx.nn.MLP
    out: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, 4)
        self.table = eqx.nn.Embedding(9, 6, key=keys[0])
        self.attention = eqx.nn.MultiheadAttention(2, 6, key=keys[1])
        self.norm = eqx.nn.LayerNorm(6)
        self.mlp = eqx.nn.MLP(6, 6, 8, 1, key=keys[2])
        self.out = eqx.nn.Linear(6, 3, key=keys[3])

    def __call__(self, tokens):
        h = jax.vmap(self.table)(tokens)
        h = jax.vmap(self.norm)(h + self.attention(h, h, h))
        h = h + jax.vmap(self.mlp)(h)
        return self.out(h[-1])


class EquinoxConvnet(eqx.Module):
    conv: eqx.nn.Conv2d
    cell: eqx.nn.GRUCell
    out: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, 3)
        self.conv = eqx.nn.Conv2d(2, 4, (3, 2), key=keys[0])
        self.cell = eqx.nn.GRUCell(4, 5, key=keys[1])
        self.out = eqx.nn.Linear(5, 1, key=keys[2])

    def __call__(self, x):
        rows = jnp.mean(jax.nn.relu(self.conv(jnp.moveaxis(x, -1, 0))), axis=2).T
        h, _ = jax.lax.scan(lambda h, row: (self.cell(row, h), None), jnp.zeros(5), rows)
        return self.out(h)


def equinox(make, x):
    # Shapes only: draws would be compiled one by one.
    shapes = eqx.filter_eval_shape(make, jax.random.key(0))
    static = eqx.partition(shapes, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))[1]

    def apply(params, x):
        return jax.vmap(eqx.combine(params, static))(x)

    return lambda key: eqx.filter(make(key), eqx.is_inexact_array), apply, x


def _haiku_net(x):
    h = jax.nn.relu(hk.Conv1D(4, 3)(x))
    h = hk.LayerNorm(-1, create_scale=True, create_offset=True)(h)
    h, _ = hk.dynamic_unroll(hk.LSTM(5), h, hk.LSTM(5).initial_state(3), time_major=False)
    h = h + hk.Linear(5)(jnp.tanh(hk.Linear(7)(h)))
    return hk.Linear(2)(h[:, -1])


def haiku(function, x):
    model = hk.without_apply_rng(hk.transform(function))
    return lambda key: model.init(key, x), model.apply, x


NORM = {"scale": (S, 1, 1), "bias": (N, 1, 1)}


def _norm(path):
    return {f"{path}/{name}": known for name, known in NORM.items()}


def _layer(path, role, fan_in, fan_out, names=("kernel", "bias")):
    return {
        f"{path}/{names[0]}": (role, fan_in, fan_out),
        f"{path}/{names[1]}": (B, fan_in, fan_out),
    }


def _block(path):
    attention = f"{path}/MultiHeadDotProductAttention_0"
    known = _norm(f"{path}/LayerNorm_0") | _norm(f"{path}/LayerNorm_1")
    for name in ("query", "key", "value"):
        known |= _layer(f"{attention}/{name}", W, 6, 6)
    known |= _layer(f"{attention}/out", R, 6, 6) | {f"{path}/gate": (G, 1, 1)}
    return known | _layer(f"{path}/Dense_0", W, 6, 12) | _layer(f"{path}/Dense_1", R, 12, 6)


# name: (maker of (init, apply, x), {path: (role, fan_in, fan_out)})
MODELS = {
    "linen mlp": (
        lambda: linen(LinenMLP(), ROWS),
        _layer("Dense_0", IN, 5, 7)
        | _norm("LayerNorm_0")
        | {"Dense_1/kernel": (W, 7, 6), "RMSNorm_0/scale": (S, 1, 1)}
        | _layer("Dense_2", OUT, 6, 3),
    ),
    "linen convnet": (
        lambda: linen(LinenConvnet(), IMAGES),
        _layer("Conv_0", IN, 18, 36)
        | _layer("Conv_1", W, 12, 24)
        | _norm("GroupNorm_0")
        | _layer("Dense_0", OUT, 72, 3),
    ),
    "linen decoder, tied": (
        lambda: linen(LinenDecoder(scanned=False), TOKENS),
        {"Embed_0/embedding": (E, 1, 6), "position": (E, 1, 6)}
        | _block("LinenBlock_0")
        | _norm("LayerNorm_0"),
    ),
    "linen decoder, scanned": (
        lambda: linen(LinenDecoder(scanned=True), TOKENS),
        {"Embed_0/embedding": (E, 1, 6), "position": (E, 1, 6)}
        | _block("ScanCheckpointLinenBlock_0")
        | _norm("LayerNorm_0")
        | _layer("Dense_0", OUT, 6, 9),
    ),
    "linen rnn": (
        lambda: linen(LinenRNN(), np.zeros((3, 4, 2), np.float32)),
        _layer("SimpleCell_0/i", IN, 2, 4)
        | {"SimpleCell_0/h/kernel": (W, 4, 4)}
        | _layer("Dense_0", OUT, 4, 2),
    ),
    "nnx": (
        lambda: nnx_net(np.zeros((3, 5, 2), np.float32)),
        {
            f"{path}/value": known
            for path, known in (
                _layer("conv", IN, 6, 12)
                | _norm("norm")
                | _layer("inner", R, 4, 4)
                | _layer("out", OUT, 4, 3)
            ).items()
        },
    ),
    "equinox decoder": (
        lambda: equinox(EquinoxDecoder, TOKENS),
        {"table/weight": (E, 1, 6), "attention/output_proj/weight": (R, 6, 6)}
        | {f"attention/{name}_proj/weight": (W, 6, 6) for name in ("query", "key", "value")}
        | {"norm/weight": (S, 1, 1), "norm/bias": (N, 1, 1)}
        | _layer("mlp/layers/0", W, 6, 8, ("weight", "bias"))
        | _layer("mlp/layers/1", R, 8, 6, ("weight", "bias"))
        | _layer("out", OUT, 6, 3, ("weight", "bias")),
    ),
    "equinox convnet and gru": (
        lambda: equinox(EquinoxConvnet, IMAGES),
        _layer("conv", IN, 12, 24, ("weight", "bias"))
        | {"cell/weight_ih": (W, 4, 15), "cell/weight_hh": (W, 5, 15), "cell/bias": (B, 4, 15)}
        | {"cell/bias_n": (B, 5, 15)}
        | _layer("out", OUT, 5, 1, ("weight", "bias")),
    ),
    "haiku": (
        lambda: haiku(_haiku_net, np.zeros((3, 4, 2), np.float32)),
        _layer("conv1_d", IN, 6, 12, ("w", "b"))
        | {"layer_norm/scale": (S, 1, 1), "layer_norm/offset": (N, 1, 1)}
        | _layer("lstm/linear", W, 9, 20, ("w", "b"))
        | _layer("linear_1", W, 5, 7, ("w", "b"))
        | _layer("linear", R, 7, 5, ("w", "b"))
        | _layer("linear_2", OUT, 5, 2, ("w", "b")),
    ),
}
