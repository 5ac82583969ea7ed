"""`python -m experiments.what_breaks_symmetry`: what it does is told in experiment.py."""

from experiments import harness
from experiments.what_breaks_symmetry.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
