"""A whole training run as one pure function of a dict of scalars."""

from initlab.training.points import Point
from initlab.training.run import Run, make_loss, make_run

__all__ = ["Point", "Run", "make_loss", "make_run"]
