"""Every test runs under strict promotion, on several CPU devices."""

import jax

# Before the backend starts: a sweep must give the same bits on any number of devices.
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
