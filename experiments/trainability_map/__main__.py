"""`python -m experiments.trainability_map`: see experiment.py."""

from experiments import harness
from experiments.trainability_map.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
