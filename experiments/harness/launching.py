"""An experiment as a program: flags in, results, summary, figure and an exit status out."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import jax
import xarray
from absl import app, flags, logging

from experiments.harness import cluster, runtime
from experiments.harness.command_line import FLAGS, adopt_flags, current_settings, set_missing
from experiments.harness.experiment import Experiment
from experiments.harness.output_folder import check_folder, claimed
from initlab import figures, report
from initlab.sweeps import dataset_io, provenance

__all__ = ["INTERRUPTED", "launch"]

# --help and run.json list a flag under the binary that asks for it, not under this file.
flags.disclaim_key_flags()

INTERRUPTED = 130
"""What a shell reports for a program that Ctrl-C ended."""


def launch(experiment: Experiment) -> None:
    """Defines the common flags, runs the experiment as the flags say, and exits.

    Args:
      experiment: its flags are those of the module that defines `measure`.
    """
    adopt_flags(experiment.measure.__module__)
    if experiment.float64:
        # Before anything is traced; modules that make arrays when imported make them in NumPy.
        jax.config.update("jax_enable_x64", True)
    flags.DEFINE_string("out", f"out/{experiment.name}", "Folder for the results.")
    flags.DEFINE_bool("smoke", False, f"Small sizes: {dict(experiment.smoke)}.")
    flags.DEFINE_bool("figures_only", False, "Draw again from the results in --out.")
    flags.DEFINE_integer(
        "block", None, "Runs that a device computes together: divides 16, or is a multiple of it."
    )
    runtime.define_flags()
    app.run(lambda argv: cluster.leave(_main(experiment, argv)))


def _main(experiment: Experiment, argv: list[str]) -> int:
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    if FLAGS.smoke:
        set_missing(experiment.smoke)
    out = Path(FLAGS.out)
    try:
        runtime.start(experiment.name)
        cluster.compare(experiment.name, out)
        check_folder(out, experiment.name, FLAGS.figures_only)
        if FLAGS.figures_only:
            # A flag that is given still counts: --trained_fraction may judge stored runs anew.
            set_missing(json.loads((out / "run.json").read_text())["flags"])
            results = dataset_io.load(out / "results.zarr")
        else:
            results = _measure(experiment, out)
        if not runtime.is_first():
            return 0
        settings = current_settings()
        summary = experiment.summarize(results, settings)
    except (ValueError, TypeError, OSError) as error:
        # Bad input is the user's to correct, in one line; --verbosity=1 logs the traceback too.
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
    record = {"experiment": experiment.name, "flags": current_settings(), **_circumstances()}
    with claimed(out, record):
        results = experiment.measure()
    dataset_io.save(results, out / "results.zarr")
    seconds = {
        "compile_seconds": sum(compiling),
        "run_seconds": time.time() - began - sum(compiling),
    }
    report.write_json(out / "run.json", record | {"finished": True} | seconds)
    return results


def _circumstances() -> dict[str, Any]:
    return {**provenance.provenance(), "revision": provenance.revision(Path(__file__))}
