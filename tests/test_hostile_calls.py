"""The table of hostile calls: each is answered in one line, or has the value that it must."""

import re
import struct
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hostile_calls import TABLE, call
from hostile_nouns import KEY, SPEC, X, clean_arguments

from initlab import tasks
from initlab.sweeps.names import check_name
from initlab.theory.piecewise import find_pieces

pytestmark = pytest.mark.quick

ROWS = [(kind, number, *row) for kind, rows in TABLE.items() for number, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("name", "changes", "pattern"),
    [row[2:] for row in ROWS],
    ids=[f"{kind}-{number}" for kind, number, *_ in ROWS],
)
def test_a_hostile_call_is_refused_in_one_line(name, changes, pattern):
    with pytest.raises((ValueError, TypeError)) as caught:
        call(name, **changes)
    said = str(caught.value)
    assert re.search(pattern, said), said
    assert "\n" not in said


def npz(path, names):
    """An archive whose entries are made by hand: a name twice, a header that lies."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in names:
            archive.writestr(name, content)


def header(shape, dtype="<f8"):
    """An .npy header of a shape, with eight bytes of data."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(8)


LABELLED = ("y.npy", header((1,)))
FILES = {
    "digits": (
        "points.csv",
        b"x,y\n1_000,0\n",
        "line 2, column 'x' must be a .*'1_000'",
    ),
    "latin": ("points.csv", "größe,y\n1,0\n".encode("latin-1"), "points.csv must be a whole"),
    "utf-16": ("points.csv", "x,y\n1,0\n".encode("utf-16"), "points.csv must"),
    "null": ("points.csv", b"x,y\n1\x00,0\n", "points.csv"),
    "field": ("points.csv", b"x,y\n" + b"1" * 200_000 + b",0\n", "points.csv"),
    "no zip": ("points.npz", b"PK\x03\x04 and nothing", "points.npz must be an archive"),
    "twice": ("points.npz", [("x.npy", header((1, 1)))] * 2 + [LABELLED], "each array once.*x.npy"),
    "14 TiB": ("points.npz", [("x.npy", header((10**6, 2000000))), LABELLED], "points.npz must"),
    "negative": ("points.npz", [("x.npy", header((-1, 1))), LABELLED], "points.npz must"),
    "objects": (
        "points.npz",
        [("x.npy", header((1, 1), "|O")), LABELLED],
        "must.*pickle",
    ),
    "ending": ("points.txt", b"x,y\n1,0\n", "points.txt must end in .npz or .csv"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_refused_by_its_name_in_one_line(tmp_path, name):
    file, content, pattern = FILES[name]
    path = tmp_path / file
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        npz(path, content)
    with pytest.raises(ValueError, match="points") as caught:
        tasks.from_file(path)
    assert re.search(pattern, str(caught.value)), caught.value
    assert "\n" not in str(caught.value)


def test_a_zip_cut_short_is_refused_by_its_name(tmp_path):
    path = tmp_path / "points.npz"
    np.savez(path, x=X, y=np.zeros(8, np.int64))
    whole = path.read_bytes()
    for damaged in (whole[:-30], whole[:60] + b"\xff" * 40 + whole[100:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"points\.npz must be"):
            tasks.from_file(path)


def test_results_inside_a_file_are_refused_by_its_name(tmp_path):
    (tmp_path / "notes").write_text("a person's own")
    with pytest.raises((ValueError, OSError), match="notes"):
        call("sweeps.sweep", out=tmp_path / "notes" / "runs")
    assert (tmp_path / "notes").read_text() == "a person's own"


@pytest.mark.parametrize("name", ["", "a\\b", "zarr.json", "a\x1b[2Jb", "a\nb", "../a", "\ud800"])
def test_a_name_that_files_and_terminals_cannot_take_is_refused(name):
    with pytest.raises(ValueError, match="a probe value must"):
        check_name("a probe value", name)


VALUES = {
    "a traced index": (
        lambda: jax.eval_shape(lambda i: call("initializers.choice", index=i)(KEY, SPEC), 0).shape,
        (4, 3),
    ),
    "R^2 of equal labels": (
        lambda: np.isnan(call("objectives.r_squared", y=np.ones(8))).item(),
        True,
    ),
    "a difference of size 0": (lambda: call("symmetry.escape_step", size=0.0).item(), -1),
    "labels of NaN logits": (
        lambda: call("objectives.binary_labels", logits=np.full((2, 1), np.nan)).tolist(),
        [-1, -1],
    ),
    "classes of NaN logits": (
        lambda: call("objectives.softmax_labels", logits=np.full((2, 3), np.nan)).tolist(),
        [-1, -1],
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_hostile_call_has_the_value_that_it_must(name):
    compute, expected = VALUES[name]
    assert compute() == expected


@pytest.mark.parametrize(
    ("name", "parameter", "transform"),
    [
        ("audits.audit", "params", jax.jit),
        ("calibration.changes", "after", jax.jit),
        ("report.format_share", "share", jax.jit),
        ("report.tied_best", "shares", jax.jit),
        ("report.wilson_interval", "runs", jax.jit),
        ("symmetry.cut_down", "leaf", jax.grad),
        ("report.quartiles", "losses", jax.jit),
        ("report.format_quartiles", "values", jax.jit),
        ("coordinates.coordinate_check", "batch", jax.jit),
        ("objectives.label_entropy", "y", jax.jit),
    ],
)
def test_a_traced_argument_whose_value_decides_is_named(name, parameter, transform):
    """Or it is taken: cut_down only places entries."""
    given = jax.tree.map(jnp.asarray, clean_arguments(name)[parameter])

    def one(traced):
        return jnp.sum(jnp.asarray(jax.tree.leaves(call(name, **{parameter: traced}))[0]))

    if name == "symmetry.cut_down":
        assert jax.tree.map(jnp.shape, transform(one)(given)) == jnp.shape(given)
        return
    with pytest.raises(TypeError, match=f"^{parameter} must be known when .* outside of jit"):
        transform(one)(given)


@pytest.mark.parametrize("name", ["assert_units_identical", "assert_symmetry_broken"])
def test_an_assertion_of_traced_params_says_how_it_is_wrapped(name):
    given = jax.tree.map(jnp.asarray, clean_arguments("symmetry.assert_units_identical")["params"])
    with pytest.raises(TypeError, match=r"^params .*chex\.chexify\(jax\.jit"):
        jax.eval_shape(lambda params: call(f"symmetry.{name}", params=params), given)


def test_a_traced_index_that_is_no_integer_is_refused():
    with pytest.raises(TypeError, match="index must be an integer, got a traced float32"):
        jax.eval_shape(lambda index: call("initializers.choice", index=index)(KEY, SPEC), 0.7)


def test_an_activation_that_explodes_asks_for_no_terabytes():
    """The quadrature of a pair grows with the cube of the kinks: rounding at exp(30) is none."""
    assert find_pieces(jnp.exp).kinks == ()
