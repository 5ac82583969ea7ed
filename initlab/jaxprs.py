"""The names that `initlab.taps` still imports from here; they live in `initlab.programs`."""

from initlab.programs.equations import (
    inner_program,
    is_literal,
    live_equations,
    run_equation,
    scan_counts,
)

__all__ = ["inner_program", "is_literal", "live_equations", "run_equation", "scan_counts"]
