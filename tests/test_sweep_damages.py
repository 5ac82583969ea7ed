"""A sweep's store, damaged: each damage is noticed, or the same bits come back."""

import json

import numpy as np
import pytest
import xarray
from thorough import IS_THOROUGH

from initlab.sweeps import run_sweep
from tests import damages, sweep_damages
from tests.sweep_runs import assert_same_bits, small_sweep, traced_once, write

pytestmark = pytest.mark.full_compile


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch, traced_once():
        patch.setattr(run_sweep, "CHUNK_BLOCKS", 4)
        yield sweep_damages.Store(tmp_path_factory.mktemp("damages"))


DOZEN = [
    *((damages.flip, name) for name in ("loss/c/0", "progress/0.json", "zarr.json", "sweep.json")),
    (damages.edit_number, "progress/0.json"), (damages.edit_number, "sweep.json"),
    (damages.to_folder, "progress/0.json"), (damages.to_folder, "loss/c/0"),
    (sweep_damages.exchange, "progress/0.json"), (sweep_damages.exchange, "loss/zarr.json"),
    (damages.delete, "sweep.json"), (sweep_damages.delete_folder, "seed/c/0"),
    (damages.append, "seed/c/0"), (damages.truncate, "loss/zarr.json"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), DOZEN)
def test_damage_is_noticed_or_changes_no_bit(store, kind, name):
    file = next(file for file in store.files if name in file.as_posix())
    result, said = store.damaged(kind, file, np.random.default_rng(0))
    is_mended = kind in (damages.delete, sweep_damages.delete_folder)
    assert result == ("same bits" if is_mended else "noticed"), said


@pytest.mark.parametrize("seed", range(100 if IS_THOROUGH else 3))
def test_random_damages_are_noticed_or_change_no_bit(store, seed):
    kind, file, result, said = sweep_damages.damage(store, np.random.default_rng(seed))
    assert result in ("noticed", "same bits"), (kind, file, said)


def test_an_edited_copy_of_metadata_in_the_root_is_mended(store, tmp_path):
    out = tmp_path / "runs"
    write(out)
    root = json.loads((out / "zarr.json").read_text())
    root["consolidated_metadata"]["metadata"]["loss"]["data_type"] = "float64"
    del root["consolidated_metadata"]["metadata"]["seed"]
    (out / "zarr.json").write_text(json.dumps(root))
    results = write(out)
    assert_same_bits(results, small_sweep())
    with xarray.open_zarr(out, chunks=None) as plain:
        assert plain["loss"].dtype == np.float32
        np.testing.assert_array_equal(plain["seed"], small_sweep()["seed"])


@pytest.mark.parametrize("name", ["started", "specification", "complete"])
def test_an_edited_attribute_is_named_and_one_that_was_added_is_kept(store, tmp_path, name):
    out = tmp_path / "runs"
    write(out)
    root = json.loads((out / "zarr.json").read_text())
    root["attributes"]["note"] = "mine"
    (out / "zarr.json").write_text(json.dumps(root))
    assert write(out).attrs["note"] == "mine"
    root["attributes"][name] = "edited"
    (out / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(
        ValueError, match=f"zarr.json is damaged .its attribute '{name}'.*remove it"
    ):
        write(out)
