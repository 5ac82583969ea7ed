"""One question; experiment.py is what `python -m` runs."""
