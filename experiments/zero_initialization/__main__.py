"""`python -m experiments.zero_initialization`: what it does is told in experiment.py."""

from experiments import harness
from experiments.zero_initialization.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
