"""Which gradient a step takes, and that a run is the same by either."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import initlab
from initlab import networks, objectives, probes, tasks
from initlab.initializers import by_role, normal
from initlab.training import gradients
from initlab.training.gradients import has_kernel, loss_gradient
from initlab.training.kernel import gradient_kernel


@pytest.fixture
def on_a_gpu(monkeypatch):
    """JAX says that its devices are GPUs; what is compiled here is for the CPU all the same."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")


@pytest.fixture
def lowers_for_a_gpu(on_a_gpu):
    """From JAX 0.12 on, Triton's kernels are lowered only where a GPU is there to ask."""
    # Imported where it is needed, as the kernel does.
    from jax.experimental.pallas import pallas_call, triton

    kernel = pallas_call(
        lambda ref, out: None,
        out_shape=jax.ShapeDtypeStruct((1,), jnp.float32),
        compiler_params=triton.CompilerParams(num_warps=1, num_stages=1),
    )
    try:
        jax.jit(kernel).trace(jnp.ones(1)).lower(lowering_platforms=("cuda",))
    except RuntimeError as reason:
        pytest.skip(f"this JAX lowers no kernel without a GPU: {reason}")


@pytest.mark.parametrize(
    ("network", "objective", "answer"),
    [
        (networks.mlp((2, 10, 5, 1), jnp.tanh), objectives.binary, True),
        (networks.mlp((2, 3, 3), jax.nn.relu, bias=False), objectives.softmax, True),
        (networks.mlp((2, 16, 16, 1), jnp.tanh), objectives.binary, False),
        (networks.mlp((2, 2, 1), jnp.tanh, dtype=jnp.float16), objectives.binary, False),
        (networks.mlp((2, 2, 2, 1), jnp.tanh, scanned=True), objectives.binary, False),
        (networks.residual_mlp((2, 2, 1), 1, jnp.tanh), objectives.binary, False),
        # The same parameters, another function of them.
        (
            networks.with_multipliers(networks.mlp((2, 2, 1), jnp.tanh), {"*/weight": 2.0}),
            objectives.binary,
            False,
        ),
        (
            networks.mlp((2, 2, 1), jnp.tanh),
            objectives.binary._replace(loss=lambda z, y: jnp.max(z)),
            False,
        ),
    ],
)
def test_kernel_is_for_small_mlps_and_known_losses(network, objective, answer):
    assert has_kernel(network, objective) is answer


def _history(batch_size):
    run = initlab.make_run(
        networks.mlp((2, 2, 1), jnp.tanh),
        lambda point: by_role(weight=normal(point["std"])),
        tasks.xor(points=8, seed=0),
        optimizer=lambda point: optax.sgd(point["rate"], momentum=0.5),
        steps=2,
        every=1,
        probes=[probes.loss],
        batch_size=batch_size,
    )
    points = {"seed": np.arange(2), "std": np.ones(2), "rate": np.full(2, 0.1)}
    return jax.jit(jax.vmap(run))({name: jnp.asarray(each) for name, each in points.items()})


@pytest.mark.thorough
def test_runs_are_the_same_by_the_kernel(on_a_gpu, monkeypatch):
    wanted = _history(3)
    interpreted = functools.partial(gradient_kernel, interpret=True)
    monkeypatch.setattr(gradients, "gradient_kernel", interpreted)
    batched_by = gradients.batched_by
    monkeypatch.setattr(gradients, "batched_by", functools.partial(batched_by, platform="cpu"))
    found = _history(3)
    np.testing.assert_allclose(found.values["loss"], wanted.values["loss"], rtol=1e-5)
    assert not np.array_equal(found.params["layer_1"]["weight"], wanted.params["layer_1"]["weight"])


@pytest.mark.thorough
def test_other_devices_compute_what_they_did(on_a_gpu, monkeypatch):
    found = _history(None)
    monkeypatch.undo()
    jax.tree.map(np.testing.assert_array_equal, found, _history(None))


@pytest.mark.filterwarnings("ignore:The Pallas Triton backend:DeprecationWarning")
def test_kernel_lowers_to_one_call_for_a_gpu(lowers_for_a_gpu):
    network = networks.mlp((2, 3, 1), jnp.tanh)
    gradient = loss_gradient(network, objectives.binary)
    params = jax.tree.map(lambda spec: np.ones((2, *spec.shape), np.float32), network.specs)
    many = jax.jit(jax.vmap(gradient, in_axes=(0, None, None)))
    traced = many.trace(params, np.ones((4, 2), np.float32), np.ones(4, np.int32))
    lowered = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert lowered.count("xla.gpu.triton") == 1
    assert "stablehlo.tanh" not in lowered


@pytest.mark.filterwarnings("ignore:The Pallas Triton backend:DeprecationWarning")
def test_activation_without_a_kernel_is_named(lowers_for_a_gpu):
    network = networks.mlp((2, 3, 1), jax.scipy.special.erf)
    with pytest.warns(UserWarning, match="several GPU kernels.*erf"):
        loss_gradient(network, objectives.binary)
