"""`python -m experiments.phase_diagram`: see experiment.py."""

from experiments import harness
from experiments.phase_diagram.experiment import EXPERIMENT

harness.launch(EXPERIMENT)
