"""`python -m experiments.symmetry_escape`: what it does is told in experiment.py."""

from experiments import harness
from experiments.symmetry_escape.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
