"""What random architectures do to the axes of h between their layers: `(net, h) -> h`."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from architecture_pieces import along, any_axis, made_last
from jax import lax

NOISE = 400
"""More entries than an array of a random architecture has."""


def ordered(net, h):
    """What depends on the order along an axis."""
    axis = any_axis(net, h)
    size = h.shape[axis]
    kind = net.choice(
        (
            *("cumsum", "cumprod", "cummax", "cumlogsumexp", "sort", "rev", "roll", "top_k"),
            *("argmax", "argsort", "shuffle", "fft"),
        )
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


def _noise(shape):
    """Noise of any shape, drawn in one: an interpreter then compiles it once."""
    noise = jax.random.uniform(jax.random.key(0), (NOISE,))
    return noise[: math.prod(shape)].reshape(shape)


def position(net, h):
    """Arrays made in the program: sines of positions, masks, constants that vary or not."""
    axis = any_axis(net, h)
    size = h.shape[axis]
    rng = np.random.default_rng(size)
    kind = net.choice(("sines", "mask", "constant", "alike", "noise", "rotary", "dropout"))
    if kind == "sines":
        return h + along(h, axis, jnp.sin(jnp.arange(size, dtype=h.dtype)))
    if kind == "mask":
        keep = jnp.tril(jnp.ones(h.shape[-2:], bool))
        return jnp.where(jnp.broadcast_to(keep, h.shape), h, -1.0)
    if kind == "constant":
        return h + along(h, axis, rng.standard_normal(size))
    if kind == "alike":
        shape = [size if n == axis else 1 for n in range(h.ndim)]
        return h * np.broadcast_to(rng.standard_normal(size).reshape(shape), h.shape)
    if kind == "noise":
        return h + _noise(h.shape)
    if kind == "dropout":
        return h * (1.0 + (_noise(h.shape[1:])[None] < 0.5))
    h, back = made_last(net, h)
    if h.shape[-1] % 2:
        return back(h)
    first, second = jnp.split(h, 2, -1)
    angle = jnp.broadcast_to(jnp.arange(first.shape[-1], dtype=h.dtype), first.shape)
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    return back(
        jnp.concatenate([first * cosine - second * sine, second * cosine + first * sine], -1)
    )


def chosen(net, h):
    """Two layers of the expert that data choose for each example, mixed up on the way or not."""
    size, hidden, count = h.shape[-1], net.choice((2, 3)), 3
    sums = jnp.sum(h.reshape(h.shape[0], -1), 1)
    which = jnp.floor(7 * jnp.abs(sums)).astype(int) % count
    first, second = net.leaf(count, size, hidden), net.leaf(count, hidden, size)
    h = jnp.tanh(jnp.einsum("b...i,bij->b...j", h, first[which]))
    kind = net.choice(("kept", "kept", "reversed", "sorted", "another", "centred"))
    if kind == "reversed":
        h = h[::-1]
    elif kind == "sorted":
        h = h[jnp.argsort(sums)]
    elif kind == "another":
        which = (which + 1) % count
    elif kind == "centred":
        h = h - jnp.mean(h, 0, keepdims=True)
    return jnp.einsum("b...i,bij->b...j", h, second[which])


def packed(net, h):
    """Three layers in one matrix, in one layout or another, taken apart behind it."""
    size = net.choice((2, 3))
    z = h @ net.leaf(h.shape[-1], 3 * size)
    if net.chance():
        a, b, c = jnp.moveaxis(z.reshape(*z.shape[:-1], 3, size), -2, 0)
    else:
        a, b, c = jnp.moveaxis(z.reshape(*z.shape[:-1], size, 3), -1, 0)
    return jnp.tanh(a) * b + c if net.chance() else jnp.concatenate([a * b, jnp.sin(c)], -1)


def write(net, h):
    """Windows written to places that the program or the data name."""
    axis = any_axis(net, h)
    h, back = made_last(net, h)
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


def join(net, h):
    """Two streams, the input, or constants, end to end or one above the other."""
    axis = any_axis(net, h)
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
        axis = any_axis(net, h)
        return h.reshape(*h.shape[:axis], -1, *h.shape[axis + 2 :])
    if kind == "divide":
        axis, by = any_axis(net, h), net.choice((2, 3))
        if h.shape[axis] % by:
            return h
        parts = (by, h.shape[axis] // by)
        return h.reshape(*h.shape[:axis], *parts[:: net.choice((1, -1))], *h.shape[axis + 1 :])
    if kind == "across":
        entries = h.size // h.shape[0]
        first = net.choice([n for n in range(1, entries + 1) if entries % n == 0])
        return h.reshape(h.shape[0], first, -1)
    if kind == "swap":
        return jnp.swapaxes(h, any_axis(net, h), any_axis(net, h))
    if kind == "tile":
        return jnp.tile(h, [1 if n != h.ndim - 1 else 2 for n in range(h.ndim)])
    if kind == "repeat":
        return jnp.repeat(h, 2, any_axis(net, h))
    return jnp.expand_dims(h, net.choice(range(1, h.ndim + 1)))


def pick(net, h):
    """A piece of an axis, or padding around it."""
    axis = any_axis(net, h)
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
    h, back = made_last(net, h)
    pairs = h[..., :, None] * h[..., None, :]
    if net.chance():
        return back(pairs.reshape(*h.shape[:-1], -1))
    return pairs + jnp.swapaxes(pairs, -1, -2) if net.chance() else pairs @ h[..., :, None]


PRESERVING = {each.__name__: each for each in (ordered, position, chosen, write)}
RESHAPING = {each.__name__: each for each in (join, reshape, pick, outer, packed)}
