"""The command line: `initlab audit package.module:factory`, `explain CODE`, `page`."""

import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from initlab import exits
from initlab.audits import Report
from initlab.audits.ignores import check_code, read_ignores
from initlab.command import baseline, sarif
from initlab.command.explain import explain, overview
from initlab.command.factory import audit_factory, find_factory, make_arguments
from initlab.page import write_page
from initlab.terminal import one_line

__all__ = ["main"]

USAGE = """\
initlab audit package.module:factory [flags]    Will the start of a model train?
initlab explain [CODE]                          What does a code mean? Without one: all codes.
initlab page [--out page.html]                  A page where anybody watches a start train.

The factory takes nothing and gives what initlab.audit takes, by name: apply, batch, params or init,
perhaps loss. Exit status: 0; 1 for the verdict "fail"; 2 for what is refused, or a model that
raises; 3 for an internal error; 130 after Ctrl-C.
"""

# Flags of its own: the model's module may define flags too, by the same names.
FLAGS = flags.FlagValues()
SEEDS = flags.DEFINE_integer(
    "seeds",
    0,
    "Starts that the factory's init draws; 0: its params as they are.",
    lower_bound=0,
    flag_values=FLAGS,
)
SEED = flags.DEFINE_integer(
    "seed", 0, "Draws the cotangent and the starts.", lower_bound=0, flag_values=FLAGS
)
SELECT = flags.DEFINE_list("select", [], "Codes that are reported; all.", flag_values=FLAGS)
IGNORE = flags.DEFINE_list(
    "ignore",
    [],
    'Codes that are accepted, everywhere or as "code:pattern" of paths, "saturated:blocks/**".',
    flag_values=FLAGS,
)
FORMAT = flags.DEFINE_enum(
    "format", "text", ["text", "json", "sarif", "html"], "Of the report.", flag_values=FLAGS
)
BASELINE = flags.DEFINE_string(
    "baseline", None, "A JSON file of findings that are accepted.", flag_values=FLAGS
)
WRITE_BASELINE = flags.DEFINE_boolean(
    "write_baseline",
    False,
    "Whether to accept all failures and warnings from now on: they are written to --baseline.",
    flag_values=FLAGS,
)
OUT = flags.DEFINE_string("out", "page.html", "The file that `page` writes.", flag_values=FLAGS)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
      argv: the program's name and its arguments; those of this process where absent.

    Returns:
      The exit status, one of `initlab.exits`: FAILED for the verdict "fail".

    >>> main(["initlab", "explain", "no_such_code"])
    2
    """
    argv = list(sys.argv if argv is None else argv)
    try:
        status = _main(argv)
        # Here, where it can be answered, and not as Python ends: perhaps nobody reads any more.
        sys.stdout.flush()
        return status
    except flags.Error as error:
        print(f"initlab: {one_line(error)}", file=sys.stderr)
        return exits.BAD_INPUT
    except Exception as error:
        return exits.report_error("initlab", error)
    except KeyboardInterrupt as interrupt:
        advice = "interrupted, nothing was written; the same call starts again"
        return exits.report_interrupt("initlab", interrupt, advice)


def _main(argv: list[str]) -> int:
    if {"--help", "-h", "--helpfull"} & set(argv):
        print(f"{USAGE}\nFlags of audit, and --out of page:\n{FLAGS.get_help()}")
        return exits.PASSED
    FLAGS.unparse_flags()
    for name in FLAGS:
        FLAGS[name].unparse()
    FLAGS.set_gnu_getopt(True)
    match FLAGS(argv)[1:]:
        case ["audit", name]:
            return _audit(name)
        case ["explain"]:
            print(overview())
            return exits.PASSED
        case ["explain", code]:
            print(explain(code))
            return exits.PASSED
        case ["page"]:
            print(write_page(OUT.value))
            return exits.PASSED
        case others:
            given = " ".join(others) or "nothing"
            raise ValueError(
                f"the command must be `audit package.module:factory`, `explain [CODE]` or `page`, "
                f"got {given}; `initlab --help` says more"
            )


def _audit(name: str) -> int:
    if FLAGS["out"].present:
        raise ValueError(
            "--out must be given to `initlab page` alone: an audit prints its report, which "
            "`> FILE` keeps"
        )
    if WRITE_BASELINE.value and BASELINE.value is None:
        raise ValueError("--write_baseline requires --baseline, the file that it writes")
    for code in SELECT.value:
        check_code(code)
    path = None if BASELINE.value is None else baseline.check_path(BASELINE.value)
    is_read = path is not None and (path.exists() or not WRITE_BASELINE.value)
    known = baseline.read_baseline(path) if path is not None and is_read else ()
    ignores = (*baseline.read_flag(IGNORE.value), *known)
    # `python -m` looks for modules in the folder that it is called from; a script does not.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    # Whatever a model prints while it is traced must not be in the JSON.
    with contextlib.redirect_stdout(sys.stderr):
        make = find_factory(name)
        given = make_arguments(make)
        accepted = baseline.as_argument((*ignores, *read_ignores(given.get("ignore"))))
        report = audit_factory(given, SEEDS.value, SEED.value, ignore=accepted)
    if SELECT.value:
        chosen = tuple(each for each in report.findings if each.code in SELECT.value)
        report = dataclasses.replace(report, findings=chosen)
    print(_formatted(report, name, make))
    if WRITE_BASELINE.value and path is not None:
        before = {(each.code, each.pattern) for each in known}
        kept = [each for each in report.ignored if (each.code, each.pattern) in before]
        count = baseline.write_baseline(path, report.findings, kept)
        print(f"{count} findings are accepted by {path}", file=sys.stderr)
        return exits.PASSED
    return exits.FAILED if report.verdict == "fail" else exits.PASSED


def _formatted(report: Report, name: str, make: Callable[[], Any]) -> str:
    match FORMAT.value:
        case "json":
            return report.to_json()
        case "html":
            return report.to_html()
        case "sarif":
            return sarif.to_sarif(report, name, make)
    return str(report)
