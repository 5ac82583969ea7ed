"""Validation of logits and labels: their dtypes and shapes, before anything is traced."""

import jax
import jax.numpy as jnp
import numpy as np

from initlab.checks import is_concrete
from initlab.types import Array

__all__ = ["check_labels", "check_logits", "check_pair", "some_of"]


def check_logits(logits: Array, width: int | None = None) -> jax.Array:
    """The logits as an array; raises unless they are floating and [B, width]."""
    logits = jnp.asarray(logits)
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise TypeError(f"logits must be floating, got {logits.dtype}")
    if logits.ndim != 2 or (width is not None and logits.shape[1] != width):
        raise ValueError(f"logits must have shape [B, {width or 'K'}], got {logits.shape}")
    return logits


def check_pair(logits: Array, y: Array, width: int | None = None) -> tuple[jax.Array, jax.Array]:
    """Logits and labels as arrays; raises unless there is one label for each row."""
    logits, y = check_logits(logits, width), y if hasattr(y, "dtype") else np.asarray(y)
    if y.shape != logits.shape[:1] or not y.size:
        raise ValueError(
            f"labels must have shape [B] with B >= 1, got {y.shape} for logits {logits.shape}"
        )
    if is_concrete(y):
        check_labels(y)
    if not (jnp.issubdtype(y.dtype, jnp.floating) or jnp.issubdtype(y.dtype, jnp.integer)):
        # Truth values are compared as 0 and 1: no prediction but 0 is false.
        y = y.astype(np.int32)
    return logits, jnp.asarray(y)


def check_labels(y: Array) -> np.ndarray:
    """The labels as an array; raises unless they are real numbers [B] that JAX can hold."""
    labels = np.asarray(y)
    is_real = labels.dtype.kind in "biu" or jnp.issubdtype(labels.dtype, jnp.floating)
    if labels.ndim != 1 or not labels.size or not is_real:
        raise ValueError(
            "labels must be real numbers of shape [B] with B >= 1, got "
            f"{labels.dtype} of shape {labels.shape}"
        )
    # JAX would wrap a larger one around.
    if labels.dtype.kind in "iu" and (far := labels[(labels >= 2**31) | (labels < -(2**31))]).size:
        raise ValueError(f"labels must fit 32 bits, got {some_of(far)}")
    return labels


def some_of(offending: np.ndarray) -> str:
    """The first five of the offending labels, for a message.

    >>> some_of(np.arange(7))
    '0, 1, 2, 3, 4 and 2 more'
    """
    shown = ", ".join(str(label) for label in offending[:5])
    return shown if offending.size <= 5 else f"{shown} and {offending.size - 5} more"
