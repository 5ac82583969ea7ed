"""Nets of scientific machine learning, on sets and on graphs."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from audit_models import ROWS, plain
from model_pieces import WIDTH, Draws, dense, layer_norm, zeros

POINTS = np.random.default_rng(70).uniform(-1, 1, (16, 2)).astype(np.float32)


def mlp(layers, x, activation=jnp.tanh):
    for layer in layers[:-1]:
        x = activation(dense(layer, x))
    return dense(layers[-1], x)


def mlp_params(draw, *sizes, gain=1.0):
    pairs = itertools.pairwise(sizes)
    return [draw.dense(i, o, (gain / i) ** 0.5) for i, o in pairs]


def _pinn(params, points):
    """u'' of both coordinates, minus a source: the heat equation's residual."""

    def u(x):
        return mlp(params, x)[0]

    def residual(x):
        second = [
            jax.jvp(lambda x, e=e: jax.jvp(u, (x,), (e,))[1], (x,), (e,))[1] for e in jnp.eye(2)
        ]
        return second[0] + second[1] - jnp.sin(jnp.pi * x[0])

    return jax.vmap(residual)(points), jax.vmap(u)(points)


def _pinn_loss(outputs):
    residual, u = outputs
    return jnp.mean(residual**2) + jnp.mean(u**2)


def _hamiltonian(params, points):
    """A field that is the symplectic gradient of a learned energy."""
    gradient = jax.vmap(jax.grad(lambda x: mlp(params, x)[0]))(points)
    return jnp.stack([gradient[:, 1], -gradient[:, 0]], -1)


def _fourier_features(params, x):
    """Tancik et al. 2020: frozen random frequencies before a relu net."""
    z = 2 * jnp.pi * x @ jax.lax.stop_gradient(params["frequencies"])
    return mlp(params["net"], jnp.concatenate([jnp.sin(z), jnp.cos(z)], -1), jax.nn.relu)


def _fourier_params():
    draw = Draws(72)
    return {"frequencies": draw(2, 16, std=1.0), "net": mlp_params(draw, 32, 32, 32, 3, gain=2.0)}


def _nerf(params, x):
    """Positional encoding, eight relu layers in short, a skip of the inputs, density and color."""
    f = 2.0 ** jnp.arange(4) * jnp.pi
    z = (x[..., None] * f).reshape(len(x), -1)
    z = jnp.concatenate([x, jnp.sin(z), jnp.cos(z)], -1)
    h = mlp(params["first"], z, jax.nn.relu)
    h = mlp(params["second"], jnp.concatenate([jax.nn.relu(h), z], -1), jax.nn.relu)
    return jax.nn.softplus(dense(params["density"], h)), jax.nn.sigmoid(dense(params["color"], h))


def _nerf_params():
    draw = Draws(73)
    return {
        "first": mlp_params(draw, 18, 32, 32, gain=2.0),
        "second": mlp_params(draw, 50, 32, 32, gain=2.0),
        "density": draw.dense(32, 1),
        "color": draw.dense(32, 3),
    }


def _neural_ode(params, x):
    """Runge and Kutta's steps through a field with time."""

    def field(t, h):
        return mlp(params["field"], jnp.concatenate([h, jnp.full((len(h), 1), t)], -1))

    def step(h, t, dt=0.2):
        k1 = field(t, h)
        k2 = field(t + dt / 2, h + dt / 2 * k1)
        k3 = field(t + dt / 2, h + dt / 2 * k2)
        k4 = field(t + dt, h + dt * k3)
        return h + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

    h, _ = jax.lax.scan(step, dense(params["in"], x), 0.2 * jnp.arange(5))
    return dense(params["out"], h)


def _neural_ode_params():
    draw = Draws(74)
    return {
        "in": draw.dense(8, WIDTH),
        "field": mlp_params(draw, WIDTH + 1, 32, WIDTH),
        "out": draw.dense(WIDTH, 3),
    }


def _deep_sets(params, batch):
    """A sum over a set of masked elements between two nets (Zaheer et al. 2017)."""
    each = mlp(params["phi"], batch["x"], jax.nn.relu) * batch["mask"][..., None]
    return mlp(params["rho"], each.sum(1) / batch["mask"].sum(1, keepdims=True), jax.nn.relu)


def _deep_sets_params():
    draw = Draws(75)
    return {
        "phi": mlp_params(draw, 4, 32, WIDTH, gain=2.0),
        "rho": mlp_params(draw, WIDTH, 32, 3, gain=2.0),
    }


_RNG = np.random.default_rng(76)
GRAPHS = {
    "nodes": _RNG.normal(size=(8, 5, 4)).astype(np.float32),
    "from": _RNG.integers(0, 5, (8, 12)).astype(np.int32),
    "to": _RNG.integers(0, 5, (8, 12)).astype(np.int32),
}


def _graph_net(params, batch):
    """Messages along edges, summed at nodes, with residual sums and norms."""

    def one(nodes, source, target):
        h = dense(params["in"], nodes)
        for layer in params["blocks"]:
            message = mlp(
                layer["message"], jnp.concatenate([h[source], h[target]], -1), jax.nn.relu
            )
            gathered = jax.ops.segment_sum(message, target, num_segments=len(h))
            new = mlp(layer["update"], jnp.concatenate([h, gathered], -1), jax.nn.relu)
            h = layer_norm(h + new, layer["norm"])
        return dense(params["out"], h.mean(0))

    return jax.vmap(one)(batch["nodes"], batch["from"], batch["to"])


def _graph_net_params():
    draw = Draws(77)
    return {
        "in": draw.dense(4, WIDTH),
        "blocks": [
            {
                "message": mlp_params(draw, 2 * WIDTH, WIDTH, WIDTH),
                "update": mlp_params(draw, 2 * WIDTH, WIDTH, WIDTH),
                "norm": draw.norm(),
            }
            for _ in range(2)
        ],
        "out": draw.dense(WIDTH, 3),
    }


def _dense_graph(batch):
    ones = jnp.ones(())
    place = lambda s, t: jnp.eye(5).at[t, s].add(ones)  # noqa: E731
    return jax.vmap(place)(batch["from"], batch["to"])


def _gcn(params, batch):
    """Kipf and Welling 2016: degrees on both sides, Glorot."""
    edges = _dense_graph(batch)
    degrees = jax.lax.rsqrt(edges.sum(-1))
    edges = edges * degrees[:, :, None] * degrees[:, None]
    h = batch["nodes"]
    for layer in params[:-1]:
        h = jax.nn.relu(edges @ dense(layer, h))
    return (edges @ dense(params[-1], h)).mean(1)


def _gat(params, batch):
    """Veličković et al. 2018: two scores a head, leaky, over neighbours only."""
    edges, h = _dense_graph(batch), batch["nodes"]
    for layer in params["blocks"]:
        z = jnp.einsum("bni,ihd->bhnd", h, layer["w"])
        one = jnp.einsum("bhnd,hd->bhn", z, layer["a"])
        other = jnp.einsum("bhnd,hd->bhn", z, layer["b"])
        scores = jax.nn.leaky_relu(one[..., None] + other[:, :, None], 0.2)
        p = jax.nn.softmax(jnp.where(edges[:, None] > 0, scores, -1e9))
        h = jax.nn.elu(jnp.einsum("bhnm,bhmd->bnhd", p, z).reshape(*h.shape[:2], -1))
    return dense(params["out"], h.mean(1))


def _gat_params():
    draw = Draws(78)
    layer = lambda i: {  # noqa: E731
        "w": draw(i, 2, 8, std=i**-0.5),
        "a": draw(2, 8, std=8**-0.5),
        "b": draw(2, 8, std=8**-0.5),
    }
    return {"blocks": [layer(4), layer(16)], "out": draw.dense(16, 3)}


def _schnet(params, positions):
    """Filters from distances through radial functions, shifted softplus, an energy."""
    shifted = lambda x: jax.nn.softplus(x) - jnp.log(2.0)  # noqa: E731
    distance = jnp.sqrt(((positions[:, :, None] - positions[:, None]) ** 2).sum(-1) + 1e-6)
    basis = jnp.exp(-4 * (distance[..., None] - jnp.linspace(0.0, 3.0, 8)) ** 2)
    h = jnp.broadcast_to(params["embed"], (*positions.shape[:2], WIDTH))
    for layer in params["blocks"]:
        filters = mlp(layer["filter"], basis, shifted)
        gathered = jnp.einsum("bnmf,bmf->bnf", filters, h @ layer["w"])
        h = h + mlp(layer["update"], gathered, shifted)
    return mlp(params["out"], h, shifted).sum(1)


def _schnet_params():
    draw = Draws(79)
    return {
        "embed": draw(5, WIDTH, std=1.0),
        "blocks": [
            {
                "filter": mlp_params(draw, 8, WIDTH, WIDTH),
                "w": draw(WIDTH, WIDTH),
                "update": mlp_params(draw, WIDTH, WIDTH, WIDTH),
            }
            for _ in range(2)
        ],
        "out": mlp_params(draw, WIDTH, WIDTH, 1),
    }


def _deeponet(params, batch):
    """A net of a function's values and a net of a place, multiplied and summed."""
    branch = mlp(params["branch"], batch["f"])
    trunk = jnp.tanh(mlp(params["trunk"], batch["x"]))
    return (branch * trunk).sum(-1, keepdims=True) + params["b"]


def _deeponet_params():
    draw = Draws(80)
    return {
        "branch": mlp_params(draw, 8, 32, 16),
        "trunk": mlp_params(draw, 2, 32, 16),
        "b": zeros(1),
    }


def _standardized(params, x):
    """Physical units, standardized inside."""
    return mlp(params, (x - 5e3) / 2.9e3)


def _kan(params, x):
    """Learned functions of each input: radial bumps, and silu with a weight (Liu et al. 2024)."""
    h = jnp.tanh(x)
    for layer in params:
        bumps = jnp.exp(-(((h[..., None] - jnp.linspace(-1.0, 1.0, 5)) * 2) ** 2))
        h = jnp.einsum("bik,iko->bo", bumps, layer["bumps"]) + jax.nn.silu(h) @ layer["w"]
    return h


def _kan_params():
    draw = Draws(82)
    return [{"bumps": draw(i, 5, o, std=0.1), "w": draw(i, o)} for i, o in ((8, WIDTH), (WIDTH, 3))]


_SETS = {
    "x": _RNG.normal(size=(8, 5, 4)).astype(np.float32),
    "mask": (np.arange(5) < _RNG.integers(2, 6, (8, 1))).astype(np.float32),
}
_PLACES = {"f": ROWS, "x": POINTS}
_FAR = (5e3 + 2.9e3 * ROWS).astype(np.float32)

SOUND_SCIENCE = {
    "PINN": (plain(_pinn, lambda: mlp_params(Draws(71), 2, 32, 32, 1), POINTS), _pinn_loss, ()),
    # The energy's offset has no gradient.
    "Hamiltonian": (
        plain(_hamiltonian, lambda: mlp_params(Draws(71), 2, 32, 32, 1), POINTS),
        None,
        ("unused_parameter",),
    ),
    "Fourier features": (plain(_fourier_features, _fourier_params, POINTS), None, ()),
    "NeRF": (plain(_nerf, _nerf_params, POINTS), None, ()),
    "neural ODE": (plain(_neural_ode, _neural_ode_params), None, ()),
    "DeepSets": (plain(_deep_sets, _deep_sets_params, _SETS), None, ()),
    "graph net": (plain(_graph_net, _graph_net_params, GRAPHS), None, ()),
    "GCN": (plain(_gcn, lambda: mlp_params(Draws(76), 4, WIDTH, WIDTH, 3), GRAPHS), None, ()),
    "GAT": (plain(_gat, _gat_params, GRAPHS), None, ()),
    "SchNet": (plain(_schnet, _schnet_params, _SETS["x"][..., :3]), None, ()),
    "DeepONet": (plain(_deeponet, _deeponet_params, _PLACES), None, ()),
    "inputs standardized inside": (
        plain(_standardized, lambda: mlp_params(Draws(81), 8, 32, 32, 3), _FAR), None, (),
    ),
    "Kolmogorov-Arnold": (plain(_kan, _kan_params), None, ()),
}  # fmt: skip
