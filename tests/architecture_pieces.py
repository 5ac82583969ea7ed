"""Layers that random architectures are made of: `(net, h) -> h`, examples first in h."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def any_axis(net, h):
    return net.choice(range(1, h.ndim))


def made_last(net, h):
    """Some axis moved to the end, and the way back."""
    axis = any_axis(net, h)
    return jnp.moveaxis(h, axis, -1), lambda after: jnp.moveaxis(after, -1, axis)


def along(h, axis, leaf):
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
    leaf = net.leaf(*h.shape[1:])[None] if axis == 0 else along(h, axis, net.leaf(h.shape[axis]))
    return h + leaf if net.chance() else h * leaf


def square_dense(net, h):
    h, back = made_last(net, h)
    return back(h @ net.leaf(h.shape[-1], h.shape[-1]) / h.shape[-1] ** 0.5)


def dense(net, h):
    """A product over one or two axes, the operands in either order, the result's axes in any."""
    axes = sorted({any_axis(net, h), any_axis(net, h)})
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
        out = out + along(out, -1, net.leaf(size))
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


def _heads(net, h, size, heads):
    """Queries, keys and values [B, T, H, e], their weights apart or in one, in several layouts."""
    model = h.shape[-1]
    kind = net.choice(("apart", "split", "reshape", "inside", "merged"))
    if kind == "apart":
        return [jnp.einsum("btd,dhe->bthe", h, net.leaf(model, heads, size)) for _ in range(3)]
    if kind == "merged":
        return [
            (h @ net.leaf(model, heads * size)).reshape(*h.shape[:2], heads, size) for _ in range(3)
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
    h, back = made_last(net, h)
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


def convolve(net, h):
    """Convolutions over one or two axes: strided, dilated, grouped, depthwise, transposed."""
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
    image, places, first = ("NHC", "HIO", "NCH") if planes == 1 else ("NHWC", "HWIO", "NCHW")
    if net.chance(4) and groups == 1:
        return lax.conv_transpose(
            h, kernel, [2] * planes, "SAME", dimension_numbers=(image, places, image)
        )
    if net.chance(4):
        h, image = jnp.moveaxis(h, -1, 1), first
    return lax.conv_general_dilated(
        h,
        kernel,
        [net.choice((1, 2))] * planes,
        "SAME",
        rhs_dilation=[net.choice((1, 2))] * planes,
        dimension_numbers=(image, places, net.choice((image, first))),
        feature_group_count=groups,
    )


def pool(net, h):
    """Maxima and means over windows, or over a whole axis."""
    axis = any_axis(net, h)
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
    axis = any_axis(net, h)
    out = jnp.tensordot(h, net.leaf(h.shape[axis], 2), (axis, 0))
    return jnp.sum(out, [n for n in range(1, out.ndim - 1) if net.chance()])


PRESERVING = {
    each.__name__: each
    for each in (activate, shift, square_dense, norm, residual, wide_residual, attention)
}
RESHAPING = {each.__name__: each for each in (dense, gate, convolve, pool, embed)}
