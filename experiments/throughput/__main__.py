"""`python -m experiments.throughput`: see experiment.py."""

from experiments import harness
from experiments.throughput.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
