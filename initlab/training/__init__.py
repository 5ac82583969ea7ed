"""A whole training run as one pure function of a dict of scalars."""

from initlab.training.run import Point, Run, make_loss, make_run

__all__ = ["Point", "Run", "make_loss", "make_run"]
