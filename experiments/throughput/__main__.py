"""`python -m experiments.throughput`: what it does is told in experiment.py."""

from experiments import harness
from experiments.throughput.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
