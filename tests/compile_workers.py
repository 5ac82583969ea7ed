"""Which worker of pytest-xdist runs which file: those about bits and speed compile as a user does.

XLA's options of fast compiling are read once by a process. So most workers are started with them,
and the files that are marked `full_compile` go to others.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xdist.scheduler import LoadFileScheduling

from initlab.compilation import fast_compile_options

__all__ = ["FAST", "ByCompilation", "with_fast_workers"]

FAST = "INITLAB_TESTS_COMPILE_FAST"
"""Set in the environment of workers that compile all that they run fast."""

MARK = "pytestmark = pytest.mark.full_compile"


def with_fast_workers(specs: Sequence[str], xla_flags: str) -> list[str]:
    """Adds workers that compile fast: one for each core, beside half as many that compile fully.

    Those that compile fully stop when their files are done, so that they rarely run together.

    Args:
      specs: the workers as pytest-xdist names them, one for each core.
      xla_flags: what the environment says already.

    Returns:
      Half of the workers, rounded up, then as many as were given with the flags of fast compiling.
    """
    flags = [f"--{name}={value}" for name, value in fast_compile_options().items()]
    fast = f"//env:{FAST}=1//env:XLA_FLAGS={' '.join([*xla_flags.split(), *flags])}"
    return [*specs[: (len(specs) + 1) // 2], *(f"{spec}{fast}" for spec in specs)]


class ByCompilation(LoadFileScheduling):
    """A file at a time, in their order; those that ask for it to workers that compile fully.

    A worker stops when nothing of its kind is left; where none compiles fast, the others run all.
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
        takes_full = not _is_fast(node)
        takes_other = _is_fast(node) or not any(map(_is_fast, self.nodes))
        takes = {True: takes_full, False: takes_other}
        return next((scope for scope in self.workqueue if takes[self._is_full(scope)]), None)

    def _is_full(self, scope: str) -> bool:
        """Whether a file has the mark, which only workers know, who collect it."""
        return MARK in Path(self.config.rootpath, scope).read_text()


def _is_fast(node: Any) -> bool:
    return FAST in node.gateway.spec.env
