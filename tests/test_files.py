"""Files whole or not at all, and what strict JSON holds."""

import json
import math

import numpy as np
import pytest

from initlab import files

pytestmark = pytest.mark.quick


def test_json_is_strict_and_plain(tmp_path):
    path = tmp_path / "results.json"
    files.write_json(
        path,
        {
            "nan": math.nan,
            "infinities": [math.inf, -np.inf, 1.5],
            "array": np.array([[1.0, np.nan], [3.0, 4.0]], np.float32),
            "scalars": (np.float32(0.5), np.int64(3), np.bool_(True), np.float64(np.nan)),
            "counts": np.arange(3),
            "nested": {1: {"text": "é", "none": None, "yes": True}},
        },
    )

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    assert json.loads(path.read_text(), parse_constant=refuse) == {
        "nan": None,
        "infinities": [None, None, 1.5],
        "array": [[1.0, None], [3.0, 4.0]],
        "scalars": [0.5, 3, True, None],
        "counts": [0, 1, 2],
        "nested": {"1": {"text": "é", "none": None, "yes": True}},
    }
    assert path.read_text().endswith("}\n")
    assert [each.name for each in tmp_path.iterdir()] == ["results.json"]


def test_json_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    files.write_json(path, {"run": 1})
    # What JSON cannot hold leaves the earlier file, and nothing beside it.
    with pytest.raises(TypeError, match="not JSON serializable"):
        files.write_json(path, {"run": object()})
    assert json.loads(path.read_text()) == {"run": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["results.json"]

    # Until the last moment the text is in another file.
    seen = []

    def replace(source, target):
        seen.append((json.loads(source.read_text()), json.loads(target.read_text())))
        source.rename(target)

    monkeypatch.setattr(files.os, "replace", replace)
    files.write_json(path, {"run": 2})
    assert seen == [({"run": 2}, {"run": 1})]
    assert json.loads(path.read_text()) == {"run": 2}


def test_an_array_without_axes_is_a_number(tmp_path):
    files.write_json(tmp_path / "x.json", {"x": np.array(1.5), "y": np.array([np.nan, 2])})
    assert json.loads((tmp_path / "x.json").read_text()) == {"x": 1.5, "y": [None, 2.0]}


def test_a_file_that_was_not_finished_is_not_there(tmp_path):
    path = tmp_path / "kept"
    path.write_text("before")

    def interrupted():
        with files.replace_atomically(path) as partial:
            partial.write_text("half")
            # Where os.replace is atomic.
            assert partial.parent == tmp_path
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]


def test_what_cannot_be_written_says_so(tmp_path):
    with pytest.raises(FileNotFoundError), files.replace_atomically(tmp_path / "no" / "x") as file:
        file.write_text("x")


def test_a_folder_takes_the_place_of_another(tmp_path):
    path = tmp_path / "store"
    for number in (1, 2):
        with files.replace_atomically(path) as partial:
            partial.mkdir()
            (partial / f"{number}").write_text("x")
    assert [str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*")] == ["store", "store/2"]

    def interrupted():
        with files.replace_atomically(path) as partial:
            (partial / "half").mkdir(parents=True)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*")] == ["store", "store/2"]
