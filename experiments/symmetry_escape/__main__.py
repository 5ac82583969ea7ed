"""`python -m experiments.symmetry_escape`: see experiment.py."""

from experiments import harness
from experiments.symmetry_escape.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
