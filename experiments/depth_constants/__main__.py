"""`python -m experiments.depth_constants`: see experiment.py."""

from experiments import harness
from experiments.depth_constants.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
