"""`python -m experiments.coordinate_check`: what it does is told in experiment.py."""

from experiments import harness
from experiments.coordinate_check.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
