"""Which worker of pytest-xdist runs which file: those about bits and speed compile as a user does.

XLA's options of fast compiling are read once by a process. So half of the workers are started with
them, and the files that are marked `full_compile` go to the other half.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import execnet
from xdist.scheduler import LoadFileScheduling

from initlab.compilation import fast_compile_options

__all__ = ["FAST", "ByCompilation", "specs_of_workers"]

FAST = "INITLAB_TESTS_COMPILE_FAST"
"""Set in the environment of workers that compile all that they run fast."""

MARK = "pytestmark = pytest.mark.full_compile"


def specs_of_workers(specs: Sequence[Any], xla_flags: str) -> list[Any]:
    """The workers' specifications, the later half with the flags of fast compiling.

    Args:
      specs: as pytest-xdist made them.
      xla_flags: what the environment says already.

    Returns:
      As many.
    """
    flags = [f"--{name}={value}" for name, value in fast_compile_options().items()]
    fast = f"//env:{FAST}=1//env:XLA_FLAGS={' '.join([*xla_flags.split(), *flags])}"
    half = (len(specs) + 1) // 2
    return [*specs[:half], *(execnet.XSpec(f"{spec}{fast}") for spec in specs[half:])]


class ByCompilation(LoadFileScheduling):
    """A file at a time, in their order; to workers that compile fully those that ask for it first.

    The workers that compile fast never get these: they stop when nothing else is left.
    """

    def schedule(self) -> None:
        """Distributes the files; where they are fewer than workers, the last of these stop."""
        workers = sorted(self.assigned_work.items(), key=lambda item: _is_fast(item[0]))
        self.assigned_work = dict(workers)
        super().schedule()

    def _assign_work_unit(self, node: Any) -> None:
        scope = self._next_scope(node)
        if scope is not None:
            self.workqueue.move_to_end(scope, last=False)
            super()._assign_work_unit(node)

    def _reschedule(self, node: Any) -> None:
        if self.workqueue and self._next_scope(node) is None:
            node.shutdown()
        else:
            super()._reschedule(node)

    def _next_scope(self, node: Any) -> str | None:
        full = next((scope for scope in self.workqueue if self._is_full(scope)), None)
        other = next((scope for scope in self.workqueue if not self._is_full(scope)), None)
        return other if _is_fast(node) or full is None else full

    def _is_full(self, scope: str) -> bool:
        """Whether a file has the mark, which only workers know, who collect it."""
        return MARK in Path(self.config.rootpath, scope).read_text()


def _is_fast(node: Any) -> bool:
    return FAST in node.gateway.spec.env
