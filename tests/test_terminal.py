"""What a terminal shows of names that people give."""

import pytest

from initlab.report import format_table
from initlab.terminal import one_line

pytestmark = pytest.mark.quick


def test_a_line_is_one_line_and_printable():
    text = "first\n  second: \x1b[2J\n  third \u202e\x00\n" + "x" * 10**6
    line = one_line(ValueError(text))
    assert line.startswith(r"first second: \x1b[2J; third \u202e\x00; xxx")
    assert line.isprintable()
    assert len(line) <= 1000
    assert one_line(ValueError()) == ""
    assert one_line("é, 漢") == "é, 漢"


def test_a_table_s_cells_are_printable():
    table = format_table([{"place": "a\x1b[2J\n\tb", "rms": "1"}, {"place": "layer", "rms": "2"}])
    assert table.splitlines()[2:] == [r"a\x1b[2J\n\tb  1", "layer          2"]
