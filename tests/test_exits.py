"""How programs end: one line, the status, and a traceback where it is needed."""

import contextlib
import operator
import os
from pathlib import Path

import jax
import pytest

import initlab
from initlab import exits
from initlab.command import main
from initlab.exits import report_error, report_interrupt

pytestmark = pytest.mark.quick


def caught(function, *args):
    try:
        function(*args)
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def refuse():
    raise ValueError("a model's own")


def full():
    raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 5 bytes.")


def allocate():
    raise MemoryError("Unable to allocate 7 TiB")


def of_the_lab(text, root=exits.ROOTS[0]):
    """A function as if it were written in a file of the lab."""
    return eval(compile(f"lambda value: {text}", str(root / "made_up.py"), "eval"))


@pytest.mark.parametrize(
    ("function", "status", "line", "shows_where"),
    [
        # What the lab refuses, though a model's code called it.
        (lambda: initlab.networks.mlp((2,), jax.numpy.tanh), 2, "sizes", False),
        (lambda: initlab.initializers.normal(-1.0), 2, "-1", False),
        (lambda: Path("/nowhere/at/all").read_text(), 2, "No such file", False),
        (lambda: Path("/nowhere/a\nb").read_text(), 2, "/nowhere/a", False),
        (full, 2, "not enough memory for these sizes (RESOURCE_EXHAUSTED", False),
        (allocate, 2, "Unable to allocate 7 TiB", False),
        (refuse, 2, "a model's own", True),
        (lambda: {}["x"], 2, "x", True),
        # A fault of the lab's own, of the same kinds of errors, though a model's code called it.
        *(
            (lambda fault=fault: fault(None), 3, line, True)
            for fault, line in [
                (of_the_lab("value + 1"), "internal error, TypeError: unsupported operand"),
                (of_the_lab("float('a')"), "internal error, ValueError: could not convert"),
                (of_the_lab("len(value)", exits.ROOTS[1]), "internal error, TypeError: object of"),
                (of_the_lab("jax.numpy.ones(2) + jax.numpy.ones(3)"), "internal error, TypeError"),
            ]
        ),
    ],
)
def test_an_error_is_a_line_and_a_status(capsys, function, status, line, shows_where):
    assert report_error("program", caught(function)) == status
    said = capsys.readouterr().err
    assert said.splitlines()[-1].startswith("program: ")
    assert line in said.splitlines()[-1]
    assert ("Traceback" in said) == shows_where
    if not shows_where:
        assert said.count("\n") == 1


def test_the_cause_in_a_model_is_shown(capsys):
    def guarded():
        try:
            refuse()
        except ValueError as error:
            raise TypeError("apply raised") from error

    assert report_error("program", caught(guarded)) == exits.BAD_INPUT
    assert 'raise ValueError("a model\'s own")' in capsys.readouterr().err


def test_a_library_s_error_is_internal(capsys):
    # Raised by Python itself: no line of a model is on the way.
    error = caught(operator.truediv, 1, 0).with_traceback(None)
    assert report_error("program", error) == exits.INTERNAL_ERROR
    said = capsys.readouterr().err
    assert said.splitlines()[-1] == "program: internal error, ZeroDivisionError: division by zero"


def test_an_interruption_says_how_to_go_on(capsys):
    assert report_interrupt("program", KeyboardInterrupt(), "the same call goes on") == 130
    assert report_interrupt("program", KeyboardInterrupt("3 of 5 kept"), "no") == 130
    assert capsys.readouterr().err == "program: the same call goes on\nprogram: 3 of 5 kept\n"


@pytest.mark.parametrize("given", [["explain"], ["explain", "saturated"], ["--help"]])
def test_a_command_whose_reader_has_gone_ends_without_a_word(capsys, given):
    reading, writing = os.pipe()
    os.close(reading)
    # That it closes says that nothing is left which Python would fail to write as it ends.
    with open(writing, "w") as unread, contextlib.redirect_stdout(unread):
        status = main(["initlab", *given])
    assert (status, capsys.readouterr().err) == (exits.UNREAD, "")
    assert exits.UNREAD == 141


def test_another_pipe_that_breaks_is_told(capsys):
    assert report_error("program", BrokenPipeError(32, "Broken pipe")) == exits.BAD_INPUT
    assert capsys.readouterr().err == "program: [Errno 32] Broken pipe\n"
