"""Every test runs under strict promotion, on several CPU devices."""

import gc
from pathlib import Path

import jax
import pytest

# Jitted functions take options of their own; for all programs, operations among them, there is none
# but the environment's, which would hold for tests about bits too.
from jax._src import compiler

# JAX keeps what it traces: every walk over all of that finds next to nothing to collect.
gc.set_threshold(50_000, 10, 10)

# Before the backend starts: a sweep must give the same bits on any number of devices.
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

QUICKLY = {
    "test_adoption.py",
    "test_audits.py",
    "test_bilinear.py",
    "test_calibration.py",
    "test_calibration_descent.py",
    "test_checks.py",
    "test_coordinates.py",
    "test_course_tables.py",
    "test_deep_network_arguments.py",
    "test_deep_networks.py",
    "test_depth_constants.py",
    "test_dimensions.py",
    "test_figures.py",
    "test_find_arguments.py",
    "test_find_models.py",
    "test_find_rules.py",
    "test_find_soundness.py",
    "test_framework_defaults.py",
    "test_initialize.py",
    "test_initializer_arguments.py",
    "test_initializer_laws.py",
    "test_initializer_matrices.py",
    "test_initializer_networks.py",
    "test_initializer_zoo.py",
    "test_initializers.py",
    "test_names.py",
    "test_network_arguments.py",
    "test_networks.py",
    "test_objectives.py",
    "test_probes.py",
    "test_protocols.py",
    "test_programs.py",
    "test_programs_axes.py",
    "test_readme.py",
    "test_signals.py",
    "test_symmetry.py",
    "test_symmetry_classes.py",
    "test_symmetry_foreign.py",
    "test_symmetry_induction.py",
    "test_symmetry_kinds.py",
    "test_taps.py",
    "test_tasks.py",
    "test_tasks_custom.py",
    "test_theory.py",
    "test_theory_depth.py",
    "test_theory_finite.py",
    "test_theory_fixed_points.py",
    "test_theory_scaling.py",
    "test_theory_tables.py",
    "test_throughput.py",
    "test_training.py",
    "test_whitening.py",
}
"""Tests that say nothing of bits or of speed, whose programs run shorter than they compile."""


@pytest.fixture(autouse=True, scope="module")
def compile_quickly(request):
    """Without most of XLA's optimizations, where no claim is about what they make."""
    is_doctest = request.path.is_relative_to(Path(__file__).parent / "initlab")
    if request.path.name not in QUICKLY and not is_doctest:
        yield
        return
    name = "jax_disable_most_optimizations"
    jax.config.update(name, True)
    usual = compiler.get_compile_options

    def without_emitters(*args, env_options_overrides=None, **settings):
        options = {"xla_cpu_use_fusion_emitters": False} | dict(env_options_overrides or {})
        return usual(*args, env_options_overrides=options, **settings)

    compiler.get_compile_options = without_emitters
    yield
    compiler.get_compile_options = usual
    jax.config.update(name, False)
