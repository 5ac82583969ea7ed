"""The specification of a sweep, all that its bits depend on, as plain JSON; and how two differ."""

import hashlib
import json
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np

from initlab.sweeps import provenance
from initlab.sweeps.computation import Job
from initlab.sweeps.differences import differences
from initlab.sweeps.program import program_digest
from initlab.sweeps.structure import Structure

__all__ = ["check_same", "specify"]

LONG = 100
"""Axes of more values than this are recorded by a digest."""

DECIDING = ("jax", "jaxlib", "numpy", "optax")
"""Packages whose version may change the bits."""


def specify(job: Job, structure: Structure) -> dict[str, Any]:
    """Everything that decides the bits, and nothing else: not devices, chunks, times, revision.

    Args:
      job: what is computed.
      structure: whose runs they are.

    Returns:
      A dict of plain JSON values. The runs' programs stand in it by the digest of their StableHLO.
    """
    axes = {}
    for axis in job.axes:
        columns = {name: _column(column) for name, column in axis.columns.items()}
        axes[axis.dimension] = columns.get(axis.dimension, columns)
    runs = {
        name: {**run.description, "program_sha256": program_digest(traced, job.axes, job.block)}
        for name, run, traced in zip(structure.names, structure.runs, job.runs, strict=True)
    }
    versions = provenance.versions()
    first = job.devices[0]
    device = {"platform": first.platform, "kind": first.device_kind, "machine": platform.machine()}
    specification = {
        "axes": axes,
        "structure": {each.name: each.labels.tolist() for each in structure.dimensions},
        "block": job.block,
        "runs": runs if structure.dimensions else runs[""],
        "device": device,
        "versions": {name: versions[name] for name in DECIDING},
    }
    # As it will be read back, tuples as lists, so that a stored one compares equal.
    return json.loads(json.dumps(specification))


def check_same(path: Any, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Raises unless a store was made from the specification of this call.

    Args:
      path: the store's folder.
      there: the specification in it.
      here: this call's.

    Raises:
      ValueError: with every field that differs.
    """
    # The axes' order is the order of the dimensions.
    before, after = ({"axes": list(each.get("axes", ()))} for each in (there, here))
    differing = [
        *differences(before, after, "there", "here"),
        *differences(there, here, "there", "here"),
    ]
    if differing:
        lines = "\n".join(differing)
        raise ValueError(
            f"{path} holds another sweep; they differ in\n{lines}\n"
            "Choose another folder, or remove that one."
        )


def _column(column: np.ndarray) -> Any:
    if column.size <= LONG:
        return column.tolist()
    # One byte order: the digest is the same on every machine.
    little = column.astype(column.dtype.newbyteorder("<"))
    return {
        "length": column.size,
        "first": column[0].item(),
        "last": column[-1].item(),
        "sha256": hashlib.sha256(little.tobytes()).hexdigest(),
    }
