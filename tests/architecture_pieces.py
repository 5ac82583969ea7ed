"""Pieces of random architectures without loops: `(net, h) -> h`, examples on the first axis of h."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def _axis(net, h):
    return net.choice(range(1, h.ndim))


def _last(net, h):
    """Some axis moved to the end, and the way back."""
    axis = _axis(net, h)
    return jnp.moveaxis(h, axis, -1), lambda after: jnp.moveaxis(after, -1, axis)


def _along(h, axis, leaf):
    return jnp.expand_dims(leaf, [n for n in range(h.ndim) if n != axis % h.ndim])


@jax.custom_jvp
def _taught_forward(h):
    return jnp.sin(h)


_taught_forward.defjvp(lambda at, to: (jnp.sin(at[0]), jnp.cos(at[0]) * to[0]))


@jax.custom_vjp
def _taught_backward(h):
    return jnp.tanh(h)


_taught_backward.defvjp(
    lambda h: (jnp.tanh(h), h), lambda h, cotangent: (cotangent * (1 - jnp.tanh(h) ** 2),)
)

ACTIVATIONS = (
    jnp.tanh,
    jax.nn.relu,
    jax.nn.gelu,
    jax.nn.silu,
    jax.jit(jax.nn.softplus),
    _taught_forward,
    _taught_backward,
    lambda h: jnp.where(h > 0, h, 0.1 * h),
    lambda h: jnp.clip(h, -1.0, 1.0),
    lambda h: jnp.exp(-(h**2)) + lax.stop_gradient(h),
    lambda h: lax.reduce_precision(h, 11, 52) + jnp.sign(h),
    lambda h: jnp.abs(lax.complex(h, jnp.cos(h))),
    lambda h: lax.bitcast_convert_type(lax.bitcast_convert_type(h, jnp.int64), jnp.float64),
    lambda h: jax.vmap(jax.grad(lambda one: jnp.sum(jnp.tanh(one) ** 2)))(h),
    lambda h: jax.jvp(jnp.tanh, (h,), (jnp.cos(h),))[1],
)


def activate(net, h):
    return net.choice(ACTIVATIONS)(h)


def shift(net, h):
    """A bias or a gain along one axis or along all."""
    axis = net.choice(range(h.ndim))
    leaf = net.leaf(*h.shape[1:])[None] if axis == 0 else _along(h, axis, net.leaf(h.shape[axis]))
    return h + leaf if net.chance() else h * leaf


def square_dense(net, h):
    h, back = _last(net, h)
    return back(h @ net.leaf(h.shape[-1], h.shape[-1]) / h.shape[-1] ** 0.5)


def dense(net, h):
    """A product over one or two axes, the operands in either order, the result's axes in any."""
    axes = sorted({_axis(net, h), _axis(net, h)})
    size = net.size()
    if net.chance():
        axes = axes[::-1]
    weight = net.leaf(*(h.shape[axis] for axis in axes), size)
    summed = (axes, list(range(len(axes))))
    if net.chance():
        out = jnp.tensordot(h, weight, axes=summed)
    else:
        out = jnp.moveaxis(jnp.tensordot(weight, h, axes=summed[::-1]), 0, -1)
    if net.chance():
        out = out + _along(out, -1, net.leaf(size))
    return jnp.moveaxis(out, -1, net.choice(range(1, out.ndim)))


def norm(net, h):
    """Layers, batches, groups or root mean squares made alike; softmax."""
    axis = net.choice(range(h.ndim))
    kind = net.choice(("mean", "rms", "softmax", "logsumexp", "max", "groups", "sum"))
    if kind == "softmax":
        return jax.nn.softmax(h, axis)
    if kind == "logsumexp":
        return h - jax.nn.logsumexp(h, axis, keepdims=True)
    if kind == "max":
        return h / (1 + jnp.max(jnp.abs(h), axis, keepdims=True))
    if kind == "sum":
        return h / (1 + jnp.sum(jnp.abs(h), tuple({axis, h.ndim - 1}), keepdims=True))
    if kind == "rms":
        return h * lax.rsqrt(1e-3 + jnp.mean(h**2, axis, keepdims=True))
    grouped, over = h, (axis,)
    if kind == "groups" and h.shape[-1] % 2 == 0:
        grouped = h.reshape(*h.shape[:-1], 2, h.shape[-1] // 2)
        over = (*range(1, h.ndim - 1), h.ndim)
    centred = grouped - jnp.mean(grouped, over, keepdims=True)
    scale = jnp.sqrt(1e-3 + jnp.mean(centred**2, over, keepdims=True))
    return (centred / scale).reshape(h.shape)


def residual(net, h):
    branch = net.inner(h.shape)
    return h + branch.apply(net.leaves(branch), h)


def wide_residual(net, h):
    """A stream that goes through a [d, d] weight, and a branch beside it."""
    branch = net.inner(h.shape)
    return square_dense(net, h) + branch.apply(net.leaves(branch), h)


def ordered(net, h):
    """What depends on the order along an axis."""
    axis = _axis(net, h)
    size = h.shape[axis]
    kind = net.choice(
        "cumsum cumprod cummax cumlogsumexp sort rev roll top_k argmax argsort shuffle fft".split()
    )
    if kind == "cumsum":
        return lax.cumsum(h, axis, reverse=net.chance())
    if kind == "cumprod":
        return lax.cumprod(jnp.tanh(h), axis)
    if kind == "cummax":
        return lax.cummax(h, axis)
    if kind == "cumlogsumexp":
        return lax.cumlogsumexp(h, axis)
    if kind == "sort":
        return jnp.sort(h, axis)
    if kind == "rev":
        return jnp.flip(h, axis)
    if kind == "roll":
        return jnp.roll(h, net.choice((1, 2)), axis)
    if kind == "top_k":
        return lax.top_k(h, size, axis=axis)[net.choice((0, 1))].astype(h.dtype)
    if kind == "argmax":
        return h * jnp.cos(jnp.argmax(h, axis, keepdims=True).astype(h.dtype))
    if kind == "argsort":
        return h + jnp.argsort(h, axis).astype(h.dtype)
    if kind == "shuffle":
        return jnp.take(h, np.roll(np.arange(size), 1), axis)
    return jnp.fft.fft(h, axis=axis).real


def position(net, h):
    """Arrays that are made in the program: sines of positions, masks, constants that vary or not."""
    axis = _axis(net, h)
    size = h.shape[axis]
    rng = np.random.default_rng(size)
    kind = net.choice(("sines", "mask", "constant", "alike", "random", "rotary", "key"))
    if kind == "sines":
        return h + _along(h, axis, jnp.sin(jnp.arange(size, dtype=h.dtype)))
    if kind == "mask":
        keep = jnp.tril(jnp.ones(h.shape[-2:], bool))
        return jnp.where(jnp.broadcast_to(keep, h.shape), h, -1.0)
    if kind == "constant":
        return h + _along(h, axis, rng.standard_normal(size))
    if kind == "alike":
        shape = [size if n == axis else 1 for n in range(h.ndim)]
        return h * np.broadcast_to(rng.standard_normal(size).reshape(shape), h.shape)
    if kind == "random":
        return h + 0.1 * jax.random.normal(jax.random.key(0), h.shape, h.dtype)
    if kind == "key":
        return h * (1.0 + jax.random.bernoulli(jax.random.key(1), 0.5, h.shape[1:])[None])
    h, back = _last(net, h)
    if h.shape[-1] % 2:
        return back(h)
    first, second = jnp.split(h, 2, -1)
    angle = jnp.broadcast_to(jnp.arange(first.shape[-1], dtype=h.dtype), first.shape)
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    return back(jnp.concatenate([first * cosine - second * sine, second * cosine + first * sine], -1))


def write(net, h):
    """Windows written to places that the program or the data name."""
    axis = _axis(net, h)
    h, back = _last(net, h)
    size = h.shape[-1]
    kind = net.choice(("set", "add", "slice", "update", "places", "take", "max", "rows"))
    place = net.choice(range(size))
    if kind == "set":
        h = h.at[..., place].set(net.leaf(*h.shape[1:-1])[None])
    elif kind == "add":
        h = h.at[..., :place].add(net.leaf(1)[0])
    elif kind == "max":
        h = h.at[..., np.array([place, 0])].max(0.0)
    elif kind == "rows":
        h = h.at[:, 0].multiply(net.leaf(*h.shape[2:])[None])
    elif kind == "slice":
        start = jnp.argmax(jnp.abs(h).sum(tuple(range(h.ndim - 1))))
        h = h + lax.dynamic_slice_in_dim(h, start, net.choice((1, size)), h.ndim - 1)
    elif kind == "update":
        piece = net.leaf(*h.shape[1:-1], net.choice((1, size)))[None]
        piece = jnp.broadcast_to(piece, (*h.shape[:-1], piece.shape[-1]))
        h = lax.dynamic_update_slice_in_dim(h, piece, place, h.ndim - 1)
    elif kind == "places":
        h = h.at[..., np.array([place, 0])].add(net.leaf(2))
    else:
        h = h + jnp.take_along_axis(h, jnp.argmax(h, -1, keepdims=True), -1)
    del axis
    return back(h)


def _heads(net, h, size, heads):
    """Queries, keys and values [B, T, H, e], their weights apart or in one, in several layouts."""
    model = h.shape[-1]
    kind = net.choice(("apart", "split", "reshape", "inside", "merged"))
    if kind == "apart":
        return [jnp.einsum("btd,dhe->bthe", h, net.leaf(model, heads, size)) for _ in range(3)]
    if kind == "merged":
        return [
            (h @ net.leaf(model, heads * size)).reshape(*h.shape[:2], heads, size)
            for _ in range(3)
        ]
    fused = h @ net.leaf(model, 3 * heads * size)
    if kind == "split":
        return [each.reshape(*h.shape[:2], heads, size) for each in jnp.split(fused, 3, -1)]
    if kind == "reshape":
        fused = fused.reshape(*h.shape[:2], 3, heads, size)
        return [fused[:, :, n] for n in range(3)]
    return jnp.split(fused.reshape(*h.shape[:2], heads, 3 * size), 3, -1)


def attention(net, h):
    """Attention over the second axis, back to the width that came in."""
    shape = h.shape
    h = h.reshape(*shape[:2], -1)
    size, heads = net.choice((2, 3)), net.choice((1, 2, 4))
    q, k, v = _heads(net, h, size, heads)
    scores = jnp.einsum("bqhe,bkhe->bhqk", q, k)
    if net.chance():
        mask = jnp.tril(jnp.ones(scores.shape[-2:], bool))
        scores = jnp.where(jnp.broadcast_to(mask, scores.shape), scores, -1e30)
    out = jnp.einsum("bhqk,bkhe->bqhe", jax.nn.softmax(scores, -1), v)
    if net.chance():
        out = jnp.einsum("bthe,hed->btd", out, net.leaf(heads, size, h.shape[-1]))
    else:
        out = out.reshape(*out.shape[:2], -1) @ net.leaf(heads * size, h.shape[-1])
    return out.reshape(shape)


def gate(net, h):
    """Half of an axis gates the other half, which is told from it in one of three ways."""
    h, back = _last(net, h)
    if h.shape[-1] % 2:
        h = jnp.concatenate([h, h], -1)
    half = h.shape[-1] // 2
    kind = net.choice(("split", "slice", "reshape", "stride"))
    if kind == "split":
        a, b = jnp.split(h, 2, -1)
    elif kind == "slice":
        a, b = h[..., :half], h[..., half:]
    elif kind == "stride":
        a, b = h[..., ::2], h[..., 1::2]
    else:
        pair = h.reshape(*h.shape[:-1], 2, half)
        a, b = pair[..., 0, :], pair[..., 1, :]
    return back(a * jax.nn.sigmoid(b))


def join(net, h):
    """Two streams, the input, or constants, end to end or one above the other."""
    axis = _axis(net, h)
    kind = net.choice(("self", "branch", "input", "stack", "unstack", "leaf", "ones"))
    if kind == "self":
        return jnp.concatenate([h, jnp.tanh(h)], axis)
    if kind == "stack":
        return jnp.stack([h, h * net.leaf(*h.shape[1:])[None]], net.choice(range(1, h.ndim + 1)))
    if kind == "unstack":
        first, *rest = jnp.unstack(h, axis=axis)
        return (first - sum(jnp.cos(each) for each in rest)).reshape(first.shape[0], -1)
    if kind == "branch":
        branch = net.inner(h.shape)
        other = branch.apply(net.leaves(branch), h)
        return jnp.concatenate([other, h] if net.chance() else [h, other], axis)
    flat = h.reshape(h.shape[0], -1)
    if kind == "input":
        return jnp.concatenate([flat, net.x.reshape(net.x.shape[0], -1)], 1)
    if kind == "leaf":
        leaf = net.leaf(net.size())
        return jnp.concatenate([jnp.broadcast_to(leaf, (flat.shape[0], *leaf.shape)), flat], 1)
    return jnp.concatenate([flat, jnp.ones((flat.shape[0], 2))], 1)


def reshape(net, h):
    """The axes of an example divided and merged, along their borders or across them."""
    kind = net.choice(("flat", "merge", "divide", "across", "swap", "tile", "repeat", "new"))
    if kind == "flat":
        return h.reshape(h.shape[0], -1)
    if kind == "merge":
        axis = _axis(net, h)
        return h.reshape(*h.shape[:axis], -1, *h.shape[axis + 2 :])
    if kind == "divide":
        axis, by = _axis(net, h), net.choice((2, 3))
        if h.shape[axis] % by:
            return h
        parts = (by, h.shape[axis] // by)
        return h.reshape(*h.shape[:axis], *parts[:: net.choice((1, -1))], *h.shape[axis + 1 :])
    if kind == "across":
        entries = h.size // h.shape[0]
        return h.reshape(h.shape[0], *net.choice(_factorizations(entries)))
    if kind == "swap":
        return jnp.swapaxes(h, _axis(net, h), _axis(net, h))
    if kind == "tile":
        return jnp.tile(h, [1 if n != h.ndim - 1 else 2 for n in range(h.ndim)])
    if kind == "repeat":
        return jnp.repeat(h, 2, _axis(net, h))
    return jnp.expand_dims(h, net.choice(range(1, h.ndim + 1)))


def _factorizations(entries):
    pairs = [(a, entries // a) for a in range(1, entries + 1) if entries % a == 0]
    triples = [(a, *pair) for a, b in pairs for pair in [(b,)] if a > 1]
    del triples
    return pairs


def pick(net, h):
    """A piece of an axis, or padding around it."""
    axis = _axis(net, h)
    size = h.shape[axis]
    kind = net.choice(("one", "piece", "constant", "edge", "reflect", "wrap", "inside", "crop"))
    width = [(0, 0)] * h.ndim
    width[axis] = (1, net.choice((0, 2)))
    if kind == "one":
        return jnp.take(h, net.choice(range(size)), axis).reshape(h.shape[0], -1)
    if kind == "piece":
        first = net.choice(range(size))
        return lax.slice_in_dim(h, first, first + 1 + net.choice(range(size - first)), axis=axis)
    if kind in ("inside", "crop"):
        setting = [(0, 0, 0)] * h.ndim
        setting[axis] = (0, 1, 1) if kind == "inside" or size == 1 else (2, -1, 0)
        return lax.pad(h, 0.5, setting)
    if size <= 2:
        kind = "edge"
    return jnp.pad(h, width, kind)


def outer(net, h):
    """Products of all pairs, as a matrix or in a row."""
    h, back = _last(net, h)
    pairs = h[..., :, None] * h[..., None, :]
    if net.chance():
        return back(pairs.reshape(*h.shape[:-1], -1))
    return pairs + jnp.swapaxes(pairs, -1, -2) if net.chance() else pairs @ h[..., :, None]


def convolve(net, h):
    """Convolutions over one or two axes: strided, dilated, grouped, depthwise, 1 x 1, transposed."""
    while h.ndim < 3:
        h = h[..., None]
    h = h.reshape(*h.shape[:3], -1)
    planes = net.choice((1, 2))
    h = h if planes == 2 else h.reshape(h.shape[0], -1, h.shape[-1])
    channels = h.shape[-1]
    groups = net.choice([g for g in (1, 2, 3, channels) if channels % g == 0])
    out = groups * net.choice((1, 2, 3))
    window = [net.choice((1, 2, 3)) for _ in range(planes)]
    kernel = net.leaf(*window, channels // groups, out)
    layout = ("NHC", "HIO", "NHC") if planes == 1 else ("NHWC", "HWIO", "NHWC")
    if net.chance(4) and groups == 1:
        return lax.conv_transpose(h, kernel, [2] * planes, "SAME", dimension_numbers=layout)
    if net.chance(4):
        h, layout = jnp.moveaxis(h, -1, 1), (layout[0].replace("C", "").replace("N", "NC"), *layout[1:])
    return lax.conv_general_dilated(
        h,
        kernel,
        [net.choice((1, 2))] * planes,
        "SAME",
        rhs_dilation=[net.choice((1, 2))] * planes,
        dimension_numbers=layout,
        feature_group_count=groups,
    )


def pool(net, h):
    """Maxima and means over windows, or over a whole axis."""
    axis = _axis(net, h)
    kind = net.choice(("max", "mean", "all", "softly", "logsumexp"))
    window = tuple(2 if n == axis else 1 for n in range(h.ndim))
    if kind == "max":
        return lax.reduce_window(h, -np.inf, lax.max, window, window, "SAME")
    if kind == "mean":
        return lax.reduce_window(h, 0.0, lax.add, window, (1,) * h.ndim, "SAME")
    if kind == "softly":
        return lax.reduce_window(h, 1.0, lambda a, b: a * b + 0 * a, window, window, "SAME")
    if kind == "logsumexp":
        return jax.nn.logsumexp(h, axis).reshape(h.shape[0], -1)
    return jnp.mean(h, axis).reshape(h.shape[0], -1)


def embed(net, h):
    """Rows of a table that the data name, by index or by a product with zeros and ones."""
    words, size = 4, net.size()
    table = net.leaf(words, size)
    ids = jnp.clip(jnp.floor(jnp.abs(h) * 2), 0, words - 1).astype(int)
    kind = net.choice(("index", "one_hot", "tied"))
    if kind == "index":
        return table[ids]
    if kind == "one_hot":
        return jax.nn.one_hot(ids, words, dtype=h.dtype) @ table
    return table[ids] @ net.leaf(words, size).T


def sum_out(net, h):
    """The largest axis summed with weights."""
    axis = max(range(1, h.ndim), key=lambda n: h.shape[n])
    h = jnp.moveaxis(h, axis, -1)
    return (h @ net.leaf(h.shape[-1], 2) / h.shape[-1]).reshape(h.shape[0], -1)


def readout(net, h):
    """The output: a dense layer over what there is, a mean, or all of it."""
    kind = net.choice(("dense", "dense", "dense", "mean", "all"))
    if kind == "mean":
        return jnp.mean(jnp.sin(h))
    if kind == "all":
        return h
    axis = _axis(net, h)
    out = jnp.tensordot(h, net.leaf(h.shape[axis], 2), (axis, 0))
    return jnp.sum(out, [n for n in range(1, out.ndim - 1) if net.chance()])


PRESERVING = {
    each.__name__: each
    for each in (
        activate,
        shift,
        square_dense,
        norm,
        residual,
        wide_residual,
        ordered,
        position,
        write,
        attention,
    )
}
RESHAPING = {
    each.__name__: each
    for each in (dense, gate, join, reshape, pick, outer, convolve, pool, embed)
}
