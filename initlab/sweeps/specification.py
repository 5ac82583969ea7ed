"""The specification of a sweep, all that its bits depend on, as plain JSON; and how two differ."""

import hashlib
import json
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np

from initlab.sweeps import provenance
from initlab.sweeps.arithmetic import arithmetic
from initlab.sweeps.computation import Job
from initlab.sweeps.differences import differences
from initlab.sweeps.program import program_digest
from initlab.sweeps.structure import Structure

__all__ = ["check_same", "says_arithmetic", "specify"]

LONG = 100
"""Axes of more values than this are recorded by a digest."""

HOW_TO_GO_ON = (
    " The sweep is the same but for how it is compiled, so that its chunks would have other bits: "
    "with the XLA_FLAGS and JAX options of that store, on a CPU of its instructions, the same call "
    "goes on."
)

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
        name: {**run.description, **program_digest(traced, job.axes, job.block)}
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
        "arithmetic": arithmetic(first.platform),
        "versions": {name: versions[name] for name in DECIDING},
    }
    # As it will be read back, tuples as lists, so that a stored one compares equal.
    return json.loads(json.dumps(specification))


def says_arithmetic(specification: Mapping[str, Any]) -> bool:
    """Whether it is of a version that records XLA's flags and the instruction set."""
    return "arithmetic" in specification


def check_same(path: Any, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Raises unless a store was made from the specification of this call.

    Args:
      path: the store's folder.
      there: the specification in it.
      here: this call's.

    Raises:
      ValueError: with every field that differs.
    """
    if not says_arithmetic(there):
        here = _without_arithmetic(here)
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
            + (HOW_TO_GO_ON if _only_arithmetic(there, here) else "")
        )


def _only_arithmetic(there: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    return _without(there, "arithmetic") == _without(here, "arithmetic")


def _without_arithmetic(specification: Mapping[str, Any]) -> dict[str, Any]:
    """As versions wrote it that did not look at flags, nor at the Python of callbacks."""
    runs = specification["runs"]
    each = (
        {name: _without(run, "callbacks") for name, run in runs.items()}
        if specification["structure"]
        else _without(runs, "callbacks")
    )
    return {**_without(specification, "arithmetic"), "runs": each}


def _without(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key != name}


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
