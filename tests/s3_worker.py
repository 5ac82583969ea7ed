"""A sweep into an object store, in a process of its own that tests kill.

python s3_worker.py URL SEEDS
"""

import sys

from sweep_runs import AXES, small_run

import initlab
from initlab.sweeps import run_sweep

if __name__ == "__main__":
    url, seeds = sys.argv[1:]
    run_sweep.CHUNK_BLOCKS = 1
    initlab.sweep(
        small_run(), AXES | {"seed": range(int(seeds))}, block=16, out=url, progress=False
    )
