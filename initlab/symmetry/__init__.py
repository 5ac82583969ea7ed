"""The symmetry instrument: where exchangeable units lie, which are the same, and the invariant."""

from initlab.symmetry.arrays import permute, unit_rows, unit_tensors
from initlab.symmetry.assertions import (
    assert_units_identical,
    groups_differing,
    units_identical,
)
from initlab.symmetry.classes import (
    class_spread,
    count_classes,
    effective_width,
    row_classes,
    unit_classes,
)
from initlab.symmetry.find import Coverage, find_groups
from initlab.symmetry.groups import UnitAxis, UnitGroup, mlp_groups, mlp_units

__all__ = [
    "Coverage",
    "UnitAxis",
    "UnitGroup",
    "assert_units_identical",
    "class_spread",
    "count_classes",
    "effective_width",
    "find_groups",
    "groups_differing",
    "mlp_groups",
    "mlp_units",
    "permute",
    "row_classes",
    "unit_classes",
    "unit_rows",
    "unit_tensors",
    "units_identical",
]
