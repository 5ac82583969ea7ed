"""An experiment as a program: flags in, results, summary, figure and an exit status out."""

import os
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import jax
import xarray
from absl import app, flags, logging

from experiments import interrupts
from experiments.harness import cluster, progress, results_store, runtime
from experiments.harness.command_line import FLAGS, adopt_flags, current_settings, set_missing
from experiments.harness.experiment import Experiment
from experiments.harness.output_folder import check_folder, claimed, read_folder
from initlab import exits, figures, files, report
from initlab.sweeps import provenance
from initlab.sweeps.storage import open_storage
from initlab.terminal import one_line

__all__ = ["define_flags", "launch", "parse_flags", "run"]

# --help and run.json list a flag under the binary that asks for it, not under this file.
flags.disclaim_key_flags()


def launch(experiment: Experiment) -> NoReturn:
    """Defines the common flags, runs the experiment as the flags say, and exits.

    Args:
      experiment: its flags are those of the module that defines `measure`.

    Raises:
      SystemExit: with a status of `initlab.exits`.
    """
    try:
        interrupts.begin()
        own = define_flags(experiment)
        app.run(
            lambda argv: _leave(run(experiment, own, argv)),
            flags_parser=lambda argv: parse_flags(experiment.name, argv),
        )
    except KeyboardInterrupt as interrupt:
        # Before the experiment began, or after it ended.
        advice = "interrupted; the same call starts again, or goes on from what is kept"
        sys.exit(exits.report_interrupt(experiment.name, interrupt, advice))
    except BrokenPipeError as unread:
        # Of --help.
        sys.exit(exits.report_error(experiment.name, unread))
    raise AssertionError("app.run exits")


def define_flags(experiment: Experiment) -> frozenset[str]:
    """Defines the flags that all experiments have.

    Args:
      experiment: its own flags are defined already.

    Returns:
      The names of its own flags: what decides its results.
    """
    adopt_flags(experiment.measure.__module__)
    own = frozenset(current_settings())
    flags.DEFINE_string("out", f"out/{experiment.name}", "Folder for the results.")
    flags.DEFINE_string(
        "sweeps",
        "",
        "Where sweeps and cells are kept: a folder, s3://bucket/prefix or gs://bucket/prefix, "
        "which several processes without a common disk share; in --out if empty.",
    )
    flags.register_validator("sweeps", _check_sweeps)
    flags.DEFINE_bool("smoke", False, f"Small sizes: {dict(experiment.smoke)}.")
    flags.DEFINE_bool("figures_only", False, "Draw again from the results in --out.")
    flags.DEFINE_bool("html", False, "Write figure.html too: the results, to be explored.")
    flags.DEFINE_integer(
        "block", None, "Runs that a device computes together: divides 16, or is a multiple of it."
    )
    flags.register_validator(
        "block",
        lambda given: given is None or (given > 0 and (given % 16 == 0 or 16 % given == 0)),
        message="--block must divide 16 or be a multiple of it",
    )
    runtime.define_flags()
    return own


def _check_sweeps(given: str) -> bool:
    try:
        return not given or bool(open_storage(given))
    except (ImportError, ValueError) as error:
        raise flags.ValidationError(f"--sweeps: {error}") from error


def _leave(status: int) -> int:
    """Ends an interrupted program at once; the status of any other."""
    status = cluster.leave(status)
    if status == exits.INTERRUPTED:
        sys.stdout.flush()
        sys.stderr.flush()
        # XLA's threads are still computing: where Python takes itself apart under them, a
        # segmentation fault may take the status's place.
        os._exit(status)
    return status


def parse_flags(name: str, argv: list[str]) -> list[str]:
    """Reads the command line; what it cannot read is said in one line.

    Args:
      name: the experiment's.
      argv: the program and its arguments.

    Returns:
      The program and what is no flag.

    Raises:
      SystemExit: with BAD_INPUT, or after --help with PASSED.
    """
    try:
        return FLAGS(argv)
    except flags.Error as error:
        print(f"{name}: {one_line(error)}", file=sys.stderr)
        sys.exit(exits.BAD_INPUT)
    except SystemExit as asked:
        sys.stdout.flush()
        # absl ends --help with 1, which here is a verdict.
        sys.exit(exits.PASSED if asked.code == 1 else asked.code)


def run(experiment: Experiment, own: frozenset[str], argv: list[str]) -> int:
    """Runs the experiment as the flags say.

    Args:
      experiment: what to run.
      own: names of its own flags.
      argv: the program, and what is left of its arguments.

    Returns:
      The exit status.
    """
    if experiment.float64:
        # Before anything is traced; modules that make arrays when imported make them in NumPy.
        jax.config.update("jax_enable_x64", True)
    kept = "nothing was kept: the same call starts again"
    try:
        with progress.saying_how_it_goes(experiment.name):
            return _run(experiment, own, argv)
    except KeyboardInterrupt as interrupt:
        out = Path(FLAGS.out)
        if FLAGS.sweeps:
            kept = f"what is finished is kept in {FLAGS.sweeps}: the same call goes on from there"
        elif (out / "sweeps").is_dir() or (out / "cells").is_dir():
            kept = f"what is finished is kept in {out}: the same call goes on from there"
        return exits.report_interrupt(experiment.name, interrupt, f"interrupted; {kept}")
    except ConnectionAbortedError as lost:
        # Another process has ended while this one waited for it.
        return exits.report_interrupt(experiment.name, lost, "interrupted")
    except Exception as error:
        # --verbosity=1 logs where it was refused.
        logging.debug("refused", exc_info=True)
        return exits.report_error(experiment.name, error)


def _run(experiment: Experiment, own: frozenset[str], argv: list[str]) -> int:
    if len(argv) > 1:
        raise ValueError(f"unknown arguments: {' '.join(argv[1:])}; flags begin with --")
    out = read_folder(FLAGS.out)
    FLAGS.out = str(out)
    if FLAGS.smoke:
        set_missing(experiment.smoke)
    runtime.start(experiment.name)
    cluster.compare(experiment.name)
    if FLAGS.figures_only and not runtime.is_first():
        return exits.PASSED
    check_folder(out, experiment.name, FLAGS.figures_only)
    if FLAGS.figures_only:
        results, doubt = results_store.reopen(out, own, experiment)
    else:
        results, doubt = _measure(experiment, own, out), ""
    if not runtime.is_first():
        return exits.PASSED
    settings = current_settings()
    try:
        summary = experiment.summarize(results, settings)
    except KeyError as error:
        if not FLAGS.figures_only:
            raise
        raise ValueError(
            f"{out / 'results.zarr'} lacks what this version of {experiment.name} reads ({error}); "
            "measure anew, with another --out"
        ) from error
    if doubt:
        logging.warning("%s", doubt)
    report.write_json(out / "summary.json", summary)
    figures.save(experiment.draw(results, settings), out / "figure")
    if FLAGS.html:
        page = figures.explorer_page(results, title=experiment.name)
        with files.replace_atomically(out / "figure.html") as partial:
            partial.write_text(page, encoding="utf-8")
    print(experiment.show(summary, settings))
    # Flushed where it can be answered, and not as Python ends: perhaps nobody reads any more.
    print(f"\nresults, summary and figure are in {one_line(out)}", flush=True)
    if results.attrs.get("interrupted") and not FLAGS.figures_only:
        return exits.INTERRUPTED
    return experiment.verdict(summary)


def _measure(experiment: Experiment, own: frozenset[str], out: Path) -> xarray.Dataset:
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
    record = {"experiment": experiment.name, "flags": current_settings(), **_circumstances()}
    with claimed(out, record):
        results = experiment.measure()
    results_store.keep(results, out, own)
    seconds = {
        "compile_seconds": sum(compiling),
        "run_seconds": time.time() - began - sum(compiling),
    }
    report.write_json(out / "run.json", record | {"finished": True} | seconds)
    return results


def _circumstances() -> dict[str, Any]:
    return {**provenance.provenance(), "revision": provenance.revision(Path(__file__))}
