"""`python -m experiments.initializer_zoo`: what it does is told in experiment.py."""

from experiments import harness
from experiments.initializer_zoo.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
