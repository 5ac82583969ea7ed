"""Every test runs under strict promotion, on several CPU devices."""

import gc

import jax

# JAX keeps what it traces: every walk over all of that finds next to nothing to collect.
gc.set_threshold(50_000, 10, 10)

# Before the backend starts: a sweep must give the same bits on any number of devices.
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
