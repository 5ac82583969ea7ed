"""`python -m experiments.framework_defaults`: see experiment.py."""

from experiments import harness
from experiments.framework_defaults.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
