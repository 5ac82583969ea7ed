"""Pieces of random architectures that hold programs: loops, branches, `vmap`, gradients."""

import jax
import jax.numpy as jnp
from jax import lax


def _state(net, h):
    """A sequence [T, B, d] along some axis of h."""
    axis = net.choice(range(1, h.ndim))
    steps = jnp.moveaxis(h, axis, 0)
    return steps.reshape(*steps.shape[:2], -1)


def recurrent(net, h):
    """A plain, a gated or a long short-term memory cell along an axis; its last state or all."""
    steps = _state(net, h)
    size = net.choice((2, 3, 4))
    kind = net.choice(("plain", "joint", "gru", "lstm", "lstm_matrix"))
    gates = {"plain": 1, "joint": 1, "gru": 3}.get(kind, 4)
    if kind == "joint":
        weight = net.leaf(steps.shape[-1] + size, size)
    else:
        into, across = net.leaf(steps.shape[-1], gates * size), net.leaf(size, gates * size)

    def cell(state, x):
        h, c = state
        if kind == "joint":
            h = jnp.tanh(jnp.concatenate([x, h], -1) @ weight)
            return (h, c), h
        if kind == "gru":
            zr, own = jnp.split(x @ into, (2 * size,), -1)
            z, r = jnp.split(jax.nn.sigmoid(zr + h @ across[:, : 2 * size]), 2, -1)
            h = z * h + (1 - z) * jnp.tanh(own + (r * h) @ across[:, 2 * size :])
            return (h, c), h
        a = x @ into + h @ across
        if kind == "plain":
            h = jnp.tanh(a)
            return (h, c), h
        if kind == "lstm":
            i, f, g, o = jnp.split(a, 4, -1)
        else:
            i, f, g, o = jnp.moveaxis(a.reshape(a.shape[0], 4, size), 1, 0)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    first = jnp.zeros((steps.shape[1], size))
    if net.chance():
        first = jnp.broadcast_to(net.leaf(size), first.shape)
    (last, _), states = lax.scan(cell, (first, first), steps, reverse=net.chance())
    return last if net.chance() else jnp.moveaxis(states, 0, 1)


def scanned_layers(net, h):
    """One net several times over, its parameters stacked; each layer recomputed or not."""
    layer = net.inner(h.shape)
    leaves = net.leaves(layer, 2)
    apply = jax.checkpoint(layer.apply) if net.chance() else layer.apply
    if not leaves:
        return lax.scan(lambda h, _: (jnp.tanh(apply({}, h)), None), h, length=2)[0]
    return lax.scan(lambda h, leaf: (jnp.tanh(apply(leaf, h)), None), h, leaves)[0]


def carried_layers(net, h):
    """Dense layers of one width without a residual sum, each taken from a stack in its turn."""
    size = h.shape[-1]
    w = net.leaf(net.choice((2, 3)), size, size)
    kind = net.choice(("scan", "backwards", "counter", "written"))
    if kind == "counter":
        return lax.fori_loop(0, len(w), lambda n, h: jnp.tanh(h @ w[n]), h)
    if kind == "written":
        for number in range(len(w)):
            h = jnp.tanh(h @ w[number])
        return h
    return lax.scan(lambda h, w: (jnp.tanh(h @ w), None), h, w, reverse=kind == "backwards")[0]


def repeated(net, h):
    """One net several times over, with the same parameters."""
    layer = net.inner(h.shape)
    leaves = net.leaves(layer)
    return lax.fori_loop(0, 2, lambda _, h: jnp.tanh(layer.apply(leaves, h)), h)


def until(net, h):
    """One net for as long as the data say."""
    layer = net.inner(h.shape, 1)
    leaves = net.leaves(layer)

    def body(state):
        number, h = state
        return number + 1, jnp.tanh(layer.apply(leaves, h))

    def more(state):
        number, h = state
        return (number < 3) & (jnp.sum(h**2) > 0.5)

    return lax.while_loop(more, body, (0, h))[1]


def branch(net, h):
    """One of two nets."""
    one, other = net.inner(h.shape, 1), net.inner(h.shape, 1)
    leaves = net.leaves(one), net.leaves(other)
    return lax.cond(
        jnp.sum(h if net.chance() else net.x) > 0,
        lambda h: one.apply(leaves[0], h),
        lambda h: other.apply(leaves[1], h),
        h,
    )


def ensemble(net, h):
    """Several nets side by side, on a new axis or summed; or one net along an axis."""
    if net.chance():
        layer = net.inner(h.shape)
        leaves = net.leaves(layer, 3)
        if not leaves:
            return h
        out = jax.vmap(layer.apply, (0, None), 1)(leaves, h)
        return jnp.sum(out, 1) if net.chance() else out
    h = h[..., None] if h.ndim == 2 else h
    axis = net.choice(range(1, h.ndim))
    layer = net.inner([size for n, size in enumerate(h.shape) if n != axis])
    return jax.vmap(layer.apply, (None, axis), axis)(net.leaves(layer), h)


def descend(net, h):
    """A step down the slope of an energy, with respect to h."""
    layer = net.inner(h.shape)
    leaves = net.leaves(layer)
    return h - 0.1 * jax.grad(lambda h: jnp.sum(jnp.sin(layer.apply(leaves, h))))(h)


PRESERVING = {
    each.__name__: each for each in (scanned_layers, carried_layers, repeated, branch, descend)
}
RESHAPING = {each.__name__: each for each in (recurrent, ensemble, until)}
