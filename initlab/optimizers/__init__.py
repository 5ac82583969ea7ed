"""Optimizers built from others: parameters by path or by role, each with its own; and frozen."""

from initlab.optimizers.parametrized import parametrized, scale_leaves
from initlab.optimizers.partitions import by_path, by_role, frozen

__all__ = ["by_path", "by_role", "frozen", "parametrized", "scale_leaves"]
