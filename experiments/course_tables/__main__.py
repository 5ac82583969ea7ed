"""`python -m experiments.course_tables`: see experiment.py."""

from experiments import harness
from experiments.course_tables.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
