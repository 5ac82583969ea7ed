"""The package as it is installed: the wheel, in an environment of the core or of some extras."""

import importlib.metadata
import json
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import initlab
from initlab import extras

ROOT = Path(__file__).parents[1]

MODEL = """
import jax, jax.numpy as jnp

def vanishing():
    keys = jax.random.split(jax.random.key(0), 6)
    params = [0.01 * jax.random.normal(key, (32, 32)) for key in keys]

    def apply(params, x):
        for w in params[:-1]:
            x = jnp.tanh(x @ w)
        return x @ params[-1]

    return dict(apply=apply, params=params, batch=jax.random.normal(jax.random.key(1), (8, 32)))
"""

MAIN = "import sys; from initlab.command import main; sys.exit(main())"
"""What the script `initlab` does."""

EVERY_NAME = """
import json, sys, jax
jax.config.update("jax_platforms", "cpu")
import initlab
refused = {}
for name in initlab.__all__:
    try:
        getattr(initlab, name)
    except ModuleNotFoundError as error:
        refused[name] = str(error)
loaded = {name.partition(".")[0] for name in sys.modules}
print(json.dumps([refused, sorted(loaded), initlab.__file__]))
"""

SWEEP = """
import jax, jax.numpy as jnp, optax, initlab
from initlab.initializers import by_role, normal
run = initlab.make_run(
    initlab.networks.mlp((2, 4, 1), jnp.tanh), lambda p: by_role(weight=normal(p["scale"])),
    initlab.tasks.flower(), optimizer=lambda p: optax.sgd(1.2), steps=4, every=2,
    probes=(initlab.probes.loss, initlab.probes.distinct_units))
results = initlab.sweep(run, {"seed": range(3), "scale": [0.0, 1.0]}, out="store")
print(results["distinct_units"].isel(step=-1, layer=0).values.tolist())
"""

FROM_A_PATH = """
import importlib.metadata as metadata
def missing(name):
    raise metadata.PackageNotFoundError(name)
found = metadata.Distribution.from_name
metadata.Distribution.from_name = lambda name: (missing if name == "initlab" else found)(name)
import initlab
from initlab.command import sarif
from initlab.sweeps.provenance import versions
print(versions()["initlab"] == initlab.__version__ == sarif.__version__)
"""

CONSUMER = '''
"""A user's program whose type checker is strict."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax  # pyright: ignore[reportMissingTypeStubs]

import initlab
from initlab.initializers import by_role, normal
from initlab.types import Initializer

Params = dict[str, jax.Array]


def init(key: jax.Array) -> Params:
    first, second = jax.random.split(key)
    return {
        "hidden": jax.random.normal(first, (8, 16)) / 8**0.5,
        "readout": jax.random.normal(second, (16, 3)) / 16**0.5,
    }


def apply(params: Params, x: jax.Array) -> jax.Array:
    return jax.nn.tanh(x @ params["hidden"]) @ params["readout"]


def constants(p: Mapping[str, jax.Array]) -> Initializer:
    return by_role(weight=normal(p["scale"]))


def optimizer(p: Mapping[str, jax.Array]) -> optax.GradientTransformation:
    return optax.sgd(p["learning_rate"])


batch = jax.random.normal(jax.random.key(1), (32, 8))
report = initlab.audit(apply, init(jax.random.key(0)), batch)
codes = [finding.code for finding in report.findings]
print(report.verdict, report.places["hidden"].rms, codes, report.to_json())
initlab.assert_sound_initialization(apply, init(jax.random.key(0)), batch)

network = initlab.networks.mlp((2, 4, 1), jnp.tanh)
params = initlab.initialize(jax.random.key(0), network.specs, by_role(weight=normal(0.01)))
groups = initlab.symmetry.mlp_groups(params)
width = initlab.symmetry.effective_width(params, groups)
probes = (initlab.probes.loss, initlab.probes.distinct_units)
task = initlab.tasks.flower()
run = initlab.make_run(
    network, constants, task, optimizer=optimizer, steps=20, every=10, probes=probes
)
results = initlab.sweep(run, {"seed": range(4), "scale": [0.0, 0.01], "learning_rate": [1.2]})
print(width, results["distinct_units"].isel(step=-1).min("seed").values.tolist())
'''


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the source distribution, built without a network."""
    out = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,), (source,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, source


def closure(requirements):
    """Every distribution that they need, of those installed here, by name."""
    found, todo = {}, list(map(Requirement, requirements))
    while todo:
        each = todo.pop()
        name = canonicalize_name(each.name)
        if name in found or (each.marker and not each.marker.evaluate({"extra": ""})):
            continue
        found[name] = importlib.metadata.distribution(name)
        todo += map(Requirement, found[name].requires or ())
    return found.values()


def install(wheel, folder, *chosen):
    """An environment of the wheel, its core, and the extras chosen; links stand for downloads."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (own,) = importlib.metadata.distributions(path=[str(site)], name="initlab")
    parsed = [Requirement(each) for each in own.requires or ()]
    wanted = [
        f"{each.name}{each.specifier}"
        for each in parsed
        if any(each.marker is None or each.marker.evaluate({"extra": e}) for e in ("", *chosen))
    ]
    for distribution in closure(wanted):
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            (site / top).symlink_to(distribution.locate_file(top))
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def core(built, tmp_path_factory):
    return install(built[0], tmp_path_factory.mktemp("core"))


@pytest.fixture(scope="module")
def with_sweeps(built, tmp_path_factory):
    return install(built[0], tmp_path_factory.mktemp("sweeps"), "sweeps")


def run(python, *arguments, cwd):
    # Isolated: neither PYTHONPATH nor the checkout is seen.
    command = [python, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_wheel_holds_the_library_and_nothing_else(built):
    with zipfile.ZipFile(built[0]) as archive:
        files = archive.namelist()
    assert {file.partition("/")[0].partition("-")[0] for file in files} == {"initlab"}
    inside = {file for file in files if file.startswith("initlab/")}
    # Compiled bytecode aside, all that the folder holds: types and what is no Python too.
    held = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "initlab").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside == held
    assert "initlab/py.typed" in inside


def test_the_source_distribution_holds_what_the_suite_needs(built):
    with tarfile.open(built[1]) as archive:
        tops = {name.split("/")[1] for name in archive.getnames()}
    assert {
        "initlab",
        "experiments",
        "tests",
        "docs",
        "README.md",
        "LICENSE",
        "conftest.py",
    } <= tops
    assert not tops & {".git", ".venv", ".tools"}


def test_the_core_alone_offers_all_that_needs_no_extra(core, tmp_path):
    said = run(core, "-I", "-c", EVERY_NAME, cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    refused, loaded, file = json.loads(said.stdout)
    assert ROOT not in Path(file).parents
    requires = 'initlab.{} requires {}: pip install "initlab[{}]"'.format
    assert refused == {
        "figures": requires("figures", "xarray", "figures"),
        "sweep": requires("sweeps", "xarray", "sweeps"),
        "sweeps": requires("sweeps", "xarray", "sweeps"),
    }
    assert not set(extras.EXTRAS) & set(loaded)
    assert set(refused) < set(initlab.__all__)


def test_a_checkout_works_from_its_path_without_being_installed(built):
    assert built[0].name.startswith(f"initlab-{initlab.__version__}-")
    said = run(sys.executable, "-c", FROM_A_PATH, cwd=ROOT)
    assert (said.returncode, said.stdout) == (0, "True\n"), said.stderr
    # Nor does any other file ask an installation for it.
    files = [path for home in ("initlab", "experiments") for path in (ROOT / home).rglob("*.py")]
    asking = [path.name for path in files if 'metadata.version("initlab")' in path.read_text()]
    assert asking == []


@pytest.mark.thorough
def test_a_model_is_audited_with_the_core_alone(core, tmp_path):
    (tmp_path / "model.py").write_text(MODEL)
    said = run(core, "-c", MAIN, "audit", "model:vanishing", cwd=tmp_path)
    assert (said.returncode, said.stderr) == (1, "")
    assert said.stdout.startswith("verdict: fail")
    assert "vanishing_signal" in said.stdout


@pytest.mark.thorough
def test_the_page_is_written_with_its_two_extras_and_refused_without(built, core, tmp_path):
    python = install(built[0], tmp_path / "environment", "figures", "data")
    said = run(python, "-c", MAIN, "page", "--out", "page.html", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    said = run(core, "-c", MAIN, "page", "--out", "none.html", cwd=tmp_path)
    assert said.returncode == 2
    assert said.stderr == 'initlab: initlab.page requires plotly: pip install "initlab[figures]"\n'
    assert not (tmp_path / "none.html").exists()


@pytest.mark.thorough
def test_the_extra_of_sweeps_is_enough_for_a_sweep(with_sweeps, tmp_path):
    said = run(with_sweeps, "-I", "-c", SWEEP, cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert said.stdout == "[[1, 4], [1, 4], [1, 4]]\n"
    assert (tmp_path / "store").is_dir()


@pytest.mark.thorough
def test_a_strict_type_checker_accepts_a_users_program(with_sweeps, tmp_path):
    (tmp_path / "consumer.py").write_text(CONSUMER)
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    command = [sys.executable, "-m", "pyright", "--pythonpath", with_sweeps, "consumer.py"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout
    assert run(with_sweeps, "consumer.py", cwd=tmp_path).returncode == 0
