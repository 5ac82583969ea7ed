"""The symmetry instrument: where exchangeable units lie, which are the same, and the invariant."""

from initlab.symmetry.arrays import permute, symmetric_part, unit_rows, unit_tensors
from initlab.symmetry.assertions import (
    assert_symmetry_broken,
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
from initlab.symmetry.find import Coverage, Symmetry, find_groups, read_symmetry
from initlab.symmetry.groups import BlockAxis, UnitAxis, UnitGroup, in_block, mlp_groups, mlp_units
from initlab.symmetry.growth import (
    TransverseGrowth,
    escape_step,
    transverse_growth,
    transverse_part,
)
from initlab.symmetry.induction import Induction, Step, check_induction
from initlab.symmetry.optimizer_states import state_groups
from initlab.symmetry.parallel import parallel_classes
from initlab.symmetry.restriction import cut_down, whole
from initlab.symmetry.unit_kinds import UnitKinds, unit_kinds

__all__ = [
    "BlockAxis",
    "Coverage",
    "Induction",
    "Step",
    "Symmetry",
    "TransverseGrowth",
    "UnitAxis",
    "UnitGroup",
    "UnitKinds",
    "assert_symmetry_broken",
    "assert_units_identical",
    "check_induction",
    "class_spread",
    "count_classes",
    "cut_down",
    "effective_width",
    "escape_step",
    "find_groups",
    "groups_differing",
    "in_block",
    "mlp_groups",
    "mlp_units",
    "parallel_classes",
    "permute",
    "read_symmetry",
    "row_classes",
    "state_groups",
    "symmetric_part",
    "transverse_growth",
    "transverse_part",
    "unit_classes",
    "unit_kinds",
    "unit_rows",
    "unit_tensors",
    "units_identical",
    "whole",
]
