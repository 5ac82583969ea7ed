"""`python -m experiments.coordinate_check`: see experiment.py."""

from experiments import harness
from experiments.coordinate_check.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
