"""Deep networks by hand in NumPy, position by position, in float64: what the lab's are held to."""

import itertools

import numpy as np

from initlab.networks.layers import EPSILON


def activate(name, z):
    if name == "gelu":
        return z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))
    if name == "silu":
        return z / (1 + np.exp(-z))
    return {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0)}[name](z)


def linear(p, h):
    return h @ p["weight"] + p.get("bias", 0.0)


def norm(p, h):
    if "bias" not in p:
        return h / np.sqrt((h**2).mean(-1, keepdims=True) + EPSILON) * p["scale"]
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


def turned(x, t):
    """One head's features at position t, as complex numbers: Su et al. 2021, section 3.2.1."""
    pairs = (x[::2] + 1j * x[1::2]) * np.exp(
        1j * t / 10000 ** (2 * np.arange(len(x) // 2) / len(x))
    )
    return np.stack([pairs.real, pairs.imag], -1).ravel()


def capped(z, cap):
    return z if cap is None else cap * np.tanh(z / cap)


def attention(p, h, *, heads, kv_heads=None, rotary=False, scale="1/sqrt(d)", softcap=None):
    """One sequence h [T, width], head by head, position by position."""
    q, k, v = (linear(p[name], h) for name in ("query", "key", "value"))
    size = h.shape[1] // heads
    factor = {"1/sqrt(d)": size**-0.5, "1/d": 1 / size}.get(scale, scale)
    seen = np.zeros_like(h)
    for head in range(heads):
        shared = head // (heads // (kv_heads or heads))
        own, theirs = (slice(n * size, (n + 1) * size) for n in (head, shared))
        queries, keys = q[:, own], k[:, theirs]
        if "query_norm" in p:
            queries, keys = norm(p["query_norm"], queries), norm(p["key_norm"], keys)
        if rotary:
            queries, keys = (
                np.stack([turned(x, t) for t, x in enumerate(each)]) for each in (queries, keys)
            )
        for t in range(len(h)):
            scores = capped(keys[: t + 1] @ queries[t] * factor, softcap)
            weights = np.exp(scores - scores.max())
            seen[t, own] = weights / weights.sum() @ v[: t + 1, theirs]
    return linear(p["output"], seen)


def waves(length, width):
    """Vaswani et al. 2017, section 3.5, entry by entry."""
    table = np.zeros((length, width))
    for t, i in np.ndindex(length, width):
        angle = t / 10000 ** (2 * (i // 2) / width)
        table[t, i] = np.cos(angle) if i % 2 else np.sin(angle)
    return table


def transformer(
    params,
    x,
    name,
    *,
    heads,
    positions="learned",
    norm_at="pre",
    attention_scale="1/sqrt(d)",
    softcap=None,
    kv_heads=None,
    branch_scale=1.0,
    last_only=False,
    readout_scale=1.0,
    readout_softcap=None,
    **told_by_the_params,
):
    first = params["embedding"]
    h = first["table"][x] if "table" in first else linear(first, x)
    if positions == "learned":
        h = h + first["position"][: h.shape[1]]
    elif positions == "sinusoidal":
        h = h + waves(*h.shape[1:])
    states: dict[str, tuple] = {"embedding": (h, h)}
    is_pre = norm_at != "post"

    def attend(p):
        rotary = positions == "rotary"
        return lambda h: attention(
            p,
            h,
            heads=heads,
            kv_heads=kv_heads,
            rotary=rotary,
            scale=attention_scale,
            softcap=softcap,
        )

    def add(p, h, branch):
        inner = norm(p["norm"], h) if "norm" in p and is_pre else h
        out = np.stack([branch(each) for each in inner])
        out = norm(p["norm_after"], out) if "norm_after" in p else out
        h = h + branch_scale * p.get("gate", 1.0) * out
        return norm(p["norm"], h) if "norm" in p and not is_pre else h

    def inside(p, h):
        z = linear(p["layer_1"], h)
        return z, activate(name, z)

    def through(p):
        def run(h):
            a = inside(p, h)[1]
            return linear(p["layer_2"], a * linear(p["linear"], h) if "linear" in p else a)

        return run

    for n, p in enumerate(blocks(params), start=1):
        h = add(p["attention"], h, attend(p["attention"]))
        mlp = p["mlp"]
        z, a = inside(mlp, norm(mlp["norm"], h) if "norm" in mlp and is_pre else h)
        h = add(mlp, h, through(mlp))
        states[f"block_{n}"] = (z, a, h)
    out = params["readout"]
    h = h[:, -1] if last_only else h
    h = norm(out["norm"], h) if "norm" in out else h
    logits = linear(out, h) if "weight" in out else h @ first["table"].T
    logits = capped(readout_scale * logits, readout_softcap)
    return states | {"readout": (logits, logits)}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def recurrent(params, x, *, cell):
    """One sequence after another, step by step."""
    first = params["embedding"]
    embedded = first["table"][x] if "table" in first else linear(first, x)
    states: dict[str, tuple] = {"embedding": (embedded, embedded)}
    h = embedded
    for n, p in enumerate(blocks(params), start=1):
        shown = [(_lstm if cell == "lstm" else _gru)(p, each) for each in h]
        h, z, a = (np.stack(each) for each in zip(*shown, strict=True))
        states[f"block_{n}"] = (z, a)
    logits = linear(params["readout"], h)
    return states | {"readout": (logits, logits)}


def _gate(p, number, name, x, h):
    return x @ p[name]["weight"] + h @ p[name]["recurrent"] + p["bias"][number]


def _lstm(p, xs):
    h = c = np.zeros(xs.shape[1])
    rows = []
    for x in xs:
        i, f, o = (
            sigmoid(_gate(p, n, name, x, h))
            for n, name in ((0, "input"), (1, "forget"), (3, "output"))
        )
        c = f * c + i * np.tanh(_gate(p, 2, "candidate", x, h))
        h = o * np.tanh(c)
        rows.append((h, c, np.tanh(c)))
    return tuple(np.stack(each) for each in zip(*rows, strict=True))


def _gru(p, xs):
    h = np.zeros(xs.shape[1])
    rows = []
    for x in xs:
        r, u = (sigmoid(_gate(p, n, name, x, h)) for n, name in enumerate(("reset", "update")))
        z = _gate(p, 2, "candidate", x, r * h)
        h = u * h + (1 - u) * np.tanh(z)
        rows.append((h, z, np.tanh(z)))
    return tuple(np.stack(each) for each in zip(*rows, strict=True))


def state_space(params, x, name, *, last_only):
    """By the kernel of each channel: y_t = sum_k (C exp(k dt A) dt B) u_(t - k) + D u_t."""
    h = linear(params["embedding"], x)
    states: dict[str, tuple] = {"embedding": (h, h)}
    for n, p in enumerate(blocks(params), start=1):
        mixer = p["mixer"]
        u = linear(p["layer_1"], norm(p["norm"], h))
        dt = np.log1p(np.exp(mixer["dt_bias"]))
        z = mixer["D"] * u
        for t in range(u.shape[1]):
            for k in range(t + 1):
                decay = np.exp(-k * dt[:, None] * np.exp(mixer["A_log"]))
                kernel = np.sum(mixer["C"] * decay * dt[:, None] * mixer["B"], axis=1)
                z[:, t] += kernel * u[:, t - k]
        a = activate(name, z)
        h = h + linear(p["layer_2"], a)
        states[f"block_{n}"] = (z, a, h)
    out = params["readout"]
    h = h[:, -1] if last_only else h
    logits = linear(out, norm(out["norm"], h))
    return states | {"readout": (logits, logits)}
