"""A report in an engineer's hands: a place looked up, a finding accepted, a notebook."""

import dataclasses
import json
from html.parser import HTMLParser

import jax.numpy as jnp
import numpy as np
import pytest
from audit_models import ROWS, layers, lecun, normal, tanh_net

import initlab
from initlab.audits import Finding
from initlab.audits.ignores import apply_ignores, read_ignores
from initlab.audits.text import rows_table

pytestmark = pytest.mark.quick


def apply(params, x):
    return tanh_net(params["net"], x)


def _params():
    spare = normal(9, (3, 3), 1.0)
    blocks = {"a": {"bias_table": spare}, "b": [{"bias_table": 2 * spare}]}
    return {"net": layers(lecun), "blocks": blocks, "bias_table": spare[:2], "<b>": spare[:1]}


@pytest.fixture(scope="module")
def report():
    return initlab.audit(apply, _params(), ROWS)


def _audit(ignore):
    return initlab.audit(apply, _params(), ROWS, ignore=ignore)


def test_places_are_found_by_name(report):
    assert report.verdict == "warn"
    place = report.places["net/1/w"]
    (product, activation) = [row for row in report.rows if row.place == "net/1/w"]
    assert place.rows == (product, activation)
    assert place.rms == product.values["rms"].item()
    assert place.gradient_norm == product.values["gradient_norm"].item()
    assert place.saturated == activation.values["saturated"].item()
    assert place.dead == 0
    assert "net/1/w  product" in str(place)
    # A parameter that was measured nowhere has its findings.
    spare = report.places["bias_table"]
    assert [finding.code for finding in spare.findings] == ["unused_parameter"]
    assert np.isnan(spare.rms)
    assert list(report.places)[:2] == ["input", "net/0/w"]
    assert len(report.places) == len(set(report.places))
    with pytest.raises(KeyError, match="'net/1/v' is no place of this report; the nearest: net/1"):
        report.places["net/1/v"]
    with pytest.raises(KeyError, match="'net' is no place"):
        report.places["net"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**/bias_table", {"bias_table", "blocks/a/bias_table", "blocks/b/0/bias_table"}),
        ("blocks/**", {"blocks/a/bias_table", "blocks/b/0/bias_table"}),
        ("blocks/*/bias_table", {"blocks/a/bias_table"}),
        ("bias_*", {"bias_table"}),
        ("b?as_table", {"bias_table"}),
        ("bias", set()),
        ("*", {"bias_table", "<b>"}),
    ],
)
def test_a_pattern_matches_paths_by_their_names(pattern, expected):
    finding = Finding("unused_parameter", "warn", "", 0.0, 0.0, "cause", "remedy")
    places = ("bias_table", "blocks/a/bias_table", "blocks/b/0/bias_table", "<b>")
    found = [finding._replace(place=each) for each in places]
    (ignore,) = read_ignores({"unused_parameter": [pattern]})
    kept, (matched,) = apply_ignores(found, [ignore])
    assert {each.place for each in matched.findings} == expected
    assert {each.place for each in kept} == set(places) - expected


def test_slices_and_several_places_of_one_finding_are_matched_each():
    finding = Finding("duplicate_tensors", "warn", "a/w[0], a/w[1]", 1.0, 0.9, "cause", "remedy")

    def kept(pattern):
        ignores = read_ignores({"duplicate_tensors": [pattern]})
        return bool(apply_ignores([finding], ignores)[0])

    assert not kept("a/w")
    assert not kept("a/w[0], a/w[1]")
    assert not kept("**")
    assert kept("a/w[0]")
    assert kept("a")


def test_ignored_findings_are_counted_and_an_ignore_without_any_is_said(report):
    listed = ["**/bias_table", "*", "never"]
    ignored = _audit({"unused_parameter": {**dict.fromkeys(listed, ""), "*": "kept for loading"}})
    assert ignored.verdict == "pass"
    assert [len(each.findings) for each in ignored.ignored] == [3, 1, 0]
    text = str(ignored)
    assert "4 ignored" in text.splitlines()[0]
    assert "ignore: unused_parameter at * (kept for loading): 1 finding\n" in text
    assert "ignore: unused_parameter at never: matches no finding" in text
    said = json.loads(ignored.to_json())["ignored"]
    assert [each["pattern"] for each in said] == listed
    assert said[0]["findings"][0]["code"] == "unused_parameter"
    assert ignored.places["bias_table"].findings == report.places["bias_table"].findings
    initlab.assert_sound_initialization(
        apply, _params(), ROWS, ignore={"unused_parameter": ["**"]}, strict=True
    )
    with pytest.raises(AssertionError, match="unused_parameter"):
        initlab.assert_sound_initialization(apply, _params(), ROWS, strict=True)


@pytest.mark.parametrize(
    ("ignore", "error", "message"),
    [
        (["saturated"], TypeError, r"ignore must be a dict, got \['saturated'\]"),
        ({"saturate": []}, ValueError, "'saturate' is none of .*; did you mean 'saturated'"),
        ({"saturated": "**"}, TypeError, "must be a list of path patterns, or a dict of reasons"),
        ({"saturated": [3]}, TypeError, "must hold strings, got 3"),
        ({"saturated": {"**": None}}, TypeError, "must hold strings"),
    ],
)
def test_an_ignore_of_another_form_is_refused(ignore, error, message):
    with pytest.raises(error, match=message):
        _audit(ignore)


def test_a_path_is_written_as_in_the_model_and_lines_are_short(report):
    finding = Finding("saturated", "warn", "gate", 0.5, 0.25, "gate is zero", "remedy " * 30)
    many = tuple(finding._replace(severity=each) for each in ("fail", "warn", "info"))
    wide = dataclasses.replace(report, findings=many, seeds=10**30, tensors=10**9, entries=10**40)
    lines = str(wide).splitlines()
    assert "    cause: gate is zero" in lines
    assert max(map(len, lines)) <= 100


class _Tags(HTMLParser):
    """What tags a page opens and closes, its text, and its links and their targets."""

    def __init__(self, page):
        super().__init__()
        self.opened, self.closed, self.said = [], [], ""
        self.targets, self.links, self.labels = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.opened.append(tag)
        given = dict(attrs)
        # Nothing runs and nothing is loaded.
        assert not {name for name in given if name.startswith("on") or name == "src"}
        self.targets += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if "href" in given else []
        self.labels += [given["aria-label"]] if tag == "a" and "aria-label" in given else []

    def handle_endtag(self, tag):
        self.closed.append(tag)

    def handle_data(self, data):
        self.said += data


def test_html_holds_the_report_escaped(report):
    evil = Finding("untracked", "info", "<script>x</script>", jnp.nan, jnp.nan, "<i>", "&amp;")
    page = dataclasses.replace(report, findings=(*report.findings, evil))._repr_html_()
    tags = _Tags(page)
    known = {"p", "b", "details", "summary", "div", "br", "table", "thead", "tbody", "tr", "th"}
    assert set(tags.opened) == known | {"td"}
    assert sorted(tags.closed) == sorted(tag for tag in tags.opened if tag != "br")
    assert "<script>x</script>" in tags.said
    assert "cause: <i>" in tags.said
    assert "&amp;" in tags.said
    assert "verdict: warn" in tags.said
    assert tags.opened.count("tr") == 1 + str(report).count("product") + 2
    assert "ignore: " in _Tags(_audit({"saturated": ["<u>"]})._repr_html_()).said


def test_a_page_links_places_rows_and_findings(report):
    evil = Finding("untracked", "info", "<script>x</script>", jnp.nan, jnp.nan, "<i>", "&amp;")
    flat = evil._replace(code="saturated", place="net/1/w[3], net/2/w", cause="\"'><img src=x>")
    page = _Tags(dataclasses.replace(report, findings=(*report.findings, evil, flat)).to_html())
    assert not {"script", "img", "link", "i"} & set(page.opened)
    assert "<script>x</script>" in page.said
    assert "cause: \"'><img src=x>" in page.said
    assert len(set(page.targets)) == len(page.targets)
    assert {each.removeprefix("#") for each in page.links} <= set(page.targets)
    # The finding has both of its places, and both rows have the finding.
    lines = [line["place"] for line in rows_table(report.rows)]
    last = f"#finding-{sum(each.startswith('finding') for each in page.targets) - 1}"
    assert page.links.count(last) == 2
    for place in ("net/1/w", "net/2/w"):
        # Two points of the strip and the finding.
        assert page.links.count(f"#row-{lines.index(place)}") == 3
    rms = report.places["net/1/w"].rms
    assert f"net/1/w, product: rms of the signal {rms:.3g}" in page.labels


def test_a_page_of_numbers_that_have_no_logarithm(report):
    rows = tuple(
        dataclasses.replace(row, values={"rms": np.asarray([value])})
        for row, value in zip(report.rows, [0.0, np.inf, np.nan] * len(report.rows), strict=False)
    )
    page = _Tags(dataclasses.replace(report, rows=rows).to_html())
    assert {each.rpartition(" ")[2] for each in page.labels} == {"0"}
    assert "svg" not in _Tags(dataclasses.replace(report, rows=rows[2:3]).to_html()).opened
