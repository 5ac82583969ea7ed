"""Starts of reinforcement learning: small heads, targets, ensembles."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from audit_models import ROWS, plain
from model_pieces import WIDTH, Draws, dense, layer_norm, zeros
from sound_science import mlp, mlp_params

ACTIONS = np.random.default_rng(100).uniform(-1, 1, (16, 2)).astype(np.float32)


def _orthogonal(draw, *sizes, last):
    pairs = list(itertools.pairwise(sizes))
    gains = [*[2**0.5] * (len(pairs) - 1), last]
    return [
        {"w": draw.orthogonal(*pair, gain=gain), "b": zeros(pair[1])}
        for pair, gain in zip(pairs, gains, strict=True)
    ]


def _two_nets(params, x):
    """Proximal policy optimization's pair: policy and value, nothing shared."""
    return mlp(params["policy"], x), mlp(params["value"], x), params["log_std"] + 0 * x[:, :2]


def _two_nets_params():
    """Orthogonal, gain sqrt 2; 0.01 where the policy ends, 1 where the value does."""
    draw = Draws(101)
    return {
        "policy": _orthogonal(draw, 8, 32, 32, 2, last=0.01),
        "value": _orthogonal(draw, 8, 32, 32, 1, last=1.0),
        "log_std": zeros(2),
    }


def _ddpg(params, x):
    action = jnp.tanh(mlp(params["actor"], x, jax.nn.relu))
    return action, mlp(params["critic"], jnp.concatenate([x, action], -1), jax.nn.relu)


def _ddpg_params(bound=3e-3):
    """Lillicrap et al. 2015: fan-in uniform, last layers between -3e-3 and 3e-3."""
    draw = Draws(102)

    def net(*sizes):
        layers = [
            {"w": draw.uniform(i, o, bound=i**-0.5), "b": draw.uniform(o, bound=i**-0.5)}
            for i, o in itertools.pairwise(sizes[:-1])
        ]
        end = {
            "w": draw.uniform(*sizes[-2:], bound=bound),
            "b": draw.uniform(sizes[-1], bound=bound),
        }
        return [*layers, end]

    return {"actor": net(8, 32, 32, 2), "critic": net(10, 32, 32, 1)}


def _sac(params, batch):
    """A squashed normal policy, two critics, and frozen copies of them."""
    x, noise = batch["x"], batch["a"]
    mean, log_std = jnp.split(mlp(params["actor"], x, jax.nn.relu), 2, -1)
    log_std = -5 + 0.5 * 7 * (jnp.tanh(log_std) + 1)
    action = jnp.tanh(mean + jnp.exp(log_std) * noise)
    pair = jnp.concatenate([x, action], -1)
    critics = [mlp(each, pair, jax.nn.relu) for each in params["critics"]]
    targets = jax.lax.stop_gradient([mlp(each, pair, jax.nn.relu) for each in params["targets"]])
    return action, critics, jnp.minimum(*targets)


def _sac_params():
    draw = Draws(103)
    critics = [mlp_params(draw, 10, 32, 32, 1) for _ in range(2)]
    return {"actor": mlp_params(draw, 8, 32, 32, 4), "critics": critics, "targets": critics}


def _dueling(params, x):
    """Value and advantages from one trunk, less their mean."""
    h = jax.nn.relu(dense(params["b"], jax.nn.relu(dense(params["a"], x))))
    advantages = dense(params["advantage"], h)
    return dense(params["value"], h) + advantages - advantages.mean(-1, keepdims=True)


def _dueling_params():
    draw = Draws(104)
    return {
        "a": draw.dense(8, 32, 0.5),
        "b": draw.dense(32, 32, 0.25),
        "value": draw.dense(32, 1),
        "advantage": draw.dense(32, 4),
    }


def _ensemble(params, batch):
    """Five critics by vmap, each with a key of its own."""
    pair = jnp.concatenate([batch["x"], batch["a"]], -1)
    return jax.vmap(lambda each: mlp(each, pair, jax.nn.relu))(params)[..., 0].T


def _ensemble_params():
    members = [mlp_params(Draws(110 + n), 10, 32, 32, 1) for n in range(5)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *members)


def _noisy(params, batch):
    """Weights with learned noise (Fortunato et al. 2018)."""
    h = batch["x"]
    for layer, last in zip(params, (False, True), strict=True):
        e = jnp.sign(layer["w"]) * 0.5
        h = h @ (layer["w"] + layer["noise"] * e) + layer["b"]
        h = h if last else jax.nn.relu(h)
    return h


def _noisy_params():
    draw = Draws(105)
    return [
        {
            "w": draw.uniform(i, o, bound=i**-0.5),
            "noise": np.full((i, o), 0.5 * i**-0.5, np.float32),
            "b": zeros(o),
        }
        for i, o in ((8, 32), (32, 4))
    ]


def _categorical(params, x):
    """Distributions over returns: a softmax over atoms for each action (Bellemare et al. 2017)."""
    logits = mlp(params, x, jax.nn.relu).reshape(len(x), 3, 11)
    return (jax.nn.softmax(logits) * jnp.linspace(-10.0, 10.0, 11)).sum(-1)


def _world_model(params, batch):
    """A recurrent state unrolled by actions, with heads of zeros for reward and value."""
    h = jax.nn.silu(layer_norm(dense(params["encode"], batch["x"]), params["norm"]))

    def step(h, a):
        inside = jnp.concatenate([h, a], -1)
        new = jax.nn.silu(layer_norm(dense(params["next"], inside), params["norm2"]))
        gate = jax.nn.sigmoid(dense(params["gate"], inside) - 1.0)
        h = gate * new + (1 - gate) * h
        return h, (dense(params["reward"], h), dense(params["decode"], h))

    _, outputs = jax.lax.scan(step, h, jnp.stack([batch["a"]] * 4))
    return outputs


def _world_model_params():
    draw = Draws(106)
    return {
        "encode": draw.dense(8, WIDTH),
        "norm": draw.norm(),
        "next": draw.dense(WIDTH + 2, WIDTH),
        "norm2": draw.norm(),
        "gate": draw.dense(WIDTH + 2, WIDTH),
        "reward": {"w": zeros(WIDTH, 1), "b": zeros(1)},
        "decode": draw.dense(WIDTH, 8),
    }


def _decision(params, batch):
    """One net for all: a trunk with a policy of small logits and a value."""
    h = jnp.tanh(dense(params["b"], jnp.tanh(dense(params["a"], batch["x"]))))
    return jax.nn.log_softmax(dense(params["policy"], h)), dense(params["value"], h)


def _decision_params():
    draw = Draws(107)
    layers = _orthogonal(draw, 8, 32, 32, 4, last=0.01)
    value = {"w": draw.orthogonal(32, 1), "b": zeros(1)}
    return dict(zip(("a", "b", "policy"), layers, strict=True)) | {"value": value}


_BATCH = {"x": ROWS, "a": ACTIONS}

SOUND_CONTROL = {
    "PPO, two nets": (plain(_two_nets, _two_nets_params), None, ()),
    "PPO, one trunk": (plain(_decision, _decision_params, _BATCH), None, ()),
    "DDPG": (plain(_ddpg, _ddpg_params), None, ()),
    "SAC": (plain(_sac, _sac_params, _BATCH), None, ()),
    "dueling": (plain(_dueling, _dueling_params), None, ()),
    "critics by vmap": (plain(_ensemble, _ensemble_params, _BATCH), None, ()),
    "noisy net": (plain(_noisy, _noisy_params, _BATCH), None, ()),
    "categorical critic": (
        plain(_categorical, lambda: mlp_params(Draws(108), 8, 32, 32, 33)), None, (),
    ),
    "world model": (plain(_world_model, _world_model_params, _BATCH), None, ()),
}  # fmt: skip
