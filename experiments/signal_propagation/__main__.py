"""`python -m experiments.signal_propagation`: see experiment.py."""

from experiments import harness
from experiments.signal_propagation.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
