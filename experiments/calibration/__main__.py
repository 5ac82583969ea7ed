"""`python -m experiments.calibration`: see experiment.py."""

from experiments import harness
from experiments.calibration.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
