"""Names that files, terminals and figures cannot take are refused before anything is computed."""

import jax.numpy as jnp
import pytest
from sweep_runs import AXES, make_small_run, write

from initlab.sweeps import names

BAD = [
    *(
        "",
        " ",
        "a/b",
        "a\\b",
        "a\nb",
        "a\x1b[2Jb",
        "\u202eb",
        ".",
        "..",
        ".zarray",
        "__a",
        "zarr.json",
    ),
    *("a ", "x" * 201, "\ud800"),
]


@pytest.mark.parametrize("name", BAD)
def test_a_probe_value_s_name_must_be_one_of_a_file(tmp_path, name):
    run = make_small_run(measured=(lambda network, params, batch: {name: jnp.sum(batch.x)},))
    with pytest.raises(ValueError, match="a probe value must"):
        write(tmp_path / "runs", run)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["rms of h", "µ_w", "a.b", "loss (test)", "$x$", "c", "100 %"])
def test_other_names_are_taken(name):
    names.check_name("a probe value", name)


@pytest.mark.parametrize("label", ["", "a\tb", " a", "\x00"])
def test_a_label_of_the_structure_must_be_seen(label):
    with pytest.raises(ValueError, match="a value of structure 'hidden' must have a name that"):
        write("unused", make_small_run, AXES, structure={"hidden": {label: (3,)}})


def test_labels_are_finite_numbers_or_text():
    with pytest.raises(ValueError, match="structure 'steps' must be labelled by finite numbers"):
        write("unused", make_small_run, AXES, structure={"steps": {float("nan"): 4}})
    names.check_label("a value", "he/normal")
    with pytest.raises(TypeError, match="a value must be named by text, got 3"):
        names.check_label("a value", 3)


def test_an_axis_name_is_not_zarr_s_own():
    with pytest.raises(ValueError, match="an axis must not be named '__seed'"):
        write("unused", axes={"__seed": [1]})
