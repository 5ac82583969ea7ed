"""What the core leaves out: which extra brings it is said in one line."""

import importlib
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import initlab
from initlab import exits, extras

pytestmark = pytest.mark.quick

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


def names(requirements):
    """The packages of requirements, as Python imports them."""
    found = {Requirement(each).name for each in requirements}
    return {{"scikit-learn": "sklearn"}.get(each, each) for each in found}


def test_every_package_is_one_that_its_extra_brings():
    for package, extra in extras.EXTRAS.items():
        assert package in names(PROJECT["optional-dependencies"][extra])
        assert package not in names(PROJECT["dependencies"])


@pytest.mark.parametrize(
    ("call", "package", "who", "extra"),
    [
        (initlab.tasks.moons, "sklearn.datasets", "initlab.tasks.moons", "data"),
        (initlab.tasks.circles, "sklearn.datasets", "initlab.tasks.circles", "data"),
        (initlab.tasks.blobs, "sklearn.datasets", "initlab.tasks.blobs", "data"),
        (initlab.tasks.wine, "sklearn.datasets", "initlab.tasks.wine", "data"),
        (initlab.tasks.digits, "sklearn.datasets", "initlab.tasks.digits", "data"),
        (initlab.tasks.breast_cancer, "sklearn.datasets", "initlab.tasks.breast_cancer", "data"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, call, package, who, extra):
    # None in sys.modules is how Python itself says that a package is not there.
    monkeypatch.setitem(sys.modules, package, None)
    message = f'{who} requires {package.partition(".")[0]}: pip install "initlab[{extra}]"'
    with pytest.raises(extras.MissingExtraError, match=f"^{re.escape(message)}$"):
        call()


def test_pictures_ask_for_the_extra_that_has_all_they_need(monkeypatch):
    for name in [each for each in sys.modules if each.startswith("initlab.figures")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "xarray", None)
    message = 'initlab.figures requires xarray: pip install "initlab[figures]"'
    with pytest.raises(extras.MissingExtraError, match=f"^{re.escape(message)}$"):
        importlib.import_module("initlab.figures")
    needs = {"matplotlib", "plotly", "xarray"}
    assert names(PROJECT["optional-dependencies"]["figures"]) == needs


def test_a_missing_package_of_no_extra_is_told_as_it_is():
    with (
        pytest.raises(ModuleNotFoundError, match=r"^No module named 'nobody'$") as told,
        extras.needed("initlab.sweeps"),
    ):
        raise ModuleNotFoundError("No module named 'nobody'", name="nobody")
    assert type(told.value) is ModuleNotFoundError


def test_another_error_passes():
    with pytest.raises(ZeroDivisionError), extras.needed("initlab.sweeps"):
        print(1 / 0)


def test_a_program_ends_with_one_line(capsys):
    with pytest.raises(extras.MissingExtraError) as told, extras.needed("initlab.sweeps"):
        raise ModuleNotFoundError("No module named 'zarr'", name="zarr")
    assert exits.report_error("initlab page", told.value) == exits.BAD_INPUT
    said = capsys.readouterr().err
    assert said == 'initlab page: initlab.sweeps requires zarr: pip install "initlab[sweeps]"\n'
