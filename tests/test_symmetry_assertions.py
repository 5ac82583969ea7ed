"""The invariant as a verdict and as an assertion: plain, under jit, under vmap and scan."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symmetry_oracles import GROUPS, constant_params, numpy_classes, numpy_rows, random_params

from initlab import symmetry as sy

few_examples = settings(max_examples=60, deadline=None)


def _plain(params):
    sy.assert_units_identical(params)


def _asserted(params, _=None):
    sy.assert_units_identical(params)
    return params, None


STEP = chex.chexify(jax.jit(_asserted), async_check=False)
RUNS = chex.chexify(
    jax.jit(jax.vmap(lambda params: jax.lax.scan(_asserted, params, length=3)[0])),
    async_check=False,
)


def _under_jit(params):
    STEP(params)


def _under_vmap_and_scan(params):
    """Two runs of three steps; only the second run holds the given params."""
    RUNS(jax.tree.map(lambda leaf: np.stack([np.full_like(leaf, 0.5), leaf]), params))


FORMS = pytest.mark.parametrize("form", [_plain, _under_jit, _under_vmap_and_scan])


@FORMS
@pytest.mark.parametrize("value", [0.0, 0.1, np.nan, np.inf])
def test_constant_params_are_identical(form, value):
    params = constant_params(value)
    form(params)
    assert sy.units_identical(params)


@FORMS
@pytest.mark.parametrize(
    ("layer", "leaf", "place", "group"),
    [
        ("layer_1", "weight", (1, 4), "layer_1"),
        ("layer_1", "bias", (0,), "layer_1"),
        ("layer_2", "weight", (3, 2), "layer_1"),
        ("layer_2", "bias", (3,), "layer_2"),
        ("layer_3", "weight", (0, 1), "layer_2"),
    ],
)
def test_one_bit_in_one_place_is_found(form, layer, leaf, place, group):
    params = constant_params(0.1)
    params[layer][leaf][place] = np.nextafter(params[layer][leaf][place], np.float32(1))
    with pytest.raises(AssertionError, match=group):
        form(params)


DIFFERING = jax.jit(sy.groups_differing)


@few_examples
@given(st.integers(0, 2**31), st.integers(1, 2), st.sampled_from([0.0, np.nan, np.inf]))
def test_groups_differ_that_have_more_than_one_class(seed, values, value):
    params = random_params(seed, values=values)
    params["layer_2"]["weight"][seed % 5, seed % 4] = value
    differing = DIFFERING(params)
    classes = {group.name: len(set(numpy_classes(numpy_rows(params, group)))) for group in GROUPS}
    assert {name: bool(each) for name, each in differing.items()} == {
        name: count > 1 for name, count in classes.items()
    }
    assert bool(sy.units_identical(params)) == (max(classes.values()) == 1)


def test_which_runs_are_identical_under_vmap():
    runs = [constant_params(0.1), random_params(), constant_params(np.nan), constant_params(0.1)]
    runs[3]["layer_2"]["bias"][1] = np.nextafter(np.float32(0.1), np.float32(1))
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *runs)

    def identical(params):
        return sy.units_identical(params), sy.units_identical(params, GROUPS[:1])

    both, first = jax.jit(jax.vmap(identical))(stacked)
    np.testing.assert_array_equal(both, [True, False, True, False])
    np.testing.assert_array_equal(first, [True, False, True, True])


@FORMS
def test_the_output_units_may_differ(form):
    params = constant_params(0.1)
    params["layer_3"]["bias"][:] = [1, 2, 3]
    params["layer_3"]["weight"][:] = [1, 2, 3]
    params["layer_1"]["weight"][0] = 7
    form(params)
    assert sy.units_identical(params)


def test_groups_may_be_given():
    params = constant_params(0.1)
    params["layer_1"]["bias"][2] = 0.2
    sy.assert_units_identical(params, GROUPS[1:])
    with pytest.raises(AssertionError, match="layer_1"):
        sy.assert_units_identical(params, GROUPS[:1])
    with pytest.raises(ValueError, match="groups must hold at least one group, got none"):
        sy.assert_units_identical(params, ())


def test_layers_that_do_not_fit_each_other():
    params = constant_params()
    params["layer_2"]["weight"] = params["layer_2"]["weight"][:3]
    message = r"params\['layer_2'\] must take the 5 units of layer_1"
    with pytest.raises(ValueError, match=message):
        sy.assert_units_identical(params)


def test_a_network_without_hidden_units_has_none_that_differ():
    params = {"layer_1": {"weight": jnp.ones((2, 1)), "bias": jnp.zeros(1)}}
    assert sy.units_identical(params)
    sy.assert_units_identical(params)


def test_two_groups_of_one_module_have_names_of_their_own():
    """The units of two layers that end in one head lie first, and both, in that head."""

    def apply(params, x):
        both = [jnp.tanh(x @ params[name]) for name in ("left", "right")]
        return jnp.concatenate(both, 1) @ params["head"]

    rng = np.random.default_rng(0)
    draw = {"left": (3, 4), "right": (3, 4), "head": (8, 2)}
    params = {name: rng.normal(size=shape).astype(np.float32) for name, shape in draw.items()}
    groups = sy.find_groups(apply, params, np.ones((5, 3), np.float32))
    assert len({group.name for group in groups}) == len(groups) == 2
    sy.assert_symmetry_broken(params, groups)
    params["left"][:, 1], params["head"][1] = params["left"][:, 0], params["head"][0]
    with pytest.raises(AssertionError, match="0 = 1"):
        sy.assert_symmetry_broken(params, groups)
    assert sorted(sy.effective_width(params, groups).values()) == [3, 4]


@pytest.mark.parametrize(
    "function",
    [
        sy.assert_symmetry_broken,
        sy.assert_units_identical,
        sy.effective_width,
        lambda params, groups: sy.check_induction(lambda p, b: p, params, groups, None),
    ],
)
def test_two_groups_of_one_name_are_refused(function):
    group = sy.UnitGroup("h", 3, (sy.UnitAxis("w", 0),))
    with pytest.raises(ValueError, match="names of their own, got 2 groups 'h'"):
        function({"w": np.ones((3, 2), np.float32)}, [group, group])
