"""`python -m experiments.course_tables`: what it does is told in experiment.py."""

from experiments import harness
from experiments.course_tables.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
