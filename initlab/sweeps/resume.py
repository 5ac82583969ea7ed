"""A sweep that is written chunk by chunk and resumes where it was interrupted."""

import contextlib
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import jax
import xarray

from initlab.sweeps import processes, provenance, zarr_store
from initlab.sweeps.computation import Job, compute_chunks
from initlab.sweeps.layout import Layout
from initlab.sweeps.lock import share_lock, take_lock
from initlab.sweeps.markers import add_seconds, is_finished, marked_numbers, write_chunk
from initlab.sweeps.plan import Plan
from initlab.sweeps.progress import progress_bar
from initlab.sweeps.specification import specify
from initlab.sweeps.structure import Structure

__all__ = ["write_sweep"]


def write_sweep(
    job: Job,
    structure: Structure,
    layout: Layout,
    plan: Plan,
    out: str | PathLike[str],
    progress: bool,
) -> xarray.Dataset:
    """Computes the chunks that the store lacks; each process its own.

    Args:
      job: what is computed, and where.
      structure: whose runs they are.
      layout: what the results hold.
      plan: the chunks, if the store is not there yet.
      out: the store's folder.
      progress: whether to show a bar.

    Returns:
      The whole store, opened lazily.

    Raises:
      ValueError: if the folder holds anything but this sweep, or a file is damaged.
      OSError: if it cannot be written, or another sweep holds it.
      KeyboardInterrupt: on Ctrl-C, saying what is kept.
    """
    path = Path(out).absolute()
    with contextlib.ExitStack() as held:
        _begin(job, structure, layout, plan, path, held)
        plan = zarr_store.read_plan(path, plan)
        try:
            _together(lambda: _compute_missing(job, layout, plan, path, progress))
        except KeyboardInterrupt as error:
            kept = sum(plan.at(number).runs for number in marked_numbers(path))
            raise KeyboardInterrupt(
                f"interrupted; {kept} of {plan.runs} runs are kept in {path}, and the same call "
                "goes on from there"
            ) from error
        processes.first_decides(lambda: _finish(path, plan))
    return zarr_store.open_results(path)


def _begin(
    job: Job,
    structure: Structure,
    layout: Layout,
    plan: Plan,
    path: Path,
    held: contextlib.ExitStack,
) -> None:
    """Process 0 takes the lock and prepares the store; then all hold the lock together."""
    lock = path / zarr_store.LOCK
    is_first = jax.process_index() == 0
    # What is unsupported, or differs between processes, is refused before anything is written.
    specification = processes.agree(lambda: specify(job, structure), "one sweep")
    processes.check_shared(path)

    def prepare() -> None:
        zarr_store.check_folder(path)
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = held.enter_context(take_lock(lock))
        zarr_store.prepare(path, layout, plan, specification)
        # Exclusive while the store is prepared; shared for as long as all processes write to it.
        if jax.process_count() > 1:
            share_lock(file, lock)

    processes.first_decides(prepare)
    if not is_first:
        held.enter_context(take_lock(lock, shared=True))


def _together(act: Callable[[], None]) -> None:
    """Every process acts and waits for the others, so that none waits for one that failed."""
    failure: OSError | ValueError | None = None
    try:
        act()
    except (OSError, ValueError) as error:
        failure = error
    said = processes.gather("" if failure is None else f"{type(failure).__name__}: {failure}")
    if failure is not None:
        raise failure
    if failures := [f"process {n} raised {each}" for n, each in enumerate(said) if each]:
        raise OSError("; ".join(failures))


def _compute_missing(job: Job, layout: Layout, plan: Plan, path: Path, progress: bool) -> None:
    # Every process_count-th chunk: which process computes one follows from its number alone.
    first, step = jax.process_index(), jax.process_count()
    missing: list[int] = []
    runs = resumed = finished = 0
    for chunk in plan.chunks(first, step):
        runs += chunk.runs
        if is_finished(path, layout, chunk):
            finished += chunk.runs
            resumed += 1
        else:
            missing.append(chunk.number)
    if not missing:
        return
    arrays = zarr_store.open_arrays(path, layout)
    chunks = (plan.at(number) for number in missing)
    with progress_bar(runs, finished, resumed, wanted=progress and first == 0) as bar:
        for computed in compute_chunks(job, chunks, bar.update):
            write_chunk(path, arrays, layout, computed)


def _finish(path: Path, plan: Plan) -> None:
    if not zarr_store.read_attributes(path).get("complete"):
        zarr_store.add_attributes(
            path, {**add_seconds(path, plan), "complete": True, "finished": provenance.now()}
        )
