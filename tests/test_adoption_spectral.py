"""How adopt reads complex weights of Fourier neural operators, and experts of sorted tokens."""

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from initlab import checks, networks


@pytest.fixture(autouse=True)
def _as_users_have_it():
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


def _facts(network):
    leaves, _ = jax.tree_util.tree_flatten_with_path(network.specs)
    return {
        checks.path_name(path): (s.role.value, s.fan_in, s.fan_out, s.members) for path, s in leaves
    }


def _read(apply, x, **shapes):
    network = networks.adopt(
        lambda key: {name: jnp.ones(shape) for name, shape in shapes.items()}, apply, x
    )
    assert not network.doubts
    return _facts(network)


def _lowest(h, weight):
    """A matrix for each of the lowest modes along the axes before the channels, set among zeros."""
    modes = weight.shape[2:]
    axes = tuple(range(1, h.ndim - 1))
    spectrum = jnp.fft.rfftn(h, axes=axes)
    window = (slice(None), *(slice(size) for size in modes))
    letters = "xyz"[: len(axes)]
    product = jnp.einsum(f"b{letters}i,io{letters}->b{letters}o", spectrum[window], weight)
    out = jnp.zeros((*spectrum.shape[:-1], weight.shape[1]), spectrum.dtype).at[window].set(product)
    return jnp.fft.irfftn(out, s=h.shape[1:-1], axes=axes)


def _operator(p, x):
    h = x @ p["in"] + p["b"]
    h = jax.nn.gelu(_lowest(h, p["re"] + 1j * p["im"]) + h @ p["skip"] + p["c"])
    h = h + _lowest(jnp.tanh(h), jax.lax.complex(p["re_2"], p["im_2"]))
    return jnp.tanh(h @ p["mid"]) @ p["out"]


@pytest.mark.quick
@pytest.mark.parametrize("modes", [(5,), (3, 2), (2, 3, 2)])
def test_each_mode_has_a_matrix(modes):
    x = jnp.ones((2, *(2 * size + 1 for size in modes), 3))
    places = tuple(range(2, 2 + len(modes)))
    facts = _read(
        _operator,
        x,
        **{"in": (3, 8), "b": (8,), "re": (8, 6, *modes), "im": (8, 6, *modes), "skip": (8, 6)},
        **{"c": (6,), "re_2": (6, 6, *modes), "im_2": (6, 6, *modes), "mid": (6, 5), "out": (5, 1)},
    )
    assert facts == {
        "in": ("input", 3, 8, ()),
        "b": ("bias", 3, 8, ()),
        **dict.fromkeys(("re", "im"), ("weight", 8, 6, places)),
        "skip": ("weight", 8, 6, ()),
        # Of both products, which are one sum over their inputs.
        "c": ("bias", 16, 6, ()),
        **dict.fromkeys(("re_2", "im_2"), ("residual", 6, 6, places)),
        "mid": ("weight", 6, 5, ()),
        "out": ("readout", 5, 1, ()),
    }


def _by_parts(p, spectrum):
    """Products of real parts alone, padded with zeros."""
    low = spectrum[..., :2, :3]
    product = lambda a, b: jnp.einsum("bixy,ioxy->boxy", a, b)  # noqa: E731
    real = product(low.real, p["w"][0]) - product(low.imag, p["w"][1])
    imaginary = product(low.real, p["w"][1]) + product(low.imag, p["w"][0])
    return jnp.pad(jax.lax.complex(real, imaginary), [(0, 0), (0, 0), (0, 4), (0, 1)])


def _both_corners(p, spectrum):
    """Low and high modes along the first axis, each with its weights."""
    low = jnp.einsum("bixy,xyio->boxy", spectrum[..., :2, :3], p["v"][..., 0] + 1j * p["v"][..., 1])
    high = jnp.einsum("bixy,xyio->boxy", spectrum[..., -2:, :3], p["u"][0] - 1j * p["u"][1])
    rows = jnp.concatenate([low, jnp.zeros((2, 4, 2, 3)), high], 2)
    return jnp.concatenate([rows, jnp.zeros((2, 4, 6, 1))], 3)


def _bias_behind(layer):
    def apply(p, x):
        h = jnp.moveaxis(x @ p["in"], -1, 1)
        h = jnp.fft.irfft2(layer(p, jnp.fft.rfft2(h)), s=(6, 6)) + p["b"][:, None, None]
        return jnp.tanh(h).mean((2, 3)) @ p["out"]

    return apply


@pytest.mark.quick
def test_parts_packed_into_one_parameter():
    x, ends = jnp.ones((2, 6, 6, 3)), {"in": (3, 8), "b": (4,), "out": (4, 2)}
    facts = _read(_bias_behind(_by_parts), x, w=(2, 8, 4, 2, 3), **ends)
    assert facts["w"] == ("weight", 8, 4, (3, 4))
    # Each part of the result sums over both parts of the inputs.
    assert facts["b"] == ("bias", 16, 4, ())
    facts = _read(_bias_behind(_both_corners), x, v=(2, 3, 8, 4, 2), u=(2, 2, 3, 8, 4), **ends)
    assert facts["v"] == ("weight", 8, 4, (0, 1))
    assert facts["u"] == ("weight", 8, 4, (1, 2))
    assert facts["b"] == ("bias", 8, 4, ())


def test_a_sum_of_two_real_parameters_is_still_in_doubt():
    network = networks.adopt(
        lambda key: {"a": jnp.ones((3, 4)), "b": jnp.ones((3, 4)), "o": jnp.ones((4, 1))},
        lambda p, x: x @ (p["a"] + p["b"]) @ p["o"],
        jnp.ones((2, 3)),
    )
    assert set(network.doubts) == {"a", "b"}


class _LinenLayer(nn.Module):
    @nn.compact
    def __call__(self, h):
        width = h.shape[-1]
        init = nn.initializers.normal(1 / width**2)
        parts = [self.param(name, init, (width, width, 3)) for name in ("real", "imaginary")]
        return nn.gelu(_lowest(h, jax.lax.complex(*parts)) + nn.Dense(width)(h))


class _LinenOperator(nn.Module):
    @nn.compact
    def __call__(self, x):
        h = nn.Dense(8)(x)
        for _ in range(2):
            h = _LinenLayer()(h)
        return nn.Dense(1)(h)


class _EquinoxLayer(eqx.Module):
    """One example, its channels first."""

    real: jax.Array
    imaginary: jax.Array
    bypass: eqx.nn.Conv1d

    def __init__(self, width, key):
        self.real, self.imaginary = jax.random.normal(key, (2, width, width, 3))
        self.bypass = eqx.nn.Conv1d(width, width, 1, key=key)

    def __call__(self, h):
        spectrum = jnp.fft.rfft(h)
        product = jnp.einsum("im,iom->om", spectrum[:, :3], self.real + 1j * self.imaginary)
        spectral = jnp.fft.irfft(jnp.zeros_like(spectrum).at[:, :3].set(product), h.shape[-1])
        return jax.nn.gelu(spectral + self.bypass(h))


def test_operators_of_frameworks():
    x, module = jnp.ones((2, 9, 2)), _LinenOperator()
    network = networks.adopt(lambda key: module.init(key, x), module.apply, x)
    assert not network.doubts
    facts = _facts(network)
    for part in ("real", "imaginary"):
        assert facts[f"params/_LinenLayer_1/{part}"] == ("weight", 8, 8, (2,))

    def make(key):
        return [eqx.nn.Conv1d(2, 8, 1, key=key), *(_EquinoxLayer(8, key) for _ in range(2))]

    def init(key):
        return eqx.filter(make(key), eqx.is_inexact_array)

    # Of shapes alone: nothing is drawn.
    shape = eqx.filter_eval_shape(make, jax.random.key(0))
    static = eqx.filter(shape, lambda leaf: not isinstance(leaf, jax.ShapeDtypeStruct))

    def apply(params, x):
        model = eqx.combine(params, static)
        return jax.vmap(lambda h: model[2](model[1](model[0](h))).mean())(x)

    network = networks.adopt(init, apply, jnp.ones((2, 2, 9)))
    assert not network.doubts
    facts = _facts(network)
    assert facts["1/real"] == facts["2/imaginary"] == ("weight", 8, 8, (2,))


def _sorted_experts(p, x):
    h = x @ p["in"]
    expert = jnp.argmax(h @ p["router"], -1)
    order, sizes = jnp.argsort(expert), jnp.bincount(expert, length=p["router"].shape[1])
    y = jax.lax.ragged_dot(
        jax.nn.relu(jax.lax.ragged_dot(h[order], p["up"], sizes)), p["down"], sizes
    )
    return (h + jnp.zeros_like(y).at[order].set(y)) @ p["out"]


class _LinenExperts(nn.Module):
    @nn.compact
    def __call__(self, x):
        h = nn.Dense(8)(x)
        shapes = {"up": (4, 8, 16), "down": (4, 16, 8)}
        p = {n: self.param(n, nn.initializers.lecun_normal(), s) for n, s in shapes.items()}
        sizes = jnp.asarray([2, 0, 3, 1])
        y = jax.lax.ragged_dot(h, p["up"], sizes)
        return nn.Dense(1)(jax.lax.ragged_dot(nn.relu(y), p["down"], sizes))


@pytest.mark.quick
@pytest.mark.parametrize(("count", "width", "wide"), [(4, 8, 16), (3, 3, 5), (8, 8, 8)])
def test_experts_of_sorted_tokens_are_members(count, width, wide):
    facts = _read(
        _sorted_experts,
        jnp.ones((6, 2)),
        **{"in": (2, width), "router": (width, count), "up": (count, width, wide)},
        **{"down": (count, wide, width), "out": (width, 2)},
    )
    assert facts["up"] == ("weight", width, wide, (0,))
    assert facts["down"] == ("weight", wide, width, (0,))
    assert facts["router"] == ("weight", width, count, ())


def test_experts_laid_otherwise():
    sizes = jnp.asarray([2, 3, 1])
    known = {"u": ("input", 2, 5, (2,)), "o": ("readout", 5, 1, ())}
    apply = lambda p, x: jax.lax.ragged_dot(x, p["u"].T, sizes) @ p["o"]  # noqa: E731
    assert _read(apply, jnp.ones((6, 2)), u=(5, 2, 3), o=(5, 1)) == known
    x, module = jnp.ones((6, 2)), _LinenExperts()
    network = networks.adopt(lambda key: module.init(key, x), module.apply, x)
    assert not network.doubts
    facts = _facts(network)
    assert facts["params/up"] == ("weight", 8, 16, (0,))
    assert facts["params/down"] == ("weight", 16, 8, (0,))
