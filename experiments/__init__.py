"""Experiments: absl binaries, one question each; `python -m experiments.NAME`."""
