"""An experiment's flags as one mapping: taken from its module, read, and given stored values."""

import sys
from collections.abc import Mapping
from typing import Any

from absl import flags

__all__ = ["FLAGS", "adopt_flags", "current_settings", "set_missing"]

# --help and run.json list a flag under the binary that asks for it, not under this file.
flags.disclaim_key_flags()

FLAGS = flags.FLAGS


def adopt_flags(module: str) -> None:
    """Makes a module's flags and docstring those of the program that runs it.

    `python -m experiments.NAME` runs the folder's __main__.py, but the flags are defined in its
    experiment.py; absl's --help lists the flags and the docstring of the file that runs.

    Args:
      module: where the flags are defined, as in `__module__`.
    """
    # An experiment of one file is itself the program.
    if module == "__main__":
        return
    for flag in FLAGS.get_flags_for_module(module):
        FLAGS.register_flag_by_module(sys.argv[0], flag)
        FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    sys.modules["__main__"].__doc__ = sys.modules[module].__doc__


def current_settings() -> dict[str, Any]:
    """The program's flags and their values now, by name."""
    # absl knows the program by its path, as the shell gave it.
    return {flag.name: flag.value for flag in FLAGS.get_flags_for_module(sys.argv[0])}


def set_missing(values: Mapping[str, Any]) -> None:
    """Gives every flag that is not on the command line the value that is named here, if any.

    Args:
      values: by a flag's name; names that are no flag (of an older version, say) are ignored.
    """
    for name, value in values.items():
        if name in FLAGS and not FLAGS[name].present:
            FLAGS[name].value = value
