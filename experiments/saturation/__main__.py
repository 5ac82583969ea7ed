"""`python -m experiments.saturation`: what it does is told in experiment.py."""

from experiments import harness
from experiments.saturation.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
