"""Each rule by a small program whose groups are known; a rule without one fails."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from elementwise_cases import ELEMENTWISE_CASES, LACKING
from jax import lax
from jax.extend.random import threefry_2x32
from known_groups import groups_as_read, read_groups
from loop_cases import LOOP_CASES

from initlab import symmetry as sy
from initlab.programs.primitives import CONTROL
from initlab.symmetry.primitive_rules import RULES
from initlab.symmetry.rule_types import fresh

BY_HAND = ("call", "checkpoint", "closed_call", "pjit", "pvary", "reshard", "sharding_constraint")
"""What no program of this version on one device shows: rules called by themselves."""

ONE = {"b": (4, 2)}
HIDDEN = "4: a 1, b 0"
"""The units of the hidden layer, and nothing else."""


def _windows(reduce, initial):
    return lambda z, b: (
        lax.reduce_window(z[:, None], initial, reduce, (1, 2, 1), (1, 1, 1), "SAME")[:, 0] @ b
    )


def _gated(u, v):
    return u * jax.nn.sigmoid(v)


def _key(z, b):
    return jax.random.key_data(jax.random.key(0)).astype(z.dtype).sum() * z @ b


def _noise(draw):
    """Noise fixes the axes that it is drawn for."""
    return lambda z, b: (z + draw(jax.random.key(0))[None]) @ b


def _gradient_of_a_branch(z, b):
    def energy(z):
        branches = (lambda z: jnp.sum(jnp.sin(z))), (lambda z: jnp.sum(z * z))
        return lax.cond(jnp.sum(z) > 0, *branches, z)

    return jax.grad(energy)(z) @ b


# By primitive: the function of z = x @ a [2, 4], its groups, and the shapes of other parameters.
CASES = {
    "argmax": (
        lambda z, b, c: (jnp.argmax(z, 0).astype(z.dtype) @ b, jnp.argmax(z @ c, 1)),
        "4: a 1, b 0, c 0",
        {"b": (4, 2), "c": (4, 3)},
    ),
    "argmin": (lambda z, b: lax.argmin(z @ b, 1, jnp.int32), HIDDEN, ONE),
    "bitcast_convert_type": (
        lambda z, b: (
            lax.bitcast_convert_type(
                lax.bitcast_convert_type(lax.bitcast_convert_type(z, jnp.int16), jnp.int32),
                jnp.float32,
            )
            @ b
        ),
        HIDDEN,
        ONE,
    ),
    "broadcast_in_dim": (
        lambda z, b, c: (z + jnp.broadcast_to(c[None, :], (2, 4))) @ b,
        "4: a 1, b 0, c 0",
        {"b": (4, 2), "c": (4,)},
    ),
    "concatenate": (
        lambda z, b, c: jnp.concatenate([z, jnp.broadcast_to(c[None], (2, 3)), z], 1) @ b,
        "4: a 1, b 0[1,4,1], b 0[7:1,4,1]; 3: c 0, b 0[4:1,3,1]",
        {"b": (11, 2), "c": (3,)},
    ),
    "conv_general_dilated": (
        lambda z, k, d, b: (
            lax.conv_general_dilated(
                lax.conv_general_dilated(
                    z[:, None, :], k, (1,), "SAME", dimension_numbers=("NHC", "HIO", "NHC")
                ),
                d,
                (2,),
                "SAME",
                dimension_numbers=("NHC", "HIO", "NHC"),
                feature_group_count=3,
            )[:, 0]
            @ b
        ),
        "4: a 1, k 1; 3: k 2, d 2[1,3,2], b 0[1,3,2]; 2: d 2[3,2,1], b 0[3,2,1]",
        {"k": (3, 4, 3), "d": (2, 1, 6), "b": (6, 2)},
    ),
    "cumlogsumexp": (lambda z, b: lax.cumlogsumexp(z @ b, 1), HIDDEN, ONE),
    "cummax": (lambda z, b: lax.cummax(z, 0) @ b, HIDDEN, ONE),
    "cummin": (lambda z, b: lax.cummin(z, 1) @ b, "", ONE),
    "cumprod": (lambda z, b: lax.cumprod(z, 1) @ b, "", ONE),
    "fft": (
        lambda z, b: jnp.fft.irfft(jnp.fft.rfft(jnp.sin(z), axis=0), 2, axis=0) @ b,
        HIDDEN,
        ONE,
    ),
    "fft along units": (lambda z, b: jnp.fft.fft(z).real @ b, "", ONE),
    "cumsum": (lambda z, b: lax.cumsum(z, 1) @ b, "", ONE),
    "dot_general": (
        lambda z, b, c: jnp.einsum("nu,uhk,uhj->nkj", z, b, c),
        "4: a 1, b 0, c 0; 3: b 1, c 1",
        {"b": (4, 3, 2), "c": (4, 3, 2)},
    ),
    "dynamic_slice": (
        lambda z, b, c: z @ b + lax.dynamic_slice(c, (jnp.argmax(z.sum(1)), 0), (1, 2)),
        HIDDEN,
        {"b": (4, 2), "c": (3, 2)},
    ),
    "dynamic_update_slice": (
        lambda z, b, c: lax.dynamic_update_slice(z, c, (1, 0)) @ b,
        "4: a 1, b 0, c 1",
        {"b": (4, 2), "c": (1, 4)},
    ),
    "empty": (lambda z, b: (z + 0 * lax.empty((4,), z.dtype)[None]) @ b, "", ONE),
    "empty2": (_gradient_of_a_branch, HIDDEN, ONE),
    "gather": (
        lambda z, b, c: z @ c[jnp.argmax(z @ b, 1)].T,
        "4: a 1, b 0, c 1",
        {"b": (4, 3), "c": (3, 4)},
    ),
    "iota": (
        lambda z, b, c: (z @ b + lax.broadcasted_iota(z.dtype, (2, 6), 1)) @ c,
        HIDDEN,
        {"b": (4, 6), "c": (6, 2)},
    ),
    "pad": (
        lambda z, b: lax.pad(z, 0.0, ((0, 0, 0), (2, 3, 0))) @ b,
        "4: a 1, b 0[2:1,4,1]; 2: b 0[1,2,1]; 3: b 0[6:1,3,1]",
        {"b": (9, 2)},
    ),
    "platform_index": (
        lambda z, b: lax.platform_dependent(z, cpu=jnp.tanh, default=jnp.sin) @ b,
        HIDDEN,
        ONE,
    ),
    "random_bits": (_noise(lambda key: jax.random.uniform(key, (4,))), "", ONE),
    "random_clone": (_noise(lambda key: jax.random.uniform(jax.random.clone(key), (4,))), "", ONE),
    "random_fold_in": (
        _noise(lambda key: jax.random.uniform(jax.random.fold_in(key, 1), (4,))),
        "",
        ONE,
    ),
    "random_gamma": (_noise(lambda key: jax.random.gamma(key, jnp.ones(4))), "", ONE),
    "random_seed": (_noise(lambda _: jax.random.uniform(jax.random.key(7), (4,))), "", ONE),
    "random_split": (
        _noise(lambda key: jax.random.uniform(jax.random.split(key)[1], (4,))),
        "",
        ONE,
    ),
    "random_unwrap": (_key, HIDDEN, ONE),
    "random_wrap": (_noise(lambda _: jax.random.uniform(jax.random.PRNGKey(7), (4,))), "", ONE),
    "reduce": (
        lambda z, b: lax.reduce(z[:, None], 0.0, lambda u, v: u + 2 * v, (1,)) @ b,
        HIDDEN,
        ONE,
    ),
    "reduce_and": (lambda z, b: jnp.all(z @ b > 0, 1), HIDDEN + "; 2: b 1", ONE),
    "reduce_max": (lambda z, b: jnp.max(z, 1) * jnp.max(b), "4: a 1; 8: b 0", {"b": (8,)}),
    "reduce_min": (lambda z, b: jnp.min(z, 0) @ b, HIDDEN, ONE),
    "reduce_or": (lambda z, b: jnp.any(z[:, :, None] > b[None], 1), HIDDEN, ONE),
    "reduce_prod": (lambda z, b: jnp.prod(z @ b, 1), HIDDEN + "; 2: b 1", ONE),
    "reduce_sum": (lambda z, b: jnp.sum(z[:, :, None] * b[None], 1), HIDDEN, ONE),
    "reduce_window": (_windows(lambda u, v: u + v + u * v, 0.0), HIDDEN, ONE),
    "reduce_window_max": (_windows(lax.max, -np.inf), HIDDEN, ONE),
    "reduce_window_min": (_windows(lax.min, np.inf), HIDDEN, ONE),
    "reduce_window_sum": (_windows(lax.add, 0.0), HIDDEN, ONE),
    "reduce_xor": (
        lambda z, b: lax.reduce_xor((z @ b).astype(int), (1,)),
        HIDDEN + "; 2: b 1",
        ONE,
    ),
    "reshape": (
        lambda z, b, c: ((z @ b).reshape(2, 3, 4) * c[None, None]).reshape(4, 6),
        HIDDEN,
        {"b": (4, 12), "c": (4,)},
    ),
    "rev": (lambda z, b: jnp.flip(z, 1) @ b, "", ONE),
    "rng_bit_generator": (
        _noise(
            lambda _: lax.rng_bit_generator(jnp.zeros(4, jnp.uint32), (4,))[1].astype(jnp.float32)
        ),
        "",
        ONE,
    ),
    "scatter": (
        lambda z, b, c: jnp.zeros((2, 3, 4)).at[:, 1].set(z * c[None]).sum(1) @ b,
        "4: a 1, b 0, c 0",
        {"b": (4, 2), "c": (4,)},
    ),
    "scatter-add": (
        lambda z, b: jnp.zeros((2, 3)).at[:, jnp.zeros(4, int)].add(z) @ b,
        "4: a 1",
        {"b": (3, 2)},
    ),
    "scatter-max": (lambda z, b: z.at[0].max(0.5) @ b, HIDDEN, ONE),
    "scatter-min": (lambda z, b: z.at[:, 1].min(0.5) @ b, "", ONE),
    "scatter-mul": (lambda z, b: z.at[1].multiply(b[:, 0]) @ b, HIDDEN, ONE),
    "scatter-sub": (lambda z, b: z.at[1].subtract(b[:, 0]) @ b, HIDDEN, ONE),
    "select_and_gather_add": (
        lambda z, b: jax.jvp(_windows(lax.max, -np.inf), (z, b), (jnp.cos(z), jnp.sin(b)))[1],
        HIDDEN,
        ONE,
    ),
    "select_and_scatter_add": (
        lambda z, b: jax.grad(lambda z: jnp.sum(_windows(lax.max, -np.inf)(z, b)))(z) @ b,
        HIDDEN,
        ONE,
    ),
    "slice": (
        lambda z, b, c: z[:, :1] @ b + z[:, 1:] @ c,
        "3: a 1[1:1,3,1], c 0",
        {"b": (1, 2), "c": (3, 2)},
    ),
    "sort": (lambda z, b: (jnp.sort(z, 0) @ b, jnp.sort(z @ b, 1)), HIDDEN, ONE),
    "split": (
        lambda z, b: _gated(*jnp.split(z, 2, 1)) @ b,
        "2: a 1[2,2,1], b 0",
        {"b": (2, 2)},
    ),
    "squeeze": (lambda z, b: lax.squeeze(z[:, None], (1,)) @ b, HIDDEN, ONE),
    "stack": (
        lambda z, b, c: jnp.einsum("nus,us->n", jnp.stack([z, z * c[None]], 2), b),
        "4: a 1, b 0, c 0",
        {"b": (4, 2), "c": (4,)},
    ),
    "threefry2x32": (
        _noise(
            lambda _: threefry_2x32(jnp.zeros(2, jnp.uint32), jnp.zeros(4, jnp.uint32)).astype(
                jnp.float32
            )
        ),
        "",
        ONE,
    ),
    "tile": (
        lambda z, b: jnp.tile(z, (1, 3)) @ b,
        "4: a 1, b 0[3,4,1]; 3: b 0[1,3,4]",
        {"b": (12, 2)},
    ),
    "top_k": (
        lambda z, b: (lax.top_k(z, 2, axis=0)[0] @ b, lax.top_k(z @ b, 1)[0]),
        HIDDEN,
        ONE,
    ),
    "transpose": (lambda z, b: jnp.sum(z.T @ z, 0) @ b, HIDDEN, ONE),
    "unstack": (
        lambda z, b: (jnp.unstack(z, axis=0)[1] @ b, jnp.unstack(z @ b, axis=1)[0]),
        HIDDEN,
        ONE,
    ),
    **{name: (case, HIDDEN, ONE) for name, case in ELEMENTWISE_CASES.items()},
    **LOOP_CASES,
}


def _hidden_layer(function, leaves):
    def apply(params, x):
        return function(x @ params["a"], *(params[name] for name in leaves))

    shapes = {"a": (3, 4), **leaves}
    params = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}
    return apply, params, jax.ShapeDtypeStruct((2, 3), jnp.float32)


def test_every_rule_has_a_case():
    assert set(RULES) | set(CONTROL) <= set(CASES) | set(BY_HAND) | LACKING


@pytest.mark.parametrize("name", CASES)
def test_the_groups_that_a_rule_gives(name):
    function, wanted, leaves = CASES[name]
    apply, params, x = _hidden_layer(function, leaves)
    primitive = re.escape(name.split()[0])
    assert re.search(rf"= {primitive}\b", str(jax.make_jaxpr(apply)(params, x)))
    groups, coverage = sy.find_groups(apply, params, x, report=True)
    assert groups_as_read(groups) == read_groups(wanted)
    assert coverage == ((), 0.0, ())


def test_an_axis_taken_apart_entry_by_entry():
    """A loop written out takes more pieces than Python calls functions within functions."""

    def apply(params, x):
        h = x @ params["a"]
        for step in range(1200):
            h = h * lax.slice(params["b"], (step, 0), (step + 1, 4))
        return h @ params["c"]

    shapes = {"a": (3, 4), "b": (1200, 4), "c": (4, 2)}
    params = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}
    groups = sy.find_groups(apply, params, jax.ShapeDtypeStruct((2, 3), jnp.float32))
    assert groups_as_read(groups) == read_groups("4: a 1, b 1, c 0")


@pytest.mark.parametrize("name", sorted(set(BY_HAND) & set(RULES)))
def test_what_only_a_mesh_needs_changes_nothing(name):
    axes = fresh((2, 3))
    assert list(RULES[name]([axes], [(2, 3)], {})) == [axes]
