"""`python -m experiments.framework_defaults`: what it does is told in experiment.py."""

from experiments import harness
from experiments.framework_defaults.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
