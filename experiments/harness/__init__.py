"""What every experiment shares: its command line, its folder, and results that outlive Ctrl-C.

`launch` runs an `Experiment` as a program; `sweep` and `fill` keep what they compute in its folder;
`track` shows how far a loop is.
"""

from experiments.harness.experiment import Experiment, Settings
from experiments.harness.launching import launch
from experiments.harness.progress import track
from experiments.harness.storage import fill, sweep

__all__ = ["Experiment", "Settings", "fill", "launch", "sweep", "track"]
