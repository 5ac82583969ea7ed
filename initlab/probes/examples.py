"""What probes with options share: some of the examples, and a name that tells the options."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab.types import Batch, Probe

__all__ = ["named", "spaced_examples"]


def spaced_examples(batch: Batch, count: int) -> jax.Array:
    """At most `count` training inputs, evenly spaced: data may lie sorted by label.

    >>> from initlab import objectives
    >>> x = jnp.arange(10.0)[:, None]
    >>> batch = Batch(x, x[:, 0], None, None, objectives.regression, {})
    >>> spaced_examples(batch, 4)[:, 0].tolist()
    [0.0, 2.0, 5.0, 7.0]
    """
    total = batch.x.shape[0]
    chosen = np.arange(min(count, total)) * total // min(count, total)
    return jnp.asarray(batch.x)[chosen]


def named(probe: Probe, name: str, **options: Any) -> Probe:
    """The probe under a name with its options, which a run's description keeps: they decide values.

    >>> named(lambda network, params, batch: {}, "sharpness", iterations=8).__name__
    'sharpness(iterations=8)'
    """
    given = ", ".join(f"{option}={value!r}" for option, value in options.items())
    probe.__name__ = f"{name}({given})"
    return probe
