"""What every experiment does alike: flags, the output folder, the files in it, the table."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import xarray
from absl import app, logging
from absl import flags as absl_flags

import initlab
from experiments.harness import checkpoints, runtime
from initlab import figures, report
from initlab.sweeps import dataset_io, provenance, zarr_store
from initlab.training import Run

__all__ = ["Experiment", "Settings", "fill", "launch", "sweep"]

# --help and run.json list a flag under the binary that asks for it, not under this file.
absl_flags.disclaim_key_flags()

FLAGS = absl_flags.FLAGS

INTERRUPTED = 130
"""What a shell reports for a program that Ctrl-C ended."""


Settings = Mapping[str, Any]
"""The experiment's flags and their values, by name."""


class Experiment(NamedTuple):
    """One question, and how it is answered.

    Attributes:
      name: the module's name, and the default output folder's.
      measure: `() -> Dataset`: runs everything.
      summarize: `(Dataset, settings) -> dict`: the numbers of the table, for summary.json.
      show: `(summary, settings) -> str`: the table as printed.
      draw: `(Dataset, settings) -> Figure`.
      smoke: `{flag: value}`: the small sizes that --smoke stands for.
      verdict: `summary -> exit code`; 0 when absent.
      float64: whether it computes in double precision.

    Settings are the experiment's flags by name: those that the results were stored with, overlaid
    with those given. So summarize, show and draw are functions of their arguments alone.
    """

    name: str
    measure: Callable[[], xarray.Dataset]
    summarize: Callable[[xarray.Dataset, Settings], dict[str, Any]]
    show: Callable[[dict[str, Any], Settings], str]
    draw: Callable[[xarray.Dataset, Settings], Any]
    smoke: Mapping[str, Any]
    verdict: Callable[[dict[str, Any]], int] = lambda summary: 0
    float64: bool = False


def launch(experiment: Experiment) -> None:
    """Defines the common flags and hands over to absl."""
    _adopt_flags(experiment.measure.__module__)
    if experiment.float64:
        jax.config.update("jax_enable_x64", True)
    absl_flags.DEFINE_string("out", f"out/{experiment.name}", "Folder for the results.")
    absl_flags.DEFINE_bool("smoke", False, f"Small sizes: {dict(experiment.smoke)}.")
    absl_flags.DEFINE_bool("figures_only", False, "Draw again from the results in --out.")
    absl_flags.DEFINE_integer(
        "block", None, "Runs that a device computes together: divides 16, or is a multiple of it."
    )
    runtime.define_flags()
    app.run(lambda argv: _main(experiment, argv))


def sweep(
    run: Run | Callable[..., Run],
    axes: Mapping[Any, Iterable[Any]],
    *,
    name: str = "runs",
    structure: Mapping[str, Any] | None = None,
) -> xarray.Dataset:
    """`initlab.sweep`, kept in the experiment's folder: the same command goes on where it stopped.

    Args:
      run: a run, or with a structure a factory of runs.
      axes: as for `initlab.sweep`.
      name: of this sweep among the experiment's.
      structure: as for `initlab.sweep`.

    Returns:
      The results, opened lazily; their attrs hold the flags too.
    """
    path = Path(FLAGS.out) / "sweeps" / f"{name}.zarr"
    results = initlab.sweep(run, axes, out=path, structure=structure, block=FLAGS.block)
    given = {"flags": _own_flags()}
    if runtime.is_first() and "flags" not in results.attrs:
        zarr_store.add_attributes(path, given)
    return results.assign_attrs(given)


def fill(
    table: Sequence[Mapping[str, Any]],
    find: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """`cells.fill`, kept in the experiment's folder: the same command goes on where it stopped.

    Args:
      table: its cells, as for `cells.fill`.
      find: what is found in a cell.

    Returns:
      What was found, as NumPy arrays.
    """
    return checkpoints.fill(Path(FLAGS.out) / "cells", table, find)


def _main(experiment: Experiment, argv: list[str]) -> int:
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    if FLAGS.smoke:
        for name, value in experiment.smoke.items():
            if not FLAGS[name].present:
                FLAGS[name].value = value
    runtime.start()
    out = Path(FLAGS.out)
    try:
        _check_folder(out, experiment.name, FLAGS.figures_only)
        if FLAGS.figures_only:
            _restore_flags(out)
            results = dataset_io.load(out / "results.zarr")
        else:
            results = _measure(experiment, out)
        if not runtime.is_first():
            return 0
        settings = _own_flags()
        summary = experiment.summarize(results, settings)
    except (ValueError, TypeError, OSError) as error:
        logging.debug("refused", exc_info=True)
        print(f"{experiment.name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        print(f"\n{experiment.name}: {interrupt or 'interrupted'}", file=sys.stderr)
        return INTERRUPTED
    report.write_json(out / "summary.json", summary)
    figures.save(experiment.draw(results, settings), out / "figure")
    print(experiment.show(summary, settings))
    print(f"\nresults, summary and figure are in {out}")
    return experiment.verdict(summary)


def _adopt_flags(module: str) -> None:
    """An experiment's flags and docstring are those of the program that runs it.

    `python -m experiments.NAME` runs the folder's __main__.py, and absl lists the flags and the
    docstring of that file under --help.
    """
    if module == "__main__":
        return
    for flag in FLAGS.get_flags_for_module(module):
        FLAGS.register_flag_by_module(sys.argv[0], flag)
        FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    sys.modules["__main__"].__doc__ = sys.modules[module].__doc__


def _restore_flags(out: Path) -> None:
    """Gives every flag that was not given the value that the stored results were made with."""
    for name, value in json.loads((out / "run.json").read_text())["flags"].items():
        if name in FLAGS and not FLAGS[name].present:
            FLAGS[name].value = value


def _measure(experiment: Experiment, out: Path) -> xarray.Dataset:
    compiling: list[float] = []

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        # Lowering and the backend's work; tracing is left out, since traces report themselves
        # again in those around them.
        if event.endswith(("jaxpr_to_mlir_module_duration", "backend_compile_duration")):
            compiling.append(duration_secs)

    jax.monitoring.register_event_duration_secs_listener(listen)
    began = time.time()
    if not runtime.is_first():
        return experiment.measure()
    record = {"experiment": experiment.name, "flags": _own_flags(), **_circumstances()}
    with _claimed(out, record):
        results = experiment.measure()
    dataset_io.save(results, out / "results.zarr")
    seconds = {
        "compile_seconds": sum(compiling),
        "run_seconds": time.time() - began - sum(compiling),
    }
    report.write_json(out / "run.json", record | {"finished": True} | seconds)
    return results


@contextlib.contextmanager
def _claimed(out: Path, record: Mapping[str, Any]) -> Iterator[None]:
    """Says in run.json whose folder it is, while sweeps are written; unsays it if none was begun.

    What is refused before anything is computed leaves the folder as it was.
    """
    path = out / "run.json"
    before = path.read_bytes() if path.exists() else None
    made = [folder for folder in (out, *out.absolute().parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    report.write_json(path, {**record, "finished": False})
    try:
        yield
    except (ValueError, TypeError, OSError):
        if before is not None:
            path.write_bytes(before)
        elif [file.name for file in out.iterdir()] == ["run.json"]:
            path.unlink()
            for empty in made:
                empty.rmdir()
        raise


def _check_folder(out: Path, name: str, figures_only: bool) -> None:
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out must be a folder, and {out} is a file")
    home = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not os.access(home, os.W_OK):
        raise ValueError(f"--out {out} cannot be written: {home} is read-only")
    if not out.exists() or not any(out.iterdir()):
        if figures_only:
            raise ValueError(f"--figures_only wants results in {out}, and there are none")
        return
    record = out / "run.json"
    if not record.is_file():
        raise ValueError(f"--out {out} holds other files, and no results of {name}")
    owner = json.loads(record.read_text()).get("experiment")
    if owner != name:
        raise ValueError(f"--out {out} holds results of {owner!r}, not of {name!r}")


def _own_flags() -> dict[str, Any]:
    return {flag.name: flag.value for flag in FLAGS.get_flags_for_module(sys.argv[0])}


def _circumstances() -> dict[str, Any]:
    return {**provenance.provenance(), "revision": provenance.revision(Path(__file__))}
