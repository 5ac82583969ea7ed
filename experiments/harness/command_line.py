"""An experiment's flags as one mapping: taken from its module, read, and given stored values."""

import sys
from collections.abc import Mapping
from typing import Any

from absl import flags

__all__ = ["FLAGS", "adopt_flags", "current_settings", "restore", "set_missing"]

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
      values: by a flag's name.
    """
    for name, value in values.items():
        if not FLAGS[name].present:
            FLAGS[name].value = value


def restore(name: str, value: Any) -> None:
    """Gives a flag the value that a file holds.

    Args:
      name: the flag's.
      value: as `current_settings` gave it, in JSON.

    Raises:
      ValueError: if the command line could not have given the flag this value.
    """
    flag = FLAGS[name]
    is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
    try:
        if value is None:
            setattr(FLAGS, name, None)
        else:
            # By way of text, as from a command line: 2.0 and true are no counts.
            text = ",".join(value) if is_list else value if isinstance(value, str) else repr(value)
            setattr(FLAGS, name, flag.parser.parse(text))
    except (flags.Error, ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"--{name} cannot be {value!r}: {error}") from error
    if FLAGS[name].value != value:
        raise ValueError(f"--{name} cannot be {value!r}")
