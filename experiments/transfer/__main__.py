"""`python -m experiments.transfer`: see experiment.py."""

from experiments import harness
from experiments.transfer.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
