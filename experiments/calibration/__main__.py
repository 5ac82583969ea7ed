"""`python -m experiments.calibration`: what it does is told in experiment.py."""

from experiments import harness
from experiments.calibration.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
