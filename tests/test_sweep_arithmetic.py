"""A store is resumed under the arithmetic that began it, or refused with what differs."""

import json
import os

import jax
import numpy as np
import pytest
from sweep_runs import AXES, assert_same_bits, make_small_run, small_sweep, traced_once, write

from initlab.sweeps import arithmetic, closures
from initlab.sweeps.integrity import OWN

pytestmark = pytest.mark.full_compile


@pytest.fixture(autouse=True, scope="module")
def traced():
    with traced_once():
        yield


@pytest.fixture(scope="module")
def written(traced, tmp_path_factory):
    out = tmp_path_factory.mktemp("arithmetic") / "runs"
    write(out)
    return out


def with_flags(monkeypatch, flags):
    monkeypatch.setenv("XLA_FLAGS", f"{os.environ.get('XLA_FLAGS', '')} {flags}")


@pytest.mark.parametrize(
    "flags",
    [
        "--xla_cpu_max_isa=SSE4_2",
        "--xla_cpu_enable_fast_math",
        "--xla_backend_optimization_level=0",
    ],
)
def test_other_flags_of_xla_are_refused_by_name(written, monkeypatch, flags):
    with_flags(monkeypatch, flags)
    with pytest.raises(ValueError, match=r"arithmetic.xla_flags: there ") as refusal:
        write(written)
    assert flags in str(refusal.value)
    assert "with the XLA_FLAGS and JAX options of that store, on a CPU of its" in str(refusal.value)
    assert str(refusal.value).count(": there ") == 1


def test_flags_that_change_no_number_may_differ(written, monkeypatch):
    with_flags(monkeypatch, "--xla_force_host_platform_device_count=7 --xla_dump_to=/tmp/x")
    assert_same_bits(write(written), small_sweep())


def test_flags_in_a_file_and_their_order(monkeypatch, tmp_path):
    monkeypatch.setenv("XLA_FLAGS", " --xla_b=1  --xla_a --xla_b=2 ")
    there = arithmetic.arithmetic("gpu")["xla_flags"]
    assert there == "--xla_a=true --xla_b=2"
    (tmp_path / "flags").write_text("--xla_b=2\n--xla_a=true\n")
    monkeypatch.setenv("XLA_FLAGS", str(tmp_path / "flags"))
    assert arithmetic.arithmetic("gpu")["xla_flags"] == there


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jax_default_matmul_precision", "float32"),
        ("jax_disable_most_optimizations", True),
        ("jax_threefry_partitionable", False),
        ("jax_default_prng_impl", "rbg"),
        ("jax_optimization_level", "O0"),
    ],
)
def test_other_options_of_jax_are_refused_by_name(written, name, value):
    before = jax.config.values[name]
    jax.config.update(name, value)
    try:
        with pytest.raises(ValueError, match=rf"arithmetic.options.{name}: there .*, here "):
            write(written)
    finally:
        jax.config.update(name, before)
    assert_same_bits(write(written), small_sweep())


def test_every_option_is_one_of_jax():
    assert set(arithmetic.OPTIONS) - set(jax.config.values) <= {
        # Of some versions alone.
        "jax_exec_time_optimization_effort",
        "jax_high_dynamic_range_gumbel",
        "jax_memory_fitting_effort",
        "jax_pjrt_client_create_options",
        "jax_threefry_gpu_kernel_lowering",
    }


def test_options_that_hold_in_a_context_count():
    with jax.enable_x64(True):
        assert arithmetic.arithmetic("cpu")["options"]["jax_enable_x64"] is True


def test_another_instruction_set_is_refused(written, monkeypatch):
    assert arithmetic.arithmetic("cpu")["instruction_set"]
    monkeypatch.setattr(arithmetic, "_instruction_set", lambda: "avx2 fma")
    with pytest.raises(
        ValueError, match=r"arithmetic.instruction_set: there .*, here \"avx2 fma\""
    ):
        write(written)
    assert "instruction_set" not in arithmetic.arithmetic("gpu")


def without_arithmetic(out):
    """As an earlier version wrote it."""
    for name, entries in (("progress/sweep.json", lambda it: it), ("zarr.json", _attributes)):
        content = json.loads((out / name).read_text())
        del entries(content)["specification"]["arithmetic"]
        content.pop(OWN, None)
        (out / name).write_text(json.dumps(content))
    for file in (out / "progress").glob("[0-9]*.json"):
        content = json.loads(file.read_text())
        del content[OWN]
        file.write_text(json.dumps(content))


def _attributes(root):
    del root["attributes"]["attributes_crc32"]
    return root["attributes"]


def test_a_store_of_an_earlier_version_opens_and_is_not_gone_on_with(tmp_path):
    out = tmp_path / "runs"
    write(out)
    without_arithmetic(out)
    assert_same_bits(write(out), small_sweep())
    with pytest.raises(ValueError, match="block: there 16, here 32") as refusal:
        write(out, block=32)
    assert "arithmetic" not in str(refusal.value)
    (out / "loss" / "c" / "0" / "0" / "0" / "0").unlink()
    with pytest.raises(ValueError, match="begun by a version that did not record XLA's flags"):
        write(out)


def called_back(by):
    """A run whose probe asks Python."""

    def scaled(x):
        return np.asarray(x) * by

    def asked(network, params, batch):
        shape = jax.ShapeDtypeStruct((), np.float32)
        return {"asked": jax.pure_callback(scaled, shape, batch.x[0, 0], vmap_method="sequential")}

    return make_small_run(measured=(asked,))


def test_the_python_of_a_callback_is_part_of_the_sweep(tmp_path):
    axes = AXES | {"seed": [0]}
    write(tmp_path / "runs", called_back(np.float32(2)), axes)
    write(tmp_path / "runs", called_back(np.float32(2)), axes)
    with pytest.raises(
        ValueError, match=r"runs.callbacks.called_back.<locals>.scaled: there"
    ) as no:
        write(tmp_path / "runs", called_back(np.float32(3)), axes)
    assert str(no.value).count(": there ") == 1


def test_a_callback_that_cannot_be_recorded_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"scaled cannot be recorded: .*cannot be pickled"):
        write(tmp_path / "runs", called_back(each for each in ()), AXES | {"seed": [0]})
    assert not (tmp_path / "runs").exists()
    assert closures.callbacks(jax.make_jaxpr(lambda x: x + 1)(1.0)) == {}
