"""From schemes to params: combinators by role, path and index, and `initialize`."""

import dataclasses
import inspect
import itertools
import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from initializer_tables import GENERATOR, KEY, weight_spec
from thorough import rows

from initlab import initializers as I  # noqa: N812
from initlab import theory
from initlab.keys import path_key
from initlab.types import Initializer, ParamSpec, Role


def of_key(key, spec):
    """An initializer whose value tells its key; quicker to compile than one that draws."""
    data = jax.random.key_data(key).astype(jnp.float32)
    return jnp.full(spec.shape, jnp.sum(data))


def test_by_role_serves_every_role():
    given_roles = {role.value: I.constant(float(n)) for n, role in enumerate(Role, start=2)}
    init = I.by_role(**given_roles)
    for n, role in enumerate(Role, start=2):
        np.testing.assert_array_equal(init(KEY, weight_spec(2, 3, role=role)), np.full((2, 3), n))


@pytest.mark.parametrize(
    ("role", "value"),
    [
        (Role.WEIGHT, 7),
        (Role.BIAS, 0),
        (Role.INPUT, 7),
        (Role.READOUT, 7),
        (Role.EMBEDDING, 7),
        (Role.NORM_SCALE, 1),
        (Role.NORM_BIAS, 0),
        (Role.RESIDUAL, 7),
        (Role.GATE, 1),
    ],
)
def test_by_role_has_a_default_for_each(role, value):
    assert len(Role) == 9
    draw = I.by_role(I.constant(7.0))(KEY, weight_spec(2, 3, role=role))
    np.testing.assert_array_equal(draw, np.full((2, 3), value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("layer_1/weight", 1),
        ("layer_1/bias", 2),
        ("layer_12/weight", 3),
        ("block/layer_2/bias", 2),
        ("Layer_1/weight", 4),
    ],
)
def test_by_path_takes_the_first_match(path, value):
    patterns = {"layer_1/weight": 1.0, "*/bias": 2.0, "layer_*": 3.0, "*": 4.0, "*/weight": 5.0}
    init = I.by_path({pattern: I.constant(each) for pattern, each in patterns.items()})
    np.testing.assert_array_equal(init(KEY, weight_spec(1, 2, path=path)), [[value] * 2])


def test_choice_takes_a_traced_index():
    candidates, spec = (I.zeros(), of_key, I.identity(3.0)), weight_spec(2, 3)
    want = np.stack([np.asarray(each(KEY, spec)) for each in candidates])
    np.testing.assert_array_equal(I.choice(1, candidates)(KEY, spec), want[1])
    draw = jax.jit(lambda index, key: I.choice(index, candidates)(key, spec))
    # Out of range a traced index is clipped.
    for index, place in ((0, 0), (1, 1), (2, 2), (-4, 0), (9, 2)):
        np.testing.assert_array_equal(draw(index, KEY), want[place])
    mapped = jax.vmap(lambda index: I.choice(index, candidates)(KEY, spec))(jnp.arange(3))
    np.testing.assert_array_equal(mapped, want)


def _dense(*sizes):
    return {
        f"layer_{number}": {
            "weight": weight_spec(fan_in, fan_out),
            "bias": ParamSpec((fan_out,), fan_in, fan_out, Role.BIAS),
        }
        for number, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes), start=1)
    }


def test_initialize_draws_each_parameter_under_its_paths_key():
    specs = {**_dense(2, 4, 1), "more": [weight_spec(3, 3), (weight_spec(2, 2),)]}
    seen = {}

    def init(key, spec):
        seen[spec.path] = spec
        return of_key(key, spec)

    params = I.initialize(KEY, specs, init)
    assert jax.tree.structure(params) == jax.tree.structure(specs)
    dense = {f"layer_{n}/{kind}" for n in (1, 2) for kind in ("weight", "bias")}
    assert set(seen) == dense | {"more/0", "more/1/0"}
    weight = specs["layer_2"]["weight"]
    assert seen["layer_2/weight"] == dataclasses.replace(weight, path="layer_2/weight")
    want = of_key(path_key(KEY, "layer_2/weight"), weight)
    np.testing.assert_array_equal(params["layer_2"]["weight"], want)
    # No two parameters share a draw, though some share a shape.
    draws = [leaf.ravel()[0].item() for leaf in jax.tree.leaves(params)]
    assert len(set(draws)) == len(draws) == 6


def test_another_layer_changes_no_draw():
    few, more, wider = (
        I.initialize(KEY, _dense(*sizes), of_key)
        for sizes in ((2, 4, 5), (2, 4, 5, 3, 2), (2, 4, 9))
    )
    for layer in few:
        for kind in few[layer]:
            np.testing.assert_array_equal(few[layer][kind], more[layer][kind])
    np.testing.assert_array_equal(few["layer_1"]["weight"], wider["layer_1"]["weight"])
    other = I.initialize(jax.random.key(8, impl=GENERATOR), _dense(2, 4, 5), of_key)
    assert few["layer_1"]["weight"][0, 0] != other["layer_1"]["weight"][0, 0]


def test_one_seed_at_many_scales_is_proportional_under_vmap():
    specs = _dense(4, 4, 4)

    def start(std):
        return I.initialize(KEY, specs, I.by_role(I.normal(std)))

    scales = np.array([0.01, 1, 10], np.float32)
    stacked = jax.jit(jax.vmap(start))(scales)
    unit = start(1.0)
    for layer in specs:
        assert not np.asarray(stacked[layer]["bias"]).any()
        want = scales[:, None, None] * np.asarray(unit[layer]["weight"])[None]
        np.testing.assert_allclose(stacked[layer]["weight"], want, rtol=1e-6)


def test_a_scheme_made_anew_compiles_nothing(caplog):
    def start(*sizes):
        return I.initialize(KEY, _dense(*sizes), I.by_role(I.he_normal(), bias=I.normal(0.1)))

    def compiled(*sizes):
        caplog.clear()
        with jax.log_compiles():
            start(*sizes)
        return [record for record in caplog.records if "ompil" in record.getMessage()]

    start(3, 3)
    # The draws of one shape are shared by schemes and by layers; those of another are not.
    assert not compiled(3, 3, 3, 3)
    assert compiled(3, 2)


# each public function that takes an initializer, as a function of that alone
COMBINATORS = {
    "by_path": lambda init: I.by_path({"*": init}),
    "by_role": I.by_role,
    "choice": lambda init: I.choice(jnp.int32(1), (I.zeros(), init)),
    "chrono": lambda init: I.chrono(init, 9),
    "forget_bias": I.forget_bias,
    "layer_scale": lambda init: I.layer_scale(init, 3),
    "log_prior": lambda init: I.log_prior(init, [0.5, 0.5], "*readout/bias"),
    "looks_linear": lambda init: I.by_role(I.looks_linear(init)),
    "mamba": I.mamba,
    "normalized": I.normalized,
    "parametrized": lambda init: I.parametrized(init, same_scaling()),
    "rezero": I.rezero,
    "scaled": lambda init: I.scaled(init, 2.0),
    "shifted": lambda init: I.shifted(init, 2.0),
    "skipinit": I.skipinit,
    "small_readout": I.small_readout,
    # No block of these has a router: any path serves.
    "small_router": lambda init: I.small_router(init, routers=("*readout*",)),
    "variance_scaling": lambda init: I.variance_scaling(2.0, distribution=init),
    "zero_branch_ends": I.zero_branch_ends,
}


def block_specs():
    """Weights, and what the schemes of the table look for by name."""
    bias = ParamSpec((2,), 4, 2, Role.BIAS)
    return {
        "weight": weight_spec(4, 2),
        "end": weight_spec(4, 2, role=Role.RESIDUAL),
        "readout": {"weight": weight_spec(4, 2, role=Role.READOUT), "bias": bias},
        "gates": {"bias": ParamSpec((4, 2), 4, 2, Role.BIAS), "A_log": bias, "dt_bias": bias},
    }


def test_the_table_of_combinators_is_complete():
    # What `choice` takes may be params too, and is checked by itself.
    takers = {"choice", *filter(_makes_one_of_others, I.__all__)}
    assert takers == set(COMBINATORS)


def _makes_one_of_others(name):
    """Whether it takes an initializer and returns one."""
    hints = typing.get_type_hints(inspect.unwrap(getattr(I, name)))
    returned, taken = hints.pop("return", None), map(str, hints.values())
    return returned == Initializer and any(str(Initializer) in each for each in taken)


def unrolled_specs():
    return {f"block_{n}": block_specs() for n in (1, 2, 3)}


def stacked_specs():
    def stacked(path, spec):
        own = tuple(f"block_{n}/" + "/".join(each.key for each in path) for n in (1, 2, 3))
        return dataclasses.replace(spec, shape=(3, *spec.shape), stack=own)

    return {"blocks": jax.tree_util.tree_map_with_path(stacked, block_specs())}


def same_scaling():
    """A parametrization on the networks of these tests, as wide as their base."""
    specs = {**block_specs(), **unrolled_specs(), **stacked_specs()}
    return theory.scaling(specs, specs, theory.Parametrization.MUP, theory.Optimizer.ADAM)


@pytest.mark.parametrize("name", rows(COMBINATORS, ("layer_scale", "scaled")))
def test_slices_keep_their_place_inside_a_combinator(name):
    # Weights as the ends of branches, which depth_indexed draws smaller from block to block.
    def by_depth(key, spec):
        if spec.role not in (Role.WEIGHT, Role.RESIDUAL):
            return jnp.zeros(spec.shape, spec.dtype)
        return I.depth_indexed()(key, dataclasses.replace(spec, role=Role.RESIDUAL))

    unrolled, scanned = (
        I.initialize(jax.random.key(0), specs, COMBINATORS[name](by_depth))
        for specs in (unrolled_specs(), stacked_specs())
    )
    assert name == "zero_branch_ends" or unrolled["block_1"]["end"].any()
    want = jax.tree.map(lambda *each: np.stack(each), *unrolled.values())
    jax.tree.map(
        lambda got, own: np.testing.assert_allclose(got, own, rtol=1e-6), scanned["blocks"], want
    )


@pytest.mark.quick
@pytest.mark.parametrize("name", COMBINATORS)
def test_a_pattern_that_matches_no_parameter_is_refused(name):
    right = I.by_path({"weight": I.by_path({"*": I.ones()}), "*": I.zeros()})
    I.initialize(KEY, block_specs(), I.scaled(COMBINATORS[name](right), 2.0))
    init = I.scaled(COMBINATORS[name](I.by_path({"weights": I.ones(), "*": I.zeros()})), 2.0)
    message = r"no parameter matches 'weights'; the nearest paths are \['weight'"
    with pytest.raises(ValueError, match=message):
        I.initialize(KEY, block_specs(), init)
    # One that stands behind another, which takes all that it matches.
    init = COMBINATORS[name](I.by_path({"en?": I.ones(), "end": I.zeros(), "*": I.zeros()}))
    message = r"pattern 'end' must come before 'en\?', which takes the parameters"
    with pytest.raises(ValueError, match=message):
        I.initialize(KEY, block_specs(), init)


def test_patterns_inside_patterns_are_looked_at():
    inside = I.by_path({"weights": I.ones(), "*": I.zeros()})
    with pytest.raises(ValueError, match="no parameter matches 'weights'"):
        I.initialize(KEY, block_specs(), I.by_path({"end": I.ones(), "*": inside}))


def test_choice_takes_params_that_were_made_before():
    starts = [{"w": np.zeros(2, "f")}, {"w": np.ones(2, "f")}, {"w": np.full(2, 3, "f")}]
    chosen = jax.jit(jax.vmap(lambda index: I.choice(index, starts)["w"]))(jnp.asarray([2, 0, 9]))
    assert chosen.tolist() == [[3, 3], [0, 0], [3, 3]]
    with pytest.raises(TypeError, match="got some of each: draw the others with"):
        I.choice(0, [*starts, I.normal(1.0)])
    with pytest.raises(ValueError, match=r"initializers\[1\] must be params like .*got .*\[3\]"):
        I.choice(0, [starts[0], {"w": np.zeros(3, "f")}])
    with pytest.raises(TypeError, match=r"initializers\[0\] must be"):
        I.choice(0, [{"w": np.zeros(2, int)}])
    with pytest.raises(ValueError, match="index must be 0 to 2, got 3"):
        I.choice(3, starts)
