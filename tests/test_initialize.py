"""From schemes to params: combinators by role, path and index, and `initialize`."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from initializer_tables import GENERATOR, KEY, weight_spec

from initlab import initializers as I  # noqa: N812
from initlab.keys import path_key
from initlab.types import ParamSpec, Role


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


@pytest.mark.quick
@pytest.mark.parametrize(
    "wrap",
    [
        lambda init: init,
        lambda init: I.scaled(init, 2.0),
        lambda init: I.shifted(init, 2.0),
        lambda init: I.choice(0, (init, I.zeros())),
        lambda init: I.by_role(init),
        lambda init: I.by_role(I.zeros(), bias=I.scaled(init, 2.0)),
    ],
    ids=["alone", "scaled", "shifted", "choice", "by_role", "within"],
)
def test_a_pattern_that_matches_no_parameter_is_refused(wrap):
    specs = {"layer_1": {"weight": ParamSpec((2,), 1, 2)}, "gate": ParamSpec((), 1, 1)}
    I.initialize(jax.random.key(0), specs, wrap(I.by_path({"*/weight": I.ones(), "*": I.zeros()})))
    init = wrap(I.by_path({"layers_1/*": I.ones(), "*": I.zeros()}))
    message = r"no parameter matches 'layers_1/\*'; the nearest paths are \['layer_1/weight'"
    with pytest.raises(ValueError, match=message):
        I.initialize(jax.random.key(0), specs, init)


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
