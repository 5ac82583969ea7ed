"""The symmetry instrument: where exchangeable units lie, which are the same, and the invariant."""

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
from initlab.symmetry.groups import (
    UnitAxis,
    UnitGroup,
    mlp_groups,
    mlp_units,
    unit_blocks,
    unit_rows,
)

__all__ = [
    "UnitAxis",
    "UnitGroup",
    "assert_units_identical",
    "class_spread",
    "count_classes",
    "effective_width",
    "groups_differing",
    "mlp_groups",
    "mlp_units",
    "row_classes",
    "unit_blocks",
    "unit_classes",
    "unit_rows",
    "units_identical",
]
