"""Faults along time: states that vanish, forget within a step, or never forget."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from audit_models import SEQUENCE, Fault, drawn, lecun, normal, plain
from foreign_models import linen

WIDTH, STEPS = 16, 60
LONG = np.random.default_rng(6).normal(size=(8, 24, 16)).astype(np.float32)


def elman(params, x):
    def step(h, token):
        h = jnp.tanh(token @ params["in"] + h @ params["state"])
        return h, h

    start = jnp.zeros((len(x), WIDTH))
    return jax.lax.scan(step, start, jnp.swapaxes(x, 0, 1))[0] @ params["out"]


def unrolled_elman(params, x):
    h = jnp.zeros((len(x), WIDTH))
    for token in jnp.unstack(x, axis=1):
        h = jnp.tanh(token @ params["in"] + h @ params["state"])
    return h @ params["out"]


def convolved(params, x):
    """A long convolution with a kernel of each unit's powers."""
    times = jnp.arange(x.shape[1])
    kernel = params["decay"][:, None] ** jnp.asarray(times, jnp.float32)[None]
    return jnp.einsum("bti,ih,ht,ho->bo", x, params["in"], kernel[:, ::-1], params["out"])


def powers(decay):
    spread = np.linspace(0.5, 1.0, WIDTH).astype(np.float32)
    return without_state(recurrent(0.1)) | {"decay": np.float32(decay) * spread}


def indexed(params, x):
    """The same, its inputs taken by their number."""

    def step(t, h):
        return jnp.tanh(x[:, t] @ params["in"] + h @ params["state"])

    start = jnp.zeros((len(x), WIDTH))
    return jax.lax.fori_loop(0, x.shape[1], step, start) @ params["out"]


def example_by_example(params, x):
    return jax.vmap(lambda row: elman(params, row[None])[0])(x)


def recurrent(std, inputs=16):
    return {
        "in": normal(1, (inputs, WIDTH), lecun(inputs)),
        "state": normal(2, (WIDTH, WIDTH), std),
        "out": normal(3, (WIDTH, 4), lecun(WIDTH)),
    }


def without_state(params):
    return {name: params[name] for name in ("in", "out")}


def unrolled(params, x):
    """Steps without inputs, as of a decoder."""
    h, _ = jax.lax.scan(
        lambda h, _: (jnp.tanh(h @ params["state"]), None), x @ params["in"], None, STEPS
    )
    return h @ params["out"]


def read_at_each_step(params, x):
    def step(h, _):
        h = jnp.tanh(h @ params["state"])
        return h, h @ params["out"]

    return jax.lax.scan(step, x @ params["in"], None, STEPS)[1]


def gated_state(params, x):
    def step(_, h):
        return h * jax.nn.sigmoid(params["gate"])[None]

    return jax.lax.fori_loop(0, STEPS, step, x @ params["in"]) @ params["out"]


def leaky(params, x):
    """A gate for each entry of a state that takes an input at each step."""

    def step(s, token):
        s = jax.nn.sigmoid(params["a"])[None] * s + token @ params["in"]
        return s, s

    start = jnp.zeros((len(x), WIDTH))
    return jax.lax.scan(step, start, jnp.swapaxes(x, 0, 1))[0] @ params["out"]


def shut(width):
    return without_state(recurrent(1.0)) | {"a": np.full(width, -8, np.float32)}


def waited(params, x):
    """A loop that no gradient passes."""

    def step(state):
        return state[0] + 1, state[1] * 0.5 * params["gate"][None]

    h = jax.lax.while_loop(lambda state: state[0] < STEPS, step, (0, x @ params["in"]))[1]
    return (h @ params["mid"]) @ params["out"]


@jax.custom_vjp
def _cell(h, token, w):
    return jnp.tanh(token + h @ w)


def _forward(h, token, w):
    after = _cell(h, token, w)
    return after, (h, after, w)


def _backward(kept, cotangent):
    h, after, w = kept
    inside = cotangent * (1 - after**2)
    return inside @ w.T, inside, h.T @ inside


_cell.defvjp(_forward, _backward)


def written_by_hand(params, x):
    """A cell with a derivative of reverse mode alone; all states are written into a buffer."""
    u = x @ params["in"]

    def step(t, state):
        h, states = state
        h = _cell(h, u[:, t], params["state"])
        return h, states.at[:, t].set(h)

    start = jnp.zeros((len(x), WIDTH)), jnp.zeros_like(u)
    return jax.lax.fori_loop(0, x.shape[1], step, start)[1] @ params["out"]


def until_the_end(params, x):
    """As many steps as the data say, the inputs carried along."""

    def step(state):
        t, h, x = state
        return t + 1, jnp.tanh(x[:, t] @ params["in"] + h @ params["state"]), x

    number = jnp.sum(jnp.any(x != 0, (0, 2)))
    start = jnp.zeros((), number.dtype), jnp.zeros((len(x), WIDTH)), x
    state = jax.lax.while_loop(lambda state: state[0] < number, step, start)
    return state[1] @ params["out"]


def in_chunks(params, x, size=8):
    """A gated linear attention that hands its state from chunk to chunk."""
    q, k, v, logs = (x @ params[name] for name in ("in", "in", "in", "dt"))
    parts = (q, k, v, jax.nn.log_sigmoid(logs + params["dt_bias"]))

    def step(state, parts):
        q, k, v, logs = parts
        sums = jnp.cumsum(logs, 1)
        scores = jnp.einsum("btk,bsk->bts", q * jnp.exp(sums), k * jnp.exp(-sums))
        before = jnp.einsum("btk,bkv->btv", q * jnp.exp(sums), state)
        kept = k * jnp.exp(sums[:, -1:] - sums)
        state = state * jnp.exp(sums[:, -1])[..., None] + jnp.einsum("btk,btv->bkv", kept, v)
        return state, before + jnp.tril(scores) @ v

    parts = [jnp.moveaxis(each.reshape(len(x), -1, size, WIDTH), 1, 0) for each in parts]
    _, y = jax.lax.scan(step, jnp.zeros((len(x), WIDTH, WIDTH)), parts)
    return jnp.moveaxis(y, 0, 1).reshape(x.shape) @ params["out"]


def in_one_chunk(params, x):
    """A state space as one product with its decays, `exp(c_t - c_s)`."""
    u = x @ params["in"]
    logs = -jax.nn.softplus(u @ params["dt"] + params["dt_bias"])
    sums = jnp.cumsum(logs, 1)
    causal = jnp.tril(jnp.ones((x.shape[1], x.shape[1]), bool))[..., None]
    apart = jnp.where(causal, sums[:, :, None] - sums[:, None], -jnp.inf)
    return jnp.einsum("btsk,bsk->btk", jnp.exp(apart), u) @ params["out"]


def gated(bias):
    return without_state(recurrent(1.0)) | {
        "dt": normal(4, (WIDTH, WIDTH), 0.02),
        "dt_bias": np.full(WIDTH, bias, np.float32),
    }


def state_space(params, x, parallel=True):
    u = x @ params["in"]
    dt = jax.nn.softplus(u @ params["dt"] + params["dt_bias"])
    decay = jnp.exp(-dt * jnp.exp(params["A_log"]))
    if parallel:

        def compose(left, right):
            return left[0] * right[0], right[0] * left[1] + right[1]

        _, h = jax.lax.associative_scan(compose, (decay, dt * u), axis=1)
        return h @ params["out"]

    def step(h, given):
        h = given[0] * h + given[1]
        return h, h

    xs = jnp.swapaxes(decay, 0, 1), jnp.swapaxes(dt * u, 0, 1)
    _, h = jax.lax.scan(step, jnp.zeros_like(u[:, 0]), xs)
    return jnp.swapaxes(h, 0, 1) @ params["out"]


def one_by_one(params, x):
    return state_space(params, x, parallel=False)


def of_time_steps(steps):
    """Params of a diagonal state space whose time steps start at these."""
    return without_state(recurrent(1.0)) | {
        "dt": normal(4, (WIDTH, WIDTH), 0.02),
        "dt_bias": np.log(np.expm1(np.broadcast_to(steps, WIDTH))).astype(np.float32),
        "A_log": np.log(np.arange(1, WIDTH + 1)).astype(np.float32),
    }


class _Cells(nn.Module):
    std: float

    @nn.compact
    def __call__(self, x):
        cell = nn.SimpleCell(WIDTH, recurrent_kernel_init=nn.initializers.normal(self.std))
        states = jnp.asarray(nn.RNN(cell)(x))
        return nn.Dense(4)(states[:, -1])


def _cells(std):
    def ready():
        init, apply, x = linen(_Cells(std), SEQUENCE)
        return apply, drawn(init), x

    return ready


SOFTPLUS_1 = float(np.log1p(np.e))
HALF = {"gate": np.zeros(WIDTH, np.float32)}
SHORT = recurrent(0.5 * lecun(WIDTH), 8)

TIME_FAULTS = {
    "a state that shrinks over 60 steps": Fault(
        "vanishing_signal", "state", "fail", plain(unrolled, SHORT)
    ),
    "a state that shrinks and is read at each step": Fault(
        "vanishing_signal", "state", "fail", plain(read_at_each_step, SHORT)
    ),
    "a state halved 60 times": Fault(
        "vanishing_signal", "gate", "fail", plain(gated_state, SHORT | HALF)
    ),
    "a state halved in a while loop": Fault(
        "vanishing_signal",
        "",
        "fail",
        plain(
            waited,
            SHORT | {"gate": np.ones(WIDTH, np.float32), "mid": normal(7, (WIDTH, WIDTH), 0.25)},
        ),
    ),
    "a state that grows over 60 steps": Fault(
        "exploding_signal",
        "state",
        "fail",
        plain(
            lambda params, x: (
                jax.lax.fori_loop(0, STEPS, lambda _, h: h @ params["state"], x @ params["in"])
                @ params["out"]
            ),
            recurrent(2 * lecun(WIDTH), 8),
        ),
    ),
    "a state that is forgotten at each step": Fault(
        "time_decay", "in + state", "warn", plain(elman, recurrent(0.01), LONG)
    ),
    "the same, inputs by their number": Fault(
        "time_decay", "in + state", "warn", plain(indexed, recurrent(0.01), LONG)
    ),
    "the same, example by example": Fault(
        "time_decay", "in + state", "warn", plain(example_by_example, recurrent(0.01), LONG)
    ),
    "the same, unrolled": Fault(
        "time_decay", "state", "warn", plain(unrolled_elman, recurrent(0.01), LONG[:, :8])
    ),
    "a kernel of powers that forgets": Fault(
        "time_decay", "decay", "warn", plain(convolved, powers(0.01), LONG)
    ),
    "the same in flax": Fault("time_decay", "SimpleCell", "warn", _cells(0.01)),
    "the same, a cell with its own derivative": Fault(
        "time_decay", "state", "warn", plain(written_by_hand, recurrent(0.01), LONG)
    ),
    "the same, as many steps as the data say": Fault(
        "time_decay", "in + state", "warn", plain(until_the_end, recurrent(0.01), LONG)
    ),
    "gates that forget, in one chunk": Fault(
        "time_decay", "dt", "warn", plain(in_one_chunk, gated(2.0), LONG)
    ),
    "gates of a state that start shut": Fault(
        "time_decay", "a", "warn", plain(leaky, shut(WIDTH), LONG)
    ),
    "time steps of softplus(1)": Fault(
        "time_decay", "A_log", "warn", plain(state_space, of_time_steps(SOFTPLUS_1), LONG)
    ),
    "time steps of softplus(1), one by one": Fault(
        "time_decay", "A_log", "warn", plain(one_by_one, of_time_steps(SOFTPLUS_1), LONG)
    ),
    "time steps of 1e-5": Fault(
        "time_decay", "A_log", "warn", plain(state_space, of_time_steps(1e-5), LONG)
    ),
    "time steps of 1e-5, one by one": Fault(
        "time_decay", "A_log", "warn", plain(one_by_one, of_time_steps(1e-5), LONG)
    ),
}
