"""An experiment's assembled results: kept with what they were measured with, and read again."""

from pathlib import Path
from typing import Any

import xarray

from experiments.harness.command_line import FLAGS, current_settings, restore
from experiments.harness.experiment import Experiment
from experiments.harness.output_folder import read_record, remedy
from initlab.files import plain
from initlab.sweeps import dataset_io

__all__ = ["keep", "reopen"]


def keep(results: xarray.Dataset, out: Path, own: frozenset[str]) -> None:
    """Writes results.zarr, with checksums and the flags that measured it.

    Args:
      results: what `measure` gave.
      out: the experiment's folder.
      own: names of the experiment's own flags.
    """
    given = {name: value for name, value in current_settings().items() if name in own}
    dataset_io.save(results, out / "results.zarr", measured_with=plain(given))


def reopen(out: Path, own: frozenset[str], experiment: Experiment) -> tuple[xarray.Dataset, str]:
    """Reads the results again, for --figures_only, and gives the flags the values of then.

    A flag of `experiment.judging` that is given counts: it judges the results anew.

    Args:
      out: the experiment's folder.
      own: names of the experiment's own flags.
      experiment: whose results they are.

    Returns:
      The results, in memory; and a sentence, where nothing can check them, that says so.

    Raises:
      ValueError: if another flag is given and the results were measured otherwise; if a file is
        damaged, or run.json and the results are not of one run.
    """
    stored = read_record(out)["flags"]
    for name in sorted(own & stored.keys()):
        if not FLAGS[name].present and not (FLAGS.smoke and name in experiment.smoke):
            try:
                restore(name, stored[name])
            except ValueError as error:
                raise ValueError(
                    f"{out / 'run.json'} is damaged ({error}); {remedy(out)}"
                ) from error
        elif name not in experiment.judging and plain(FLAGS[name].value) != stored[name]:
            others = ", ".join(f"--{each}" for each in sorted(experiment.judging)) or "none"
            raise ValueError(
                f"--{name} is {_shown(FLAGS[name].value)} here, and the results in {out} were "
                f"measured with {_shown(stored[name])}; leave it out, or leave --figures_only out "
                f"and give another --out to measure anew (flags that judge anew: {others})"
            )
    path = out / "results.zarr"
    results, measured_with = dataset_io.load(path)
    if measured_with is None:
        return results, (
            f"{path} has no checksums (an earlier version wrote it, or its manifest is lost): it "
            "is read unchecked; the same call without --figures_only writes it anew"
        )
    for name in sorted(measured_with.keys() | (own & stored.keys())):
        if measured_with.get(name) != stored.get(name):
            raise ValueError(
                f"{path} was measured with --{name}={_shown(measured_with.get(name))}, and "
                f"{out / 'run.json'} says {_shown(stored.get(name))}: they are of two runs; "
                "restore one of them from a copy, or measure anew without --figures_only"
            )
    return results, ""


def _shown(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)
