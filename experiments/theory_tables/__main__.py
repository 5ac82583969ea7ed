"""`python -m experiments.theory_tables`: see experiment.py."""

from experiments import harness
from experiments.theory_tables.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
