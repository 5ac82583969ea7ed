"""May a sweep be killed at any moment, and end with the same bits?

    python -m experiments.torture --kills 1000

A small sweep is killed by SIGKILL, SIGTERM and SIGINT in turn, as one process and as one of two: at
any moment, just after a new chunk, and at the writing of a chunk's data, of its marker, and of the
root, which is written last (in an object store by the clock alone: its client writes by itself).
The same call resumes it, to be killed again, until it ends. Its results are compared, bit for bit,
with those of a sweep that was not interrupted. Where one of two was killed, the other must stop by
itself (in a tenth of the cases; else it is killed too, so that a thousand take hours less). Exits 1
if a bit differs, a sweep cannot be finished, or a process does not stop or ends badly by itself.
"""

import math
import shutil
from pathlib import Path

import numpy as np
import xarray

from experiments import harness
from experiments.harness import Settings, flags
from experiments.harness.command_line import FLAGS
from experiments.torture import figure, kills
from experiments.torture.tables import show, summarize, verdict
from initlab.sweeps.storage import open_storage

__all__ = ["EXPERIMENT"]

KILLS = flags.define_count("kills", 1000, "Kills.")
PROCESSES = flags.define_numbers("processes", (1, 2), "Processes, round by round.", whole=True)
SEEDS = flags.define_count("seeds", 1024, "Seeds of the sweep; 16 make a chunk.")
ROUND = flags.define_count("round", 10, "Kills of a round: what an interrupted torture loses.")
STORES = flags.define_text(
    "stores", "", "Where the sweep is kept: a folder, or s3://bucket/prefix; in --out if empty."
)
SMOKE = {"kills": 6, "round": 5, "seeds": 128}


def measure() -> xarray.Dataset:
    """Rounds of kills, each kept when it is finished."""
    folder = Path(FLAGS.out).absolute() / "torture"
    # A URL that cannot be one is refused before the folder is made.
    open_storage(STORES.value or folder)
    folder.mkdir(parents=True, exist_ok=True)
    counts = [int(each) for each in PROCESSES.value]
    table = [
        {
            "number": number,
            "kills": min(ROUND.value, KILLS.value - number * ROUND.value),
            "processes": counts[number % len(counts)],
            "seeds": SEEDS.value,
            "stores": STORES.value or str(folder),
        }
        for number in range(math.ceil(KILLS.value / ROUND.value))
    ]
    found = harness.fill(table, lambda cell: kills.kill_and_resume(cell, folder))
    results = xarray.Dataset(
        {
            name: ("round", np.asarray([int(each[name]) for each in found]))
            for name in ("datasets", "failed", "refused", "differing_bytes")
        }
    ).assign(
        {
            name: ("kill", np.concatenate([each[name] for each in found]))
            for name in kills.Kill._fields
        }
    )
    each = [np.full(cell["kills"], cell["processes"]) for cell in table]
    if not results["failed"].any() and not results["differing_bytes"].any():
        shutil.rmtree(folder)
    return results.assign(processes=("kill", np.concatenate(each)))


def draw(results: xarray.Dataset, settings: Settings):
    """When the kills came."""
    return figure.draw_kills(results, kills.SIGNALS)


EXPERIMENT = harness.Experiment("torture", measure, summarize, show, draw, SMOKE, verdict)
