"""`python -m experiments.phase_diagram`: what it does is told in experiment.py."""

from experiments import harness
from experiments.phase_diagram.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
