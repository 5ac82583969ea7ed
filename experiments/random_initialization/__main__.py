"""`python -m experiments.random_initialization`: what it does is told in experiment.py."""

from experiments import harness
from experiments.random_initialization.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
