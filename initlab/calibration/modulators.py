"""Which products only modulate a signal that passes on without them: they are not enlarged."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from initlab.calibration.products import Products

__all__ = ["Tests", "find_tests"]

SURVIVES = 0.1
"""A signal has survived what keeps at least this share of its rms."""

RAW = 1e-3
"""Outputs that keep this share of their spread over examples without any product are the data."""


@dataclasses.dataclass(frozen=True, eq=False)
class Tests:
    """Measurements that tell which of K products modulate: each with some of them left out.

    A gate that is open at zero (a sigmoid, the exponential of a coupling flow, or one that is the
    model's output, as the rate of a Poisson regression is) and what is added to
    the data themselves change a signal that passes on without them. They need no size; given one,
    each layer enlarges the signal anew, and a flow's density moves away from the data's. Whether a
    product is needed is measured: without one that is, another one vanishes, as all behind a layer
    do, and the values without their gate.

    Attributes:
      masks: [tests, K], zero where a product is left out.
      tested: [tests, K], whether a product is one of those that a test is about.
      candidates: [K], whether the product may be one that modulates.
      is_gate: [K], whether the product is part of a gate; if not, it modulates raw outputs alone.
      is_raw: whether the last test leaves out all: do data reach the outputs without products?
    """

    masks: np.ndarray
    tested: np.ndarray
    candidates: np.ndarray
    is_gate: np.ndarray
    is_raw: bool

    def modulate(
        self, rms: jax.Array, spreads: jax.Array, usual: jax.Array, usual_spread: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Which products only modulate, [K], and whether data reach the outputs without any.

        Args:
          rms: of each product in each test, [tests, K].
          spreads: of the outputs in each test, [tests].
          usual: rms of each product where none is left out, [K].
          usual_spread: of the outputs.

        Returns:
          Flags, [K], and a flag.
        """
        raw = spreads[-1] > RAW * usual_spread if self.is_raw else jnp.asarray(False)
        others = (rms >= SURVIVES * usual[None]) | ~jnp.isfinite(rms) | (self.masks == 0)
        spared = jnp.all(others, axis=1, keepdims=True) & self.tested
        return jnp.any(spared, axis=0) & (self.is_gate | raw), raw


def find_tests(products: Products) -> Tests | None:
    """The tests of a model's products; None where none of them can be one that modulates."""
    notes, own = products.model.notes, frozenset().union(*products.sites)
    outputs = [facts for facts in products.model.outputs if facts.data]
    may_be_raw = any(own.isdisjoint(facts.above) for facts in outputs)
    leaves, on_path = np.asarray(products.leaf), np.asarray(products.on_path)
    is_open = np.asarray(products.is_open)
    is_gate = np.asarray([bool(notes.gating >> leaf & 1) for leaf in products.leaf]) | is_open
    candidates = (~on_path | is_open) & (is_gate | may_be_raw)
    if not candidates.any():
        return None
    # Leaf by leaf: the slices of a stacked one are alike.
    tested = leaves[None] == np.unique(leaves[candidates])[:, None]
    masks = 1 - tested.astype(np.float32)
    if may_be_raw:
        masks = np.concatenate([masks, np.zeros((1, leaves.size), np.float32)])
        tested = np.concatenate([tested, np.zeros((1, leaves.size), bool)])
    return Tests(masks, tested & candidates, candidates, is_gate, may_be_raw)
