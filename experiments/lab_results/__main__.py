"""`python -m experiments.lab_results`: see experiment.py."""

from experiments import harness
from experiments.lab_results.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
