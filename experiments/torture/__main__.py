"""`python -m experiments.torture`: see experiment.py."""

from experiments import harness
from experiments.torture.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
