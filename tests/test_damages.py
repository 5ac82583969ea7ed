"""What an experiment keeps, damaged: each is noticed, with file and cure, or changes no number."""

import json
import shutil

import numpy as np
import pytest

from experiments.harness import cell_file, runtime
from initlab.sweeps.storage import open_storage
from tests import damages
from tests.command_lines import loaded

DOZEN = [
    *((damages.flip, kind) for kind in ("run.json", "cells", "c/0", "manifest", "loss/zarr.json")),
    *((damages.exchange, kind) for kind in ("cells", "loss/zarr.json")),
    *((damages.whole_store, "run.json"), (damages.of_another_run, "cells")),
    *((damages.other_values, kind) for kind in ("cells", "c/0")),
    *((damages.delete, "c/0"), (damages.to_folder, "cells"), (damages.truncate, "results.zarr")),
    (damages.truncate, "run.json"),
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch, loaded("tests.toy_experiment") as toy:
        patch.setattr(runtime, "start", lambda name: None)
        yield damages.Runs(*toy, tmp_path_factory.mktemp("damages"))


@pytest.mark.parametrize(("damage", "kind"), DOZEN)
def test_damage_is_noticed_or_changes_no_number(runs, damage, kind):
    file = next(each for each in runs.files if kind in each.as_posix())
    for found in runs.try_damage(damage, file, np.random.default_rng(0)):
        assert found.result in ("noticed", "same numbers"), found
        # The dozen's store is read by the one call alone, its cells by the other.
        is_read = (found.call == "measure") == (kind == "cells")
        # Of run.json only the flags are read: a flipped bit may lie in a second or a version, and
        # where it does depends on how long these were in that run.
        may_be_unread = damage is damages.delete or (damage, kind) == (damages.flip, "run.json")
        if is_read and not may_be_unread:
            assert found.result == "noticed", found


@pytest.fixture
def out(runs, tmp_path):
    shutil.copytree(runs.home / "whole" / "out", tmp_path / "out")
    return tmp_path / "out"


def test_flags_that_measured_otherwise_are_refused_by_name(runs, out):
    status, said, _ = runs.call(out, "--figures_only", "--size=9")
    assert status == 2
    assert said.startswith(f"toy: --size is 9 here, and the results in {out} were measured with 3;")
    assert said.endswith("(flags that judge anew: --trained_fraction)")
    # The value of then may be repeated, and what judges may change.
    status, _, printed = runs.call(out, "--figures_only", "--size=3", "--trained_fraction=0.25")
    assert (status, printed.splitlines()[0][:9]) == (0, "3 numbers")
    assert json.loads((out / "summary.json").read_text())["under"] == 0.25
    assert runs.call(out, "--figures_only", "--smoke")[0] == 2


def test_results_without_a_manifest_are_read_with_a_word(runs, out, caplog):
    shutil.rmtree(out / "results.zarr" / "manifest")
    with caplog.at_level("WARNING"):
        assert runs.call(out, "--figures_only")[0] == 0
    assert "results.zarr has no checksums (an earlier version wrote it" in caplog.text
    (out / "results.zarr" / "loss" / "zarr.json").write_text("{}")
    status, said, _ = runs.call(out, "--figures_only")
    assert (status, "results.zarr is damaged" in said) == (2, True)


def test_kept_runs_go_on_without_their_record(runs, out):
    (out / "run.json").write_text("[]")
    status, said, _ = runs.call(out)
    assert (
        status,
        said.endswith("or remove it: the call that measures goes on from what is kept"),
    ) == (2, True)
    (out / "run.json").unlink()
    assert runs.call(out)[0] == 0
    assert runs.numbers(out) == runs.expected


def test_an_exchanged_cell_says_what_it_holds(tmp_path):
    one, other = (json.dumps({"cell": {"scale": scale}, "code": "x"}) for scale in (1, 2))
    storage = open_storage(tmp_path)
    cell_file.write(storage, "cell.npz", one, {"loss": np.arange(3.0)})
    kept = cell_file.read(storage, "cell.npz", one)
    assert kept is not None
    assert kept["loss"].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"holds another cell \(scale: there 1, here 2\); remove"):
        cell_file.read(storage, "cell.npz", other)
