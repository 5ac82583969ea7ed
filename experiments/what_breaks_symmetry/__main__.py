"""`python -m experiments.what_breaks_symmetry`: see experiment.py."""

from experiments import harness
from experiments.what_breaks_symmetry.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
