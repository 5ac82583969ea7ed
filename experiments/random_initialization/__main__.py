"""`python -m experiments.random_initialization`: see experiment.py."""

from experiments import harness
from experiments.random_initialization.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
