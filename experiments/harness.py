"""What every experiment does alike: flags, the output folder, the files in it, the table."""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import xarray
from absl import app, flags, logging

from initlab import figures, report
from initlab.sweeps import store

__all__ = ["Experiment", "launch"]

# --help and run.json list a flag under the binary that asks for it, not under this file.
flags.disclaim_key_flags()

FLAGS = flags.FLAGS
PACKAGES = ("jax", "jaxlib", "numpy", "optax", "chex", "xarray", "zarr", "scikit-learn")


class Experiment(NamedTuple):
    """One question, and how it is answered.

    Attributes:
      name: the module's name, and the default output folder's.
      measure: `() -> Dataset`: runs everything.
      summarize: `Dataset -> dict`: the numbers of the table, for summary.json.
      show: `summary -> str`: the table as printed.
      draw: `Dataset -> Figure`.
      smoke: `{flag: value}`: the small sizes that --smoke stands for.
      verdict: `summary -> exit code`; 0 when absent.
    """

    name: str
    measure: Callable[[], xarray.Dataset]
    summarize: Callable[[xarray.Dataset], dict[str, Any]]
    show: Callable[[dict[str, Any]], str]
    draw: Callable[[xarray.Dataset], Any]
    smoke: Mapping[str, Any]
    verdict: Callable[[dict[str, Any]], int] = lambda summary: 0


def launch(experiment: Experiment) -> None:
    """Defines the common flags and hands over to absl."""
    flags.DEFINE_string("out", f"out/{experiment.name}", "Folder for the results.")
    flags.DEFINE_bool("smoke", False, f"Small sizes: {dict(experiment.smoke)}.")
    flags.DEFINE_bool("figures_only", False, "Draw again from the results in --out.")
    # What backends JAX looked for in vain is no news.
    logging.get_absl_logger().manager.getLogger("jax").setLevel("WARNING")
    # One device for each core, set before JAX starts: small networks run 2 to 7 times faster so.
    jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    app.run(lambda argv: _main(experiment, argv))


def _main(experiment: Experiment, argv: list[str]) -> int:
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    if FLAGS.smoke:
        for name, value in experiment.smoke.items():
            if not FLAGS[name].present:
                FLAGS[name].value = value
    out = Path(FLAGS.out)
    try:
        _check_folder(out, experiment.name, FLAGS.figures_only)
        if FLAGS.figures_only:
            _restore_flags(out)
            results = store.load(out / "results.zarr")
        else:
            results = _measure(experiment, out)
        summary = experiment.summarize(results)
    except (ValueError, TypeError, OSError) as error:
        logging.debug("refused", exc_info=True)
        print(f"{experiment.name}: {error}", file=sys.stderr)
        return 2
    report.write_json(out / "summary.json", summary)
    figures.save(experiment.draw(results), out / "figure")
    print(experiment.show(summary))
    print(f"\nresults, summary and figure are in {out}")
    return experiment.verdict(summary)


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
    results = experiment.measure()
    # Only now is anything written: bad input and an interrupted run leave the folder as it was.
    out.mkdir(parents=True, exist_ok=True)
    report.write_json(out / "run.json", _provenance(experiment.name, began, sum(compiling)))
    store.save(results, out / "results.zarr")
    return results


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


def _provenance(name: str, began: float, compiling: float) -> dict[str, Any]:
    device = jax.devices()[0]
    own = FLAGS.get_flags_for_module(sys.argv[0])
    return {
        "experiment": name,
        "flags": {flag.name: flag.value for flag in own},
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        "revision": _revision(),
        "versions": {
            "initlab": importlib.metadata.version("initlab"),
            "python": platform.python_version(),
            **{package: importlib.metadata.version(package) for package in PACKAGES},
        },
        "device": {
            "platform": device.platform,
            "kind": device.device_kind,
            "count": jax.device_count(),
        },
        "compile_seconds": compiling,
        "run_seconds": time.time() - began - compiling,
    }


def _revision() -> str | None:
    """The commit of the code that runs, with "-dirty" for a changed tree; None outside git."""
    git = shutil.which("git")
    if git is None:
        return None
    home = Path(__file__).parent
    said = subprocess.run(
        [git, "-C", str(home), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() if said.returncode == 0 else None
