"""`python -m experiments.signal_propagation`: what it does is told in experiment.py."""

from experiments import harness
from experiments.signal_propagation.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
