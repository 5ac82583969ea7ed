"""A sweep that is written chunk by chunk and resumes where it was interrupted."""

import contextlib
import errno
from collections.abc import Callable

import jax
import xarray

from initlab.sweeps import processes, provenance, zarr_store
from initlab.sweeps.computation import Job, compute_chunks
from initlab.sweeps.layout import Layout
from initlab.sweeps.lock import Lock
from initlab.sweeps.markers import add_seconds, is_finished, marked_numbers, write_chunk
from initlab.sweeps.plan import Plan
from initlab.sweeps.progress import progress_bar
from initlab.sweeps.root import add_attributes, read_attributes
from initlab.sweeps.specification import specify
from initlab.sweeps.storage import ReadOnly, Storage
from initlab.sweeps.structure import Structure

__all__ = ["write_sweep"]


def write_sweep(
    job: Job,
    structure: Structure,
    layout: Layout,
    plan: Plan,
    storage: Storage,
    progress: bool,
) -> xarray.Dataset:
    """Computes the chunks that the store lacks; each process its own.

    Args:
      job: what is computed, and where.
      structure: whose runs they are.
      layout: what the results hold.
      plan: the chunks, if the store is not there yet.
      storage: where the store is, or will be.
      progress: whether to show a bar.

    Returns:
      The whole store, opened lazily.

    Raises:
      ValueError: if the folder holds anything but this sweep, or a file is damaged.
      OSError: if it cannot be written, or another sweep holds it.
      KeyboardInterrupt: on Ctrl-C, saying what is kept.
    """
    with contextlib.ExitStack() as held:
        storage, lock = _begin(job, structure, layout, plan, storage, held)
        plan = zarr_store.read_plan(storage, plan)
        try:
            _together(lambda: _compute_missing(job, layout, plan, storage, lock, progress))
        except KeyboardInterrupt as error:
            kept = sum(plan.at(number).runs for number in marked_numbers(storage))
            raise KeyboardInterrupt(
                f"interrupted; {kept} of {plan.runs} runs are kept in {storage.name}, and the same "
                "call goes on from there"
            ) from error
        processes.first_decides(lambda: _finish(storage, plan))
    return zarr_store.open_results(storage)


def _begin(
    job: Job,
    structure: Structure,
    layout: Layout,
    plan: Plan,
    storage: Storage,
    held: contextlib.ExitStack,
) -> tuple[Storage, Lock | None]:
    """Process 0 takes the lock and prepares the store; then all hold the lock together.

    The storage that is returned may only be read, and there is no lock, where a store that was
    made before lies where nobody may write.
    """
    # What is unsupported, or differs between processes, is refused before anything is written.
    specification = processes.agree(lambda: specify(job, structure), "one sweep")
    processes.check_storage(storage)
    begun: list[tuple[Storage, Lock | None]] = []

    def prepare() -> None:
        zarr_store.check_empty_or_sweep(storage)
        begun.append(_lock(storage, held))
        zarr_store.prepare(begun[0][0], layout, plan, specification)
        # Exclusive while the store is prepared; shared for as long as all processes write to it.
        if jax.process_count() > 1 and begun[0][1] is not None:
            begun[0][1].share()

    processes.first_decides(prepare)
    return begun[0] if begun else _lock(storage, held, shared=True)


def _lock(
    storage: Storage, held: contextlib.ExitStack, *, shared: bool = False
) -> tuple[Storage, Lock | None]:
    try:
        return storage, held.enter_context(storage.take_lock(shared=shared))
    except OSError as error:
        is_read_only = isinstance(error, PermissionError) or error.errno == errno.EROFS
        if not is_read_only or not zarr_store.is_made(storage):
            raise
        return ReadOnly(storage, error), None


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


def _compute_missing(
    job: Job, layout: Layout, plan: Plan, storage: Storage, lock: Lock | None, progress: bool
) -> None:
    # Every process_count-th chunk: which process computes one follows from its number alone.
    first, step = jax.process_index(), jax.process_count()
    missing: list[int] = []
    runs = resumed = finished = 0
    kept = storage.map(lambda chunk: is_finished(storage, layout, chunk), plan.chunks(first, step))
    for chunk, is_kept in zip(plan.chunks(first, step), kept, strict=True):
        runs += chunk.runs
        if is_kept:
            finished += chunk.runs
            resumed += 1
        else:
            missing.append(chunk.number)
    if not missing:
        return
    zarr_store.check_may_compute(storage)
    encoder = zarr_store.open_files(storage, layout)
    chunks = (plan.at(number) for number in missing)
    with progress_bar(runs, finished, resumed, wanted=progress and first == 0) as bar:
        for computed in compute_chunks(job, chunks, bar.update):
            if lock is not None:
                lock.check()
            write_chunk(storage, encoder, layout, computed)


def _finish(storage: Storage, plan: Plan) -> None:
    if not read_attributes(storage).get("complete"):
        seconds = add_seconds(storage, plan)
        add_attributes(storage, {**seconds, "complete": True, "finished": provenance.now()})
