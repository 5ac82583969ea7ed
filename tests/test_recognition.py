"""What was drawn from is not refuted more often than it is said, and what was not is refuted."""

import math

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from initializer_tables import weight_spec
from thorough import rows

import initlab
from initlab import initializers as I  # noqa: N812
from initlab import networks
from initlab.initializers.refutation import refute
from initlab.initializers.zoo import schemes
from initlab.types import ParamSpec, Role


def draws_of(sample, shape, seed=0):
    """References as `refute` asks for them."""
    return lambda first, count: sample(np.random.default_rng((seed, first)), (count, *shape))


def as_matrix(array):
    return array[None] if array.ndim == 2 else np.empty((0, 1, 1))


def haar(rng, shape):
    q, r = np.linalg.qr(rng.standard_normal(shape))
    return q * np.sign(np.diagonal(r, axis1=-2, axis2=-1))[..., None, :] * math.sqrt(shape[-1])


def cut(rng, shape):
    z = rng.standard_normal((8, *shape))
    first = np.argmax(np.abs(z) < 2, axis=0)
    return np.take_along_axis(z, first[None], 0)[0] / 0.87962566103423978


def mirrored(rng, shape):
    half = rng.standard_normal((*shape[:-2], shape[-2] // 2, shape[-1]))
    return np.concatenate([half, -half], axis=-2)


def few(rng, shape):
    return np.where(np.argsort(rng.random(shape), axis=-2) < 3, rng.standard_normal(shape), 0)


# all of variance 1 but the last two
SAMPLES = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "uniform": lambda rng, shape: rng.uniform(-(3**0.5), 3**0.5, shape),
    "cut": cut,
    "orthogonal": haar,
    "mirrored": mirrored,
    "zeros": lambda rng, shape: np.zeros(shape),
    "few": few,
}


def one_of(name, shape, seed):
    return SAMPLES[name](np.random.default_rng(seed), (1, *shape))[0]


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("normal", (30,)),
        ("uniform", (2,)),
        ("cut", (6, 6)),
        ("orthogonal", (6, 6)),
        ("few", (9, 4)),
    ],
)
def test_a_draw_of_the_scheme_is_refuted_no_more_often_than_the_level_says(name, shape):
    level, count = 0.1, 150
    refuted = sum(
        bool(
            refute(
                one_of(name, shape, seed),
                draws_of(SAMPLES[name], shape, seed + 1),
                as_matrix,
                level,
            )
        )
        for seed in range(count)
    )
    # Three standard errors over the level.
    assert refuted <= count * level + 3 * math.sqrt(count * level * (1 - level))


@pytest.mark.parametrize("own", SAMPLES)
def test_of_a_matrix_of_4096_entries_every_other_scheme_is_refuted(own):
    shape = (64, 64)
    weight = one_of(own, shape, 5)
    reasons = {
        name: refute(weight, draws_of(sample, shape), as_matrix, 1e-4)
        for name, sample in SAMPLES.items()
    }
    assert [name for name, reason in reasons.items() if not reason] == [own]
    # A tenth more in scale is told from 4096 entries, not from the 192 that are not zero in "few".
    if own not in ("zeros", "few"):
        same = draws_of(SAMPLES[own], shape)
        assert all(refute(f * weight, same, as_matrix, 1e-4)[:3] == "rms" for f in (0.9, 1.1))


SPECS = {
    "block_1": {
        "attention": {part: {"weight": weight_spec(64, 64)} for part in ("query", "key")}
        | {"output": {"weight": weight_spec(64, 64, role=Role.RESIDUAL)}},
        "mlp": {
            "layer_1": {"weight": weight_spec(64, 64), "bias": ParamSpec((64,), 64, 64, Role.BIAS)},
            "gate": ParamSpec((64,), 1, 1, Role.GATE),
        },
        "gates": {"bias": ParamSpec((4, 64), 64, 64, Role.BIAS)},
        "dt_bias": ParamSpec((64,), 1, 1, Role.BIAS),
        "A_log": ParamSpec((64, 64), 1, 64, Role.BIAS),
    },
    "readout": {"weight": weight_spec(64, 64, role=Role.READOUT)},
}


@pytest.mark.parametrize("name", rows(schemes(4), ()))
def test_every_scheme_is_recognized_among_its_own_draws(name):
    scheme = schemes(4)[name]
    specs = {"window": weight_spec(3, 8, 64)} if name in ("dirac", "delta_orthogonal") else SPECS
    if name in ("dirac", "delta_orthogonal", "looks_linear", "identity"):
        specs = {"weight": specs.get("window", weight_spec(64, 64))}
    params = initlab.initialize(jax.random.key(3), specs, scheme)
    found = I.recognize(params, specs, schemes={name: scheme, "other": I.normal(0.123)})
    assert found.schemes == (name,), str(found)


KNOWN = {
    name: schemes(1)[name]
    for name in ("he_normal", "lecun_normal", "torch_default", "flax_default", "haiku_default")
}


def of_flax():
    model = nn.Dense(64, param_dtype=jnp.float32)
    return model.init, model.apply


def of_haiku():
    model = hk.without_apply_rng(hk.transform(lambda x: hk.Linear(64)(x)))
    return model.init, model.apply


def of_equinox():
    def init(key, x):
        return eqx.filter(eqx.nn.Linear(64, 64, key=key), eqx.is_array)

    return init, lambda params, x: jax.vmap(params)(x)


FRAMEWORKS = {
    "flax_default": of_flax,
    "haiku_default": of_haiku,
    "torch_default": of_equinox,
}


@pytest.mark.parametrize("name", rows(FRAMEWORKS, {"haiku_default"}))
def test_a_frameworks_default_is_named(name):
    init, apply = FRAMEWORKS[name]()
    x = jnp.ones((2, 64))
    network = networks.adopt(lambda key: init(key, x), apply, x)
    params = init(jax.random.key(1), x)
    found = I.recognize(params, network.specs, schemes=KNOWN)
    assert found.schemes == (name,), str(found)
    trained = jax.tree.map(lambda w: w + 0.05 * jnp.sign(w), params)
    found = I.recognize(trained, network.specs, schemes=KNOWN)
    assert not found.schemes
    assert "no scheme of the table" in str(found)


@pytest.mark.thorough
def test_low_precision_and_slices_are_compared_as_they_are():
    stack = ("block_1/end", "block_2/end")
    spec = ParamSpec((2, 64, 64), 64, 64, Role.RESIDUAL, jnp.bfloat16, stack=stack)
    scheme = I.depth_indexed()
    params = initlab.initialize(jax.random.key(1), {"ends": spec}, scheme)
    found = I.recognize(params, {"ends": spec}, schemes={"by depth": scheme, "gpt2": I.gpt2(2)})
    assert [each.path for each in found.weights] == list(stack)
    assert found.schemes == ("by depth",)
    # The first block's are as large as gpt2's, of two branches, but cut at 3 std.
    assert found.weights[1].refuted["gpt2"].startswith("rms 0.00")


def test_what_few_entries_cannot_tell_apart_is_listed():
    spec = {"w": weight_spec(3, 2)}
    params = initlab.initialize(jax.random.key(2), spec, I.he_normal())
    known = {name: KNOWN[name] for name in ("he_normal", "lecun_normal")}
    found = I.recognize(params, spec, schemes=known)
    assert set(found.schemes) >= {"he_normal", "lecun_normal"}
    assert set(found.weights[0].shapes) >= {"normal", "uniform"}


def test_bad_requests():
    spec = {"w": weight_spec(3, 2)}
    for message, call in {
        "level must be over 0 and under 1, got 1": lambda: I.recognize(
            {"w": np.ones((3, 2), "f")}, spec, level=1
        ),
        "schemes must hold at least one": lambda: I.recognize(
            {"w": np.ones((3, 2), "f")}, spec, schemes={}
        ),
        r"params\['w'\] must be finite": lambda: I.recognize(
            {"w": np.full((3, 2), np.nan, "f")}, spec
        ),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()
