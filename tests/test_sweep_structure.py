"""The structure of a sweep: compiled once for each combination, one dataset with labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sweep_runs import AXES, assert_same_bits, make_small_run

import initlab
from initlab import probes
from initlab.sweeps import run_sweep

AXES = AXES | {"seed": range(20)}
STRUCTURE = {"depth": [2, 1], "activation": {"tanh": jnp.tanh, "relu": jax.nn.relu}}


def deep_run(depth, activation, **changes):
    return make_small_run(activation, (3,) * depth, **changes)


def measure_whole(network, params, batch):
    """An integer for each layer, which compiles in no time."""
    sizes = [layer["weight"].size for layer in params.values()]
    return {"entries": jnp.asarray(sizes, jnp.int32)}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The combinations that were traced, their factory, and the sweep over all of them."""
    traced = []

    def counting(depth, activation):
        def measure(network, params, batch):
            traced.append((depth, activation.__name__))
            return probes.loss(network, params, batch) | probes.weight_norm(network, params, batch)

        return deep_run(depth, activation, measured=(measure, measure_whole))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_sweep, "CHUNK_BLOCKS", 2)
        out = tmp_path_factory.mktemp("structure") / "runs"
        results = initlab.sweep(
            counting, AXES, structure=STRUCTURE, block=16, out=out, progress=False
        )
    return tuple(traced), counting, results


def test_each_combination_is_traced_once_and_lies_under_its_labels(swept):
    traced, factory, results = swept
    assert sorted(traced) == [(1, "relu"), (1, "tanh"), (2, "relu"), (2, "tanh")]
    dims = ("depth", "activation", "seed", "scale", "learning_rate", "step")
    assert results["loss"].dims == dims
    assert results["depth"].values.tolist() == [2, 1]
    assert results["activation"].values.tolist() == ["tanh", "relu"]
    assert results["layer"].values.tolist() == ["layer_1", "layer_2", "layer_3"]
    assert results["weight_norm"].dtype == np.float32
    assert results["entries"].dtype == np.int32
    for depth, name in ((2, "tanh"), (1, "relu")):
        run = factory(depth, STRUCTURE["activation"][name])
        alone = initlab.sweep(run, AXES, block=16, progress=False)
        found = results.sel(depth=depth, activation=name, layer=alone["layer"])
        assert_same_bits(found.drop_vars(["depth", "activation"]), alone)


def test_a_layer_that_a_network_lacks_is_nan_or_the_least_integer(swept):
    _, _, results = swept
    lacking = results.sel(depth=1, layer="layer_3")
    assert np.isnan(lacking["weight_norm"]).all()
    assert (lacking["entries"] == np.iinfo(np.int32).min).all()
    assert not np.isnan(results["weight_norm"].sel(depth=2)).any()
    assert (results["entries"].sel(depth=2) > 0).all()


@pytest.mark.parametrize(
    ("factory", "structure", "error", "message"),
    [
        (lambda depth: deep_run(depth, jnp.tanh, steps=2 * depth), {"depth": [1, 2]},
         ValueError, r"\(depth=1\) has steps=2, every=2 and \(depth=2\) steps=4"),
        (lambda probe: make_small_run(measured=(probe,)),
         {"probe": {"loss": probes.loss, "accuracy": probes.accuracy}},
         ValueError, r"\(probe=loss\) and \(probe=accuracy\) differ in \['accuracy', 'loss'\]"),
        (lambda depth: None, {"depth": [1]}, TypeError, "the factory must return"),
        (lambda depth: None, {"depth": []}, ValueError, "must hold at least one value, got none"),
        (lambda depth: None, {"depth": "12"}, TypeError, "must be a list or a dict"),
        (lambda depth: None, {"depth": [1, 1]}, ValueError, "must hold different labels"),
        (lambda depth: None, {"depth": [None, 1]}, TypeError, "give other values names"),
        (lambda depth: None, {"seed": [1]}, ValueError, r"names, got \['seed'\] more than once"),
        (lambda depth: None, {"step": [1]}, ValueError, "must not be named 'step'"),
        (lambda depth: None, {}, TypeError, "structure must be a dict of names"),
        (make_small_run(), {"depth": [1]}, TypeError, "run must be a factory"),
    ],
)  # fmt: skip
def test_a_structure_that_makes_no_one_dataset_is_refused(factory, structure, error, message):
    with pytest.raises(error, match=message):
        initlab.sweep(factory, AXES, structure=structure, progress=False)


def test_a_factory_without_a_structure_is_refused():
    with pytest.raises(TypeError, match="without a structure, run must be a Run"):
        initlab.sweep(deep_run, AXES, progress=False)  # pyright: ignore[reportArgumentType]
