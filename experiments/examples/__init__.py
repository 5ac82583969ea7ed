"""Models as `python -m experiments.audit --model` takes them, one for each framework."""
