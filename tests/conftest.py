"""Fixtures that several test files share."""

import jax
import pytest

# Jitted functions take options of their own; for all programs, operations among them, there is none
# but the environment's, which would hold for tests about bits too.
from jax._src import compiler
from jax.experimental.compilation_cache import compilation_cache as cache


@pytest.fixture(scope="session")
def compilation_cache(tmp_path_factory):
    """Programs that several tests compile are compiled once; the bits are the same."""
    threshold = jax.config.values["jax_persistent_cache_min_compile_time_secs"]
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("programs")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    yield
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", threshold)
    cache.reset_cache()


QUICKLY = {
    "test_adopt.py",
    "test_audits.py",
    "test_calibration.py",
    "test_calibration_descent.py",
    "test_checks.py",
    "test_coordinates.py",
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
    "test_initializer_matrices.py",
    "test_initializer_networks.py",
    "test_initializer_zoo.py",
    "test_initializers.py",
    "test_jaxprs.py",
    "test_names.py",
    "test_network_arguments.py",
    "test_networks.py",
    "test_objectives.py",
    "test_probes.py",
    "test_readme.py",
    "test_signals.py",
    "test_symmetry_classes.py",
    "test_symmetry_foreign.py",
    "test_symmetry_induction.py",
    "test_symmetry_kinds.py",
    "test_taps.py",
    "test_tasks.py",
    "test_tasks_given.py",
    "test_theory.py",
    "test_theory_depth.py",
    "test_theory_finite.py",
    "test_theory_fixed_points.py",
    "test_theory_scaling.py",
    "test_throughput.py",
    "test_training.py",
    "test_whitening.py",
}
"""Tests that say nothing of bits or of speed, whose programs run shorter than they compile."""


@pytest.fixture(autouse=True, scope="module")
def compile_quickly(request):
    """Without most of XLA's optimizations, where no claim is about what they make."""
    if request.path.name not in QUICKLY:
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
