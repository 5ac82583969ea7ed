"""Input validation: each check raises an error that names what was given and what is required.

Shapes and dtypes are static, so that they are checked also under tracing; the value of a traced
number is not known then, and a check of values lets it pass.
"""

from initlab.checks.arguments import checked
from initlab.checks.functions import (
    called,
    calling,
    check_callable,
    check_function,
    raising_frame,
)
from initlab.checks.nouns import check_arrays, check_key, check_kind, check_optimizer, check_reals
from initlab.checks.params import (
    check_array,
    check_array_leaves,
    check_floating_params,
    check_model,
    check_params,
    check_patterns,
    check_rank_at_least,
    check_specs,
    leaves_by_path,
    naming_exchanged,
    path_name,
)
from initlab.checks.values import (
    check_count,
    check_dtype,
    check_examples,
    check_integer,
    check_known,
    check_matrix,
    check_number,
    check_real,
    check_scale,
    is_concrete,
    is_hashable,
)

__all__ = [
    "called",
    "calling",
    "check_array",
    "check_array_leaves",
    "check_arrays",
    "check_callable",
    "check_count",
    "check_dtype",
    "check_examples",
    "check_floating_params",
    "check_function",
    "check_integer",
    "check_key",
    "check_kind",
    "check_known",
    "check_matrix",
    "check_model",
    "check_number",
    "check_optimizer",
    "check_params",
    "check_patterns",
    "check_rank_at_least",
    "check_real",
    "check_reals",
    "check_scale",
    "check_specs",
    "checked",
    "is_concrete",
    "is_hashable",
    "leaves_by_path",
    "naming_exchanged",
    "path_name",
    "raising_frame",
]
