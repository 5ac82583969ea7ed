"""Deep networks by hand in NumPy, position by position, in float64: what the lab's are held to."""

import itertools

import numpy as np

from initlab.networks.layers import EPSILON


def activate(name, z):
    if name == "gelu":
        return z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))
    return {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0)}[name](z)


def linear(p, h):
    return h @ p["weight"] + p["bias"]


def norm(p, h):
    mean, var = h.mean(-1, keepdims=True), h.var(-1, keepdims=True)
    return (h - mean) / np.sqrt(var + EPSILON) * p["scale"] + p["bias"]


def convolve(p, h, circular):
    """Sums over the window, one offset after another; h [B, *positions, inputs]."""
    *window, _, outputs = p["weight"].shape
    positions = h.shape[1:-1]
    z = np.zeros((*h.shape[:-1], outputs)) + p["bias"]
    for place in np.ndindex(*positions):
        for offset in np.ndindex(*window):
            at = [x + d - (w - 1) // 2 for x, d, w in zip(place, offset, window, strict=True)]
            if circular:
                at = [x % n for x, n in zip(at, positions, strict=True)]
            if all(0 <= x < n for x, n in zip(at, positions, strict=True)):
                z[(slice(None), *place)] += h[(slice(None), *at)] @ p["weight"][offset]
    return z


def blocks(params):
    return [
        params[f"block_{n}"]
        for n in itertools.takewhile(lambda n: f"block_{n}" in params, itertools.count(1))
    ]


def residual_block(p, h, apply, name):
    """(stream after it, z, a); a branch's maps are its entries layer_1, layer_2, ..."""
    maps = [p[f"layer_{n}"] for n in range(1, 9) if f"layer_{n}" in p]
    b = norm(p["norm"], h) if "norm" in p else h
    if len(maps) == 1:
        z = apply(maps[0], b)
        b = a = activate(name, z)
    else:
        for each in maps[:-1]:
            z = apply(each, b)
            b = a = activate(name, z)
        b = apply(maps[-1], b)
    return h + p.get("gate", 1.0) * b, z, a


def residual_mlp(params, x, name):
    h = linear(params["stem"], x)
    states: dict[str, tuple] = {"stem": (h, h)}
    for n, p in enumerate(blocks(params), start=1):
        h, z, a = residual_block(p, h, linear, name)
        states[f"block_{n}"] = (z, a, h)
    out = params["readout"]
    logits = linear(out, norm(out["norm"], h) if "norm" in out else h)
    return states | {"readout": (logits, logits)}


def convnet(params, x, name, *, shape, circular, flatten, residual):
    def apply(p, h):
        return convolve(p, h, circular)

    def plain(p, h):
        z = norm(p["norm"], apply(p, h)) if "norm" in p else apply(p, h)
        return activate(name, z), z

    h = x.reshape(len(x), *shape)
    if residual:
        h = apply(params["stem"], h)
        states: dict[str, tuple] = {"stem": (h, h)}
    else:
        h, z = plain(params["stem"], h)
        states = {"stem": (z, h)}
    for n, p in enumerate(blocks(params), start=1):
        if residual:
            h, z, a = residual_block(p, h, apply, name)
            states[f"block_{n}"] = (z, a, h)
        else:
            h, z = plain(p, h)
            states[f"block_{n}"] = (z, h)
    out = params["readout"]
    h = norm(out["norm"], h) if "norm" in out else h
    h = h.reshape(len(x), -1) if flatten else h.mean(axis=tuple(range(1, h.ndim - 1)))
    logits = linear(out, h)
    return states | {"readout": (logits, logits)}


def attention(p, h, heads):
    """One sequence h [T, width], head by head, position by position."""
    q, k, v = (linear(p[name], h) for name in ("query", "key", "value"))
    size = h.shape[1] // heads
    seen = np.zeros_like(h)
    for head in range(heads):
        own = slice(head * size, (head + 1) * size)
        for t in range(len(h)):
            scores = k[: t + 1, own] @ q[t, own] / np.sqrt(size)
            weights = np.exp(scores - scores.max())
            seen[t, own] = weights / weights.sum() @ v[: t + 1, own]
    return linear(p["output"], seen)


def transformer(params, x, name, *, heads, post_norm, last_only):
    first = params["embedding"]
    h = first["table"][x] if "table" in first else linear(first, x)
    h = h + first["position"][: h.shape[1]]
    states: dict[str, tuple] = {"embedding": (h, h)}

    def add(p, h, branch):
        inner = norm(p["norm"], h) if "norm" in p and not post_norm else h
        h = h + p.get("gate", 1.0) * np.stack([branch(each) for each in inner])
        return norm(p["norm"], h) if "norm" in p and post_norm else h

    def inside(p, h):
        z = linear(p["layer_1"], h)
        return z, activate(name, z)

    for n, p in enumerate(blocks(params), start=1):
        h = add(p["attention"], h, lambda each, p=p: attention(p["attention"], each, heads))
        mlp = p["mlp"]
        z, a = inside(mlp, norm(mlp["norm"], h) if "norm" in mlp and not post_norm else h)
        h = add(mlp, h, lambda each, mlp=mlp: linear(mlp["layer_2"], inside(mlp, each)[1]))
        states[f"block_{n}"] = (z, a, h)
    out = params["readout"]
    h = h[:, -1] if last_only else h
    h = norm(out["norm"], h) if "norm" in out else h
    logits = linear(out, h) if "weight" in out else h @ first["table"].T
    return states | {"readout": (logits, logits)}
