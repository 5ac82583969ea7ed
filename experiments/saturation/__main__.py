"""`python -m experiments.saturation`: see experiment.py."""

from experiments import harness
from experiments.saturation.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
