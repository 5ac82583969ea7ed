"""`python -m experiments.zero_initialization`: see experiment.py."""

from experiments import harness
from experiments.zero_initialization.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
