"""The induction and the growth across the plane of symmetry, for updates whose answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import initlab
from initlab import symmetry as sy
from initlab.initializers import by_role, constant, normal

X = np.random.default_rng(0).standard_normal((12, 3))
Y = np.sign(X[:, 0] * X[:, 1])
BATCH = (X, Y)


def apply(params, x):
    hidden = jnp.tanh(x @ params["in"] + params["bias"][None])
    return hidden @ params["out"]


def start(value=0.5, size=4):
    return {
        "bias": np.zeros(size, np.float32),
        "in": np.full((3, size), value, np.float32),
        "out": np.full((size, 1), value, np.float32),
    }


GROUPS = sy.find_groups(apply, start(), np.float32(X))


def loss(params, batch):
    x, y = batch
    return jnp.mean(jnp.square(apply(params, x)[:, 0] - y))


def descend(params, batch):
    return jax.tree.map(lambda p, g: p - 0.1 * g, params, jax.grad(loss)(params, batch))


def test_gradient_descent_from_a_constant_start_is_symmetric_for_ever():
    found = sy.check_induction(descend, start(), GROUPS, BATCH)
    assert found.symmetric == {"bias": True}
    assert found.base == {"bias": True}
    assert found.apart == {"bias": 0}
    assert found.dtype == np.float64
    assert found.step["bias"].error < 1e-14
    assert "symmetric indefinitely" in str(found)


def test_a_random_start_breaks_the_base_alone():
    rng = np.random.default_rng(1)
    random = jax.tree.map(lambda leaf: np.float32(rng.standard_normal(leaf.shape)), start())
    found = sy.check_induction(descend, random, GROUPS, BATCH, draws=2)
    assert found.base == {"bias": False}
    assert found.step["bias"].holds
    columns = random["in"] - random["in"].mean(axis=1, keepdims=True)
    rows = random["out"] - random["out"].mean(axis=0)
    biases = random["bias"] - random["bias"].mean()
    largest = max(np.abs(each).max() for each in (columns, rows, biases))
    assert found.apart["bias"] == pytest.approx(largest, rel=1e-6)
    assert "broken from the start" in str(found)


def test_an_update_that_treats_one_unit_otherwise_is_named_with_its_leaf_and_size():
    def biased(params, batch):
        after = descend(params, batch)
        return {**after, "out": after["out"] + 0.01 * jnp.eye(4, 1, dtype=after["out"].dtype)}

    found = sy.check_induction(biased, start(), GROUPS, BATCH, draws=3)
    step = found.step["bias"]
    assert found.base == {"bias": True}
    assert not step.holds
    assert step.place == "out"
    # One of four units is 0.01 ahead: 0.0075 from their mean.
    assert step.broken_by == pytest.approx(0.0075, rel=1e-5)
    assert "broken by the update" in str(found)


def test_dropout_breaks_the_step():
    def dropped(params, batch):
        *data, key = batch
        mask = jax.random.bernoulli(key, 0.5, (4,)).astype(params["out"].dtype)
        return descend({**params, "out": params["out"] * mask[:, None]}, data)

    found = sy.check_induction(dropped, start(), GROUPS, (*BATCH, jax.random.key(3)), draws=3)
    assert not found.step["bias"].holds
    assert found.step["bias"].broken_by > 1e-3


@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param(optax.adamw(0.01, weight_decay=0.1), marks=pytest.mark.thorough),
        optax.chain(optax.clip_by_global_norm(0.1), optax.sgd(0.1, momentum=0.9, nesterov=True)),
    ],
    ids=["adamw", "clipped momentum"],
)
def test_an_optimizer_s_state_is_carried_along(optimizer):
    # Optax divides by integer counts.
    with jax.numpy_dtype_promotion("standard"):

        def update(state, batch):
            params, moments = state
            updates, moments = optimizer.update(jax.grad(loss)(params, batch), moments, params)
            return optax.apply_updates(params, updates), moments

        params = jax.tree.map(jnp.asarray, start())
        found = sy.check_induction(update, (params, optimizer.init(params)), GROUPS, BATCH, draws=2)
    assert found.symmetric == {"bias": True}
    assert 0 <= found.step["bias"].error < 1e-9


def test_noise_for_each_parameter_breaks_an_optimizer_s_step():
    optimizer = optax.chain(optax.sgd(0.1), optax.add_noise(0.01, 0.5, 0))

    def update(state, batch):
        params, moments = state
        updates, moments = optimizer.update(jax.grad(loss)(params, batch), moments, params)
        return optax.apply_updates(params, updates), moments

    params = jax.tree.map(jnp.asarray, start())
    with jax.numpy_dtype_promotion("standard"):
        found = sy.check_induction(update, (params, optimizer.init(params)), GROUPS, BATCH, draws=2)
    assert found.base == {"bias": True}
    assert not found.step["bias"].holds


def test_a_model_of_a_fixed_dtype_is_tried_in_it():
    network = initlab.networks.mlp((3, 4, 1), jnp.tanh)
    params = initlab.initialize(jax.random.key(0), network.specs, by_role(weight=constant(0.1)))

    def update(params, batch):
        x, y = batch
        gradient = jax.grad(lambda p: jnp.mean(jnp.square(network.apply(p, x)[:, 0] - y)))(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient)

    batch = (np.float32(X), np.float32(Y))
    found = sy.check_induction(update, params, sy.mlp_groups(params), batch, draws=2)
    assert found.dtype == np.float32
    assert found.symmetric == {"layer_1": True}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"update": 3}, TypeError, "update must be a function"),
        ({"draws": 0}, ValueError, "draws must be at least 1, got 0"),
        ({"params": {"w": np.ones(3)}}, ValueError, "no part fits"),
    ],
)
def test_bad_input_to_the_induction(change, error, message):
    given = {"update": descend, "params": start(), "groups": GROUPS, "batch": BATCH} | change
    with pytest.raises(error, match=message):
        sy.check_induction(**given)


def test_an_update_that_fails_in_any_dtype_says_its_own_error():
    def broken(params, batch):
        raise ValueError("no such batch")

    with pytest.raises(ValueError, match="no such batch"):
        sy.check_induction(broken, start(), GROUPS, BATCH)


def test_groups_are_found_under_every_copy_of_the_params():
    params = start()
    state = {"step": np.zeros((), int), "model": params, "moments": (params, {"ema": params})}
    (group,) = sy.state_groups(state, GROUPS)
    prefixes = {axis.path.removesuffix("/in") for axis in group.axes if axis.path.endswith("/in")}
    assert prefixes == {"model", "moments/0", "moments/1/ema"}
    assert sy.state_groups(params, GROUPS) == GROUPS


def quadratic(rates):
    """`w <- rates * w + mean over units`: its growth across the plane is known."""

    def update(params, batch):
        w = params["w"]
        mean = jnp.mean(w, axis=0, keepdims=True)
        return {"w": mean * 0.5 + (w - mean) * jnp.asarray([rates], w.dtype)}

    return update


UNITS = sy.UnitGroup("units", 3, (sy.UnitAxis("w", 0),))


def test_growth_is_that_of_the_fastest_direction():
    params = {"w": np.ones((3, 2), np.float32)}
    growth = jax.jit(
        lambda params: sy.transverse_growth(quadratic([0.5, 1.25]), params, [UNITS], 60)
    )(params)
    assert growth.log_growth.shape == (61,)
    assert growth.rate == pytest.approx(np.log(1.25), rel=1e-4)
    direction = np.asarray(growth.direction["w"])
    np.testing.assert_allclose(np.abs(direction[:, 0]), 0, atol=1e-6)
    assert np.linalg.norm(direction) == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(direction.sum(axis=0), 0, atol=1e-6)


def test_growth_of_a_given_direction_is_that_of_small_differences():
    with jax.enable_x64(True):
        params = jax.tree.map(jnp.float64, start(0.7))
        rng = np.random.default_rng(2)
        direction = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape), params)
        across = jax.jit(lambda params: sy.transverse_part(params, GROUPS))
        grow = jax.jit(
            lambda params, part: sy.transverse_growth(
                descend, params, GROUPS, 50, BATCH, direction=part
            )
        )
        part = across(direction)
        size = np.sqrt(sum(np.square(leaf).sum() for leaf in jax.tree.leaves(part)))
        growth = grow(params, part)
        eps = 1e-7
        moved = jax.tree.map(lambda p, d: p + eps * d / size, params, part)
        step = jax.jit(descend)
        for _ in range(50):
            moved = step(moved, BATCH)
        rest = across(moved)
        measured = np.sqrt(sum(np.square(leaf).sum() for leaf in jax.tree.leaves(rest)))
        assert np.log(measured / eps) == pytest.approx(growth.log_growth[-1].item(), abs=1e-4)
        assert bool(
            sy.units_identical(jax.tree.map(lambda leaf: leaf.round(12), growth.params), GROUPS)
        )


def test_growth_carries_an_optimizer_s_state_and_maps_over_starts():
    optimizer = optax.sgd(0.1, momentum=0.5)

    def update(state, batch):
        params, moments = state
        updates, moments = optimizer.update(jax.grad(loss)(params, batch), moments, params)
        return optax.apply_updates(params, updates), moments

    batch = (np.float32(X), np.float32(Y))

    def rate(value):
        params = jax.tree.map(lambda leaf: jnp.full_like(leaf, value), start())
        state = params, optimizer.init(params)
        return sy.transverse_growth(update, state, GROUPS, 20, batch).log_growth

    both = jax.jit(jax.vmap(rate))(jnp.asarray([0.1, 0.5], jnp.float32))
    assert both.shape == (2, 21)
    np.testing.assert_allclose(both[1], jax.jit(rate)(jnp.float32(0.5)), rtol=1e-3, atol=1e-4)


def test_the_step_of_escape():
    growth = sy.TransverseGrowth(jnp.arange(10.0), jnp.ones(()), None, None)
    assert sy.escape_step(growth, np.exp(-3.5)).item() == 4
    assert sy.escape_step(growth, np.exp(-20.0)).item() == -1
    assert sy.escape_step(growth, 2.0).item() == 0
    sizes = jnp.exp(-jnp.arange(1.0, 4.0) + 0.5)
    assert jax.vmap(lambda size: sy.escape_step(growth, size))(sizes).tolist() == [1, 2, 3]


def test_a_difference_that_arises_later_grows_from_then_on():
    # It shrinks first, so that what is planted at the start and what arises at step 2 differ.
    log_growth = jnp.asarray([0.0, 4.0, -2.0, -1.0, 2.0, 3.0])
    growth = sy.TransverseGrowth(log_growth, jnp.ones(()), None, None)
    size = np.exp(-2.5)
    assert sy.escape_step(growth, size).item() == 1
    assert sy.escape_step(growth, size, since=1).item() == -1
    assert sy.escape_step(growth, size, since=2).item() == 4
    assert sy.escape_step(growth, 1.0, since=2).item() == 2
    assert sy.escape_step(growth, 0.0, since=2).item() == -1
    steps = jax.vmap(lambda since: sy.escape_step(growth, size, since=since))(jnp.arange(6))
    assert steps.tolist() == [1, -1, 4, 4, -1, -1]


@pytest.mark.parametrize("since", [-1, 10])
def test_a_difference_arises_at_a_step_of_the_run(since):
    growth = sy.TransverseGrowth(jnp.arange(10.0), jnp.ones(()), None, None)
    with pytest.raises(ValueError, match=rf"since must be a step of the run, 0 to 9, got {since}"):
        sy.escape_step(growth, 0.1, since=since)


def test_a_dead_start_has_no_growth():
    growth = jax.jit(
        lambda params: sy.transverse_growth(
            lambda p, b: jax.tree.map(jnp.zeros_like, p), params, GROUPS, 3
        )
    )(start())
    assert growth.log_growth[-1] == -np.inf


@pytest.mark.parametrize("steps", [0, -1])
def test_growth_wants_a_step(steps):
    with pytest.raises(ValueError, match="steps must be at least 1"):
        sy.transverse_growth(descend, start(), GROUPS, steps, BATCH)


def test_a_sweep_records_the_effective_width_of_any_network():
    task = initlab.tasks.xor()
    network = initlab.networks.mlp((2, 4, 1), jnp.tanh)
    params = initlab.initialize(jax.random.key(0), network.specs, by_role(weight=normal(1.0)))
    groups = sy.find_groups(network.apply, params, np.float32(task.x))
    run = initlab.make_run(
        network,
        lambda p: by_role(weight=normal(p["scale"])),
        task,
        optimizer=lambda p: optax.sgd(0.1),
        steps=4,
        every=2,
        probes=(initlab.probes.effective_width(groups),),
    )
    results = initlab.sweep(run, {"seed": range(2), "scale": [0.0, 1.0]}, progress=False)
    widths = results["effective_width: layer_1"]
    assert widths.dims == ("seed", "scale", "step")
    assert widths.sel(scale=0).values.tolist() == [[1, 1, 1]] * 2
    assert widths.sel(scale=1).values.tolist() == [[4, 4, 4]] * 2


def test_a_copy_is_told_from_a_leaf_whose_name_only_ends_alike():
    group = sy.UnitGroup("units", 3, (sy.UnitAxis("w", 0),))
    state = {"model": {"w": np.zeros(3)}, "models": {"new_w": np.zeros(3)}, "w": np.zeros(4)}
    (found,) = sy.state_groups(state, [group])
    assert [axis.path for axis in found.axes] == ["model/w"]


def test_params_of_one_array_have_the_empty_path():
    group = sy.UnitGroup("units", 3, (sy.UnitAxis("", 0),))
    assert sy.permute(np.arange(3), group, [2, 0, 1]).tolist() == [2, 0, 1]
    (found,) = sy.state_groups({"momentum": np.zeros(3), "params": np.zeros(3)}, [group])
    assert [axis.path for axis in found.axes] == ["momentum", "params"]


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_the_tolerance_is_that_of_the_dtype_that_a_model_computes_in(dtype):
    """Params may be float64: a model that casts them to its own dtype rounds as that does."""

    def cast(params, x):
        return apply(jax.tree.map(lambda leaf: leaf.astype(dtype), params), x.astype(dtype))

    def update(params, batch):
        gradient = jax.grad(lambda p: jnp.mean(jnp.square(cast(p, batch[0])[:, 0])))(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g.astype(p.dtype), params, gradient)

    (found,) = sy.check_induction(update, start(), GROUPS, BATCH).step.values()
    assert found.error < found.tolerance < 0.1
    assert found.tolerance > 1e-5

    def shifted(params, batch):
        return update(params, batch) | {"bias": params["bias"] + jnp.arange(4.0)}

    (found,) = sy.check_induction(shifted, start(), GROUPS, BATCH).step.values()
    assert not found.holds
