"""What stands within an HTML file stays within its tag."""

import json
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initlab.markup import as_data, as_script

pytestmark = pytest.mark.quick

PIECES = ["<", "/", "script", "SCRIPT", ">", "!--", "\\", "u003c", "'", "é", " ", "]]>"]


class Scripts(HTMLParser):
    """The texts between script tags, and whether anything else is on the page."""

    def __init__(self, page):
        super().__init__()
        self.texts, self.tags = [""], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.texts[-1] += data


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_text_is_read_back_from_its_tag(text):
    page = Scripts(f'<script type="application/json">{as_data({text: [text]})}</script>')
    assert page.tags == ["script"]
    assert json.loads(page.texts[0]) == {text: [text]}


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_a_program_never_ends_its_tag(text):
    page = Scripts(f"<script>{as_script(text)}</script>")
    assert page.tags == ["script"]
    assert page.texts[0].replace("\\x3c", "<") == text.replace("\\x3c", "<")


@pytest.mark.parametrize("value", [float("nan"), [float("inf")]])
def test_numbers_that_json_lacks_are_refused(value):
    with pytest.raises(ValueError, match="JSON compliant"):
        as_data(value)
