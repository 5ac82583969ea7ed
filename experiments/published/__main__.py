"""`python -m experiments.published`: see experiment.py."""

from experiments import harness
from experiments.published.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
