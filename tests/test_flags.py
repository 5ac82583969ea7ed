"""Flags that experiments share: what each accepts, and what its refusal says."""

import re

import pytest
from absl import flags as absl_flags

from experiments import names
from experiments.harness import flags


@pytest.fixture
def parse():
    """A flag set by text as on a command line; gone when the test ends."""
    made = []

    def parse(holder, text):
        made.append(holder.name)
        absl_flags.FLAGS[holder.name].parse(text)
        absl_flags.FLAGS.validate_all_flags()
        return holder.value

    absl_flags.FLAGS.mark_as_parsed()
    yield parse
    for name in made:
        delattr(absl_flags.FLAGS, name)
    absl_flags.FLAGS.unparse_flags()


TABLE = {"tanh": 1, "relu": 2}
MAKERS = {
    "name": lambda: flags.define_name("a_flag", "relu", TABLE, "Activation"),
    "names": lambda: flags.define_names("a_flag", ("relu",), TABLE, "Activations"),
    "count": lambda: flags.define_count("a_flag", 3, "Seeds.", least=2),
    "scale": lambda: flags.define_scale("a_flag", None, "Std."),
    "share": lambda: flags.define_share("a_flag", 0.5, "Share."),
    "pair": lambda: flags.define_pair("a_flag", None, "Middle."),
    "pixels": lambda: flags.define_pair("a_flag", (8,), "Pixels.", least=2, most=64, whole=True),
    "numbers": lambda: flags.define_numbers("a_flag", (0, 0.1), "Stds."),
    "integers": lambda: flags.define_numbers("a_flag", (1, 2), "Widths.", whole=True),
}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("name", "tanh", "tanh"),
        ("names", "tanh,relu", ["tanh", "relu"]),
        ("count", "2", 2),
        ("scale", "0", 0.0),
        ("share", "0", 0.0),
        ("pair", "-1.5,2", ["-1.5", "2"]),
        ("pixels", "8", ["8"]),
        ("numbers", "0,1e-3", ["0", "1e-3"]),
        ("integers", "7,1", ["7", "1"]),
    ],
)
def test_a_good_value_is_taken(parse, kind, text, value):
    assert parse(MAKERS[kind](), text) == value


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("name", "tahn", "'tahn' is none of tanh, relu; did you mean 'tanh'?"),
        ("names", "relu,tahn", "'tahn' is none of tanh, relu; did you mean 'tanh'?"),
        ("count", "1", "[2, 10000000]"),
        ("scale", "-1", "--a_flag must be a finite number of at least 0"),
        ("scale", "inf", "--a_flag must be a finite number of at least 0"),
        ("share", "1", "--a_flag must be a number of at least 0 and under 1"),
        (
            "pair",
            "1,nan",
            "--a_flag requires two finite numbers, x,y, or one for both, got '1,nan'",
        ),
        ("pair", "1,2,3", "or one for both, got '1,2,3'"),
        ("pixels", "1,8", "--a_flag requires two integers of 2 to 64, x,y, or one for both"),
        ("pixels", "4,4.5", "--a_flag requires two integers of 2 to 64, x,y, or one for both"),
        ("numbers", "0,nan", "--a_flag requires finite numbers of at least 0, got 'nan'"),
        ("numbers", "", "--a_flag requires finite numbers of at least 0, got none"),
        ("integers", "2.5", "--a_flag requires integers from 1 to 10000000, got '2.5'"),
        ("integers", "0", "--a_flag requires integers from 1 to 10000000, got '0'"),
        ("numbers", "1,1.0", "--a_flag holds a number twice: 1, 1.0"),
    ],
)
def test_a_bad_value_is_refused_by_what_it_must_be(parse, kind, text, message):
    with pytest.raises(absl_flags.IllegalFlagValueError, match=re.escape(message)):
        parse(MAKERS[kind](), text)


def test_help_lists_every_name_of_the_table(parse):
    holder = flags.define_name("a_flag", "normal", names.INITIALIZERS, "Initializer")
    assert parse(holder, "ntk") == "ntk"
    said = absl_flags.FLAGS["a_flag"].help
    assert all(name in str(said) for name in names.INITIALIZERS)
    assert holder.default == "normal"
