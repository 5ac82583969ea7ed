"""`python -m experiments.initializer_zoo`: see experiment.py."""

from experiments import harness
from experiments.initializer_zoo.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
