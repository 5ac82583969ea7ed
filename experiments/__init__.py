"""Experiments: absl binaries, one question each; `python -m experiments.NAME`."""

import sys

__all__: list[str] = []

# While Python looks for the module of -m, this is the program's name. What follows are seconds of
# imports, in which nothing is begun and nothing is lost.
if sys.argv[0] == "-m":
    from experiments.interrupts import end_in_one_line

    end_in_one_line()
