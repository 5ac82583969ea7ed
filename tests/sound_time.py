"""Recurrent nets, state spaces and convolutions over time."""

import jax
import jax.numpy as jnp
import numpy as np
from audit_models import SEQUENCE, TOKENS, plain
from model_pieces import (
    LENGTH,
    VOCABULARY,
    WIDTH,
    Draws,
    dense,
    full,
    ones,
    rms_norm,
    stacked,
    through,
    token_loss,
    zeros,
)

STATE, INNER = 4, 2 * WIDTH


def over_time(step, state, xs):
    """The states of a loop over the second axis."""

    def swapped(tree):
        return jax.tree.map(lambda each: jnp.swapaxes(each, 0, 1), tree)

    return swapped(jax.lax.scan(lambda h, x: (step(h, x),) * 2, state, swapped(xs))[1])


def _lstm_states(layer, x, reverse=False):
    x = x[:, ::-1] if reverse else x

    def step(state, x):
        h, c = state
        i, f, g, o = jnp.split(x @ layer["x"] + h @ layer["h"] + layer["b"], 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c

    start = jnp.zeros((len(x), layer["h"].shape[0]))
    states = over_time(step, (start, start), x)[0]
    return states[:, ::-1] if reverse else states


def _lstm_layer(draw, fan_in, width=WIDTH):
    """Orthogonal inside, and forget biases of 1 (Jozefowicz et al. 2015)."""
    square = np.concatenate([draw.orthogonal(width, width) for _ in range(4)], 1)
    bias = np.concatenate([zeros(width), ones(width), zeros(2 * width)])
    return {"x": draw(fan_in, 4 * width), "h": square, "b": bias}


def _unrolled(params, x):
    """One layer, step by step in Python: its first forget gates multiply a state of zeros."""
    layer = params["layer"]
    h = c = jnp.zeros((len(x), layer["h"].shape[0]))
    for t in range(x.shape[1]):
        i, f, g, o = jnp.split(x[:, t] @ layer["x"] + h @ layer["h"] + layer["b"], 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return dense(params["out"], h)


def _unrolled_params():
    draw = Draws(59)
    return {"layer": _lstm_layer(draw, SEQUENCE.shape[-1]), "out": draw.dense(WIDTH, 4)}


def _lstm(params, x):
    for layer in params["layers"]:
        x = _lstm_states(layer, x)
    return dense(params["out"], x[:, -1])


def _lstm_params():
    draw = Draws(51)
    layers = [_lstm_layer(draw, WIDTH)]
    return {"layers": layers, "out": draw.dense(WIDTH, 3)}


def _two_ways(params, x):
    forward = _lstm_states(params["forward"], x)
    backward = _lstm_states(params["backward"], x, reverse=True)
    return dense(params["out"], jnp.concatenate([forward, backward], -1).mean(1))


def _two_ways_params():
    draw = Draws(52)
    return {
        "forward": _lstm_layer(draw, WIDTH),
        "backward": _lstm_layer(draw, WIDTH),
        "out": draw.dense(2 * WIDTH, 3),
    }


def _gru(params, x):
    def step(h, x):
        z, r = jnp.split(jax.nn.sigmoid(x @ params["xg"] + h @ params["hg"] + params["bg"]), 2, -1)
        new = jnp.tanh(x @ params["x"] + (r * h) @ params["h"] + params["b"])
        return (1 - z) * h + z * new

    return dense(params["out"], over_time(step, jnp.zeros((len(x), WIDTH)), x)[:, -1])


def _gru_params():
    draw = Draws(53)
    gates = np.concatenate([draw.orthogonal(WIDTH, WIDTH) for _ in range(2)], 1)
    return {
        "xg": draw(WIDTH, 2 * WIDTH),
        "hg": gates,
        "bg": zeros(2 * WIDTH),
        "x": draw(WIDTH, WIDTH),
        "h": draw.orthogonal(WIDTH, WIDTH),
        "b": zeros(WIDTH),
        "out": draw.dense(WIDTH, 3),
    }


def _identity_rnn(params, x):
    """Le et al. 2015: relu, an identity inside."""

    def step(h, x):
        return jax.nn.relu(x @ params["x"] + h @ params["h"] + params["b"])

    return dense(params["out"], over_time(step, jnp.zeros((len(x), WIDTH)), x)[:, -1])


def _identity_rnn_params():
    draw = Draws(54)
    inside = np.eye(WIDTH, dtype=np.float32)
    return {"x": draw(WIDTH, WIDTH), "h": inside, "b": zeros(WIDTH), "out": draw.dense(WIDTH, 3)}


def _along(x, kernel):
    """A causal depthwise convolution."""
    padded = jnp.pad(x, ((0, 0), (len(kernel) - 1, 0), (0, 0)))
    return sum(kernel[n] * padded[:, n : n + x.shape[1]] for n in range(len(kernel)))


def _mamba1(params, tokens):
    """Gu and Dao 2023: S4D-real decays, steps between 0.001 and 0.1."""

    def block(h, layer):
        x, z = jnp.split(rms_norm(h, layer["norm"]) @ layer["in"], 2, -1)
        x = jax.nn.silu(_along(x, layer["conv"]) + layer["conv_b"])
        low, b, c = jnp.split(x @ layer["select"], [2, 2 + STATE], -1)
        dt = jax.nn.softplus(low @ layer["dt"] + layer["dt_bias"])
        a = -jnp.exp(layer["a_log"])

        def step(s, at):
            x, dt, b = at
            return jnp.exp(dt[..., None] * a) * s + (dt * x)[..., None] * b[:, None]

        states = over_time(step, jnp.zeros((len(h), INNER, STATE)), (x, dt, b))
        y = jnp.einsum("btis,bts->bti", states, c) + layer["d"] * x
        return h + (y * jax.nn.silu(z)) @ layer["out"]

    h = through(block, params["embed"][tokens], params["blocks"])
    return rms_norm(h, params["norm"]) @ params["embed"].T


def _steps(draw, size):
    dt = draw.log_uniform(size, between=(1e-3, 1e-1))
    return dt + np.log(-np.expm1(-dt))


def _mamba1_params(depth=2):
    draw = Draws(55)
    rows = np.tile(np.log(np.arange(1, STATE + 1, dtype=np.float32)), (INNER, 1))
    return {
        "embed": draw(VOCABULARY, WIDTH, std=0.02),
        "blocks": stacked(
            {
                "norm": ones(WIDTH),
                "in": draw(WIDTH, 2 * INNER),
                "conv": draw.uniform(4, INNER, bound=0.5),
                "conv_b": draw.uniform(INNER, bound=0.5),
                "select": draw(INNER, 2 + 2 * STATE),
                "dt": draw.uniform(2, INNER, bound=2**-0.5),
                "dt_bias": _steps(draw, INNER),
                "a_log": rows,
                "d": ones(INNER),
                "out": draw(INNER, WIDTH) / np.float32(depth**0.5),
            }
            for _ in range(depth)
        ),
        "norm": ones(WIDTH),
    }


def _mamba2(params, tokens):
    """Dao and Gu 2024: one decay a head, drawn from 1 to 16, a norm behind the gate."""
    heads, size = 4, INNER // 4

    def block(h, layer):
        z, x, dt = jnp.split(
            rms_norm(h, layer["norm"]) @ layer["in"], [INNER, 2 * INNER + 2 * STATE], -1
        )
        x, b, c = jnp.split(jax.nn.silu(_along(x, layer["conv"])), [INNER, INNER + STATE], -1)
        x = x.reshape(*x.shape[:2], heads, size)
        dt = jax.nn.softplus(dt + layer["dt_bias"])
        logs = jnp.cumsum(-dt * jnp.exp(layer["a_log"]), 1)
        decay = jnp.exp(jnp.minimum(logs[:, :, None] - logs[:, None], 0.0))
        decay = decay * jnp.tril(jnp.ones((LENGTH, LENGTH)))[..., None]
        y = jnp.einsum("bts,bus,btuh,buh,buhp->bthp", c, b, decay, dt, x)
        y = (y + layer["d"][:, None] * x).reshape(*x.shape[:2], INNER)
        return h + rms_norm(y * jax.nn.silu(z), layer["norm2"]) @ layer["out"]

    h = through(block, params["embed"][tokens], params["blocks"])
    return rms_norm(h, params["norm"]) @ params["embed"].T


def _mamba2_params(depth=2):
    draw = Draws(56)
    a = np.log(np.random.default_rng(57).uniform(1, 16, (depth, 4))).astype(np.float32)
    return {
        "embed": draw(VOCABULARY, WIDTH, std=0.02),
        "blocks": stacked(
            {
                "norm": ones(WIDTH),
                "in": draw(WIDTH, 2 * INNER + 2 * STATE + 4),
                "conv": draw.uniform(4, INNER + 2 * STATE, bound=0.5),
                "dt_bias": _steps(draw, 4),
                "a_log": a[n],
                "d": ones(4),
                "norm2": ones(INNER),
                "out": draw(INNER, WIDTH) / np.float32(depth**0.5),
            }
            for n in range(depth)
        ),
        "norm": ones(WIDTH),
    }


def _s4d(params, x):
    """A diagonal complex state in real pairs, its kernel made once (Gu et al. 2022)."""
    h = x @ params["in"]
    for layer in params["blocks"]:
        dt = jnp.exp(layer["log_dt"])[:, None]
        real, imaginary = -jnp.exp(layer["log_real"]), layer["imaginary"]
        t = jnp.arange(x.shape[1])[:, None, None]
        size = jnp.exp(t * dt * real) * dt
        angle = t * dt * imaginary
        kernel = 2 * (size * (jnp.cos(angle) * layer["c"] - jnp.sin(angle) * layer["ci"])).sum(-1)
        y = jax.nn.gelu(_along(h, kernel[::-1]) + layer["d"] * h)
        h = rms_norm(h + y @ layer["mix"])
    return dense(params["out"], h.mean(1))


def _s4d_params():
    draw = Draws(58)
    rows = np.tile(np.pi * np.arange(STATE, dtype=np.float32), (WIDTH, 1))
    return {
        "in": draw(WIDTH, WIDTH),
        "blocks": [
            {
                "log_dt": np.log(draw.log_uniform(WIDTH, between=(1e-2, 1e-1))),
                "log_real": full(np.log(0.5), WIDTH, STATE),
                "imaginary": rows,
                "c": draw(WIDTH, STATE, std=0.7),
                "ci": draw(WIDTH, STATE, std=0.7),
                "d": draw(WIDTH, std=1.0),
                "mix": draw(WIDTH, WIDTH),
            }
            for _ in range(2)
        ],
        "out": draw.dense(WIDTH, 3),
    }


def _griffin(params, tokens):
    """A gated linear recurrence whose decays lie between 0.9 and 0.999 (De et al. 2024)."""
    h = params["embed"][tokens]
    for layer in params["blocks"]:
        seen = rms_norm(h, layer["norm"])
        x = _along(seen @ layer["x"], layer["conv"])
        r, i = jax.nn.sigmoid(dense(layer["r"], x)), jax.nn.sigmoid(dense(layer["i"], x))
        log_a = -8.0 * r * jax.nn.softplus(layer["decay"])
        a = jnp.exp(log_a)
        inputs = jnp.sqrt(-jnp.expm1(2 * log_a)) * i * x

        def step(s, at):
            a, x = at
            return a * s + x

        y = over_time(step, jnp.zeros((len(h), WIDTH)), (a, inputs))
        h = h + (y * jax.nn.gelu(seen @ layer["gate"])) @ layer["out"]
        inside = jax.nn.gelu(rms_norm(h, layer["norm2"]) @ layer["up"])
        h = h + inside @ layer["down"]
    return rms_norm(h, params["norm"]) @ params["embed"].T


def _griffin_params(depth=1):
    draw = Draws(59)
    decays = np.random.default_rng(60).uniform(0.9, 0.999, (depth, WIDTH))
    softplus = np.log(np.expm1(-np.log(decays) / 8)).astype(np.float32)
    return {
        "embed": draw(VOCABULARY, WIDTH),
        "blocks": [
            {name: draw(WIDTH, WIDTH) for name in ("x", "gate")}
            | {name: draw.dense(WIDTH, WIDTH) for name in ("r", "i")}
            | {"norm": ones(WIDTH), "norm2": ones(WIDTH), "decay": softplus[n]}
            | {"conv": draw(4, WIDTH, std=0.5), "out": draw(WIDTH, WIDTH)}
            | {"up": draw(WIDTH, 32), "down": draw(32, WIDTH)}
            for n in range(depth)
        ],
        "norm": ones(WIDTH),
    }


def _retention(params, tokens):
    """Linear attention with decays that are no parameters, and a norm for each head."""
    h = params["embed"][tokens]
    decays = 1 - 2.0 ** (-5 - jnp.arange(2.0))
    distance = jnp.arange(LENGTH)[:, None] - jnp.arange(LENGTH)
    mask = jnp.where(distance >= 0, decays[:, None, None] ** distance, 0.0)
    for layer in params["blocks"]:
        seen = rms_norm(h)
        q, k, v = ((seen @ layer[n]).reshape(*h.shape[:2], 2, -1) for n in "qkv")
        scores = jnp.einsum("bthd,buhd->bhtu", q, k) * 8**-0.5 * mask
        y = rms_norm(jnp.einsum("bhtu,buhd->bthd", scores, v)).reshape(h.shape)
        h = h + (y * jax.nn.silu(seen @ layer["g"])) @ layer["o"]
    return rms_norm(h) @ params["head"]


def _retention_params():
    draw = Draws(61)
    return {
        "embed": draw(VOCABULARY, WIDTH, std=1.0),
        "blocks": [{name: draw(WIDTH, WIDTH) for name in "qkvgo"} for _ in range(2)],
        "head": draw(WIDTH, VOCABULARY),
    }


SOUND_TIME = {
    "LSTM, forget biases of 1": (plain(_lstm, _lstm_params, SEQUENCE), None, ()),
    "LSTM, both ways": (plain(_two_ways, _two_ways_params, SEQUENCE), None, ()),
    "GRU, orthogonal": (plain(_gru, _gru_params, SEQUENCE), None, ()),
    "identity RNN": (plain(_identity_rnn, _identity_rnn_params, SEQUENCE), None, ()),
    "Mamba": (plain(_mamba1, _mamba1_params, TOKENS), token_loss, ()),
    # Steps of 0.001 to 0.1 lie where softplus is nearly flat, by design.
    "Mamba-2": (plain(_mamba2, _mamba2_params, TOKENS), token_loss, ()),
    "LSTM, unrolled": (plain(_unrolled, _unrolled_params, SEQUENCE), None, ()),
    "S4D": (plain(_s4d, _s4d_params, SEQUENCE), None, ()),
    "Griffin": (plain(_griffin, _griffin_params, TOKENS), token_loss, ()),
    "retention": (plain(_retention, _retention_params, TOKENS), token_loss, ()),
}
