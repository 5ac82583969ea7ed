"""`python -m experiments.theory_tables`: what it does is told in experiment.py."""

from experiments import harness
from experiments.theory_tables.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
