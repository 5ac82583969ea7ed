"""`python -m experiments.depth_constants`: what it does is told in experiment.py."""

from experiments import harness
from experiments.depth_constants.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
