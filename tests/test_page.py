"""The page as a person uses it: one file, in a browser, with the network off."""

import csv
import io
import json
import re
from urllib.parse import quote, unquote

import pytest
from browsers import until, watched

from initlab.command import main
from initlab.page.assemble import read_modules
from initlab.page.bundle import bundle, find_workers

SIDE = {
    "depth": 1,
    "width": 4,
    "activation": "tanh",
    "start": {"scheme": "normal", "scale": 0.5, "factors": None, "copies": 0},
    "bias": {"scheme": "zeros", "scale": 0},
    "optimizer": "sgd",
    "learningRate": 1.2,
}


def state(*sides, **rest):
    made = [{**SIDE, **side} for side in sides]
    return {"task": "xor", "own": [], "seed": 0, "seeds": 4, "sides": made, **rest}


def start(scheme, scale=1.0, **rest):
    return {**SIDE["start"], "scheme": scheme, "scale": scale, **rest}


@pytest.fixture(scope="module")
def tab(browser, page_file):
    """One page for the file's tests, which each put a state of their own on it."""
    page, wrong = watched(browser, viewport={"width": 1280, "height": 900})
    page.goto(page_file.as_uri())
    page.wait_for_selector("body[data-step='0']")
    return page, wrong


@pytest.fixture
def page(tab):
    """The page, in which nothing may have gone wrong when a test ends."""
    page, wrong = tab
    wrong.clear()
    yield page
    assert wrong == []
    assert page.locator("#failure").is_hidden()


def put(page, wanted):
    """Puts a state on the page by its address, and waits for its first picture."""
    page.evaluate("document.body.dataset.step = ''")
    page.evaluate("hash => { location.hash = hash; }", quote(json.dumps(wanted)))
    page.wait_for_selector("body[data-step='0']")


def on_page(page):
    """The state that the address holds."""
    return json.loads(unquote(page.evaluate("location.hash")[1:]))


def loss(page, name="a"):
    return page.locator(f".side-{name} .numbers dd").first.inner_text()


def caption(page, name):
    return page.locator(f".side-{name} .network svg text", has_text="distinct").text_content()


def play(page, steps):
    page.keyboard.press("Space")
    until(page, f"Number(document.body.dataset.step) >= {steps}")
    page.keyboard.press("Space")
    page.wait_for_selector("body[data-playing='false']")


@pytest.mark.quick
def test_the_page_is_one_file_that_names_no_other(page_file):
    text = page_file.read_text()
    assert len(text.encode()) < 6_000_000
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", text.partition("<script>")[0])
    # Each tag that is opened is closed, and no text within one ends it.
    assert len(re.findall("</script", text)) == len(re.findall(r"<script(?: [^>]*)?>", text)) == 5


@pytest.mark.quick
def test_a_bad_path_is_refused_in_one_line_and_nothing_is_written(tmp_path, capsys):
    for bad in (tmp_path, tmp_path / "page.txt", tmp_path / "missing" / "page.html", ""):
        assert main(["initlab", "page", "--out", str(bad)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
        assert list(tmp_path.iterdir()) == []


@pytest.mark.quick
def test_modules_are_joined_in_order_and_other_forms_are_refused():
    modules = read_modules()
    assert find_workers(modules) == ["lab-worker.js"]
    joined = bundle(modules, "main.js")
    assert joined.index('modules["view/dom.js"] =') < joined.index('modules["view/page.js"] =')
    for text in (
        'import * as b from "./b.js";',
        "export default 1;",
        'export { a } from "./b.js";',
    ):
        with pytest.raises(ValueError, match="must import and export"):
            bundle({"a.js": text, "b.js": ""}, "a.js")
    with pytest.raises(ValueError, match="must name modules of the page"):
        bundle({"a.js": 'import { b } from "./b.js";'}, "a.js")
    with pytest.raises(ValueError, match="in a circle"):
        bundle({"a.js": 'import { b } from "./a.js";'}, "a.js")


@pytest.mark.quick
def test_every_module_is_short_and_says_what_it_is_for():
    for name, text in read_modules().items():
        assert text.count("\n") <= 350, name
        assert text.startswith("/**"), name


def test_the_lecture_zero_stays_in_symmetry_and_small_random_numbers_learn(page):
    assert "Watch the squares" in page.inner_text("#watch")
    assert page.locator(".side-a .bracket").count() == 1
    play(page, 150)
    assert caption(page, "a") == "1 distinct of 4"
    assert loss(page, "a") == "0.693"
    assert caption(page, "b") == "4 distinct of 4"
    assert float(loss(page, "b")) < 0.6
    assert "Paused at step" in page.inner_text("#status")


def test_play_step_and_rewind_come_back_to_the_same_start(page):
    put(page, state({}, {"start": start("zeros")}))
    before = loss(page)
    play(page, 20)
    assert loss(page) != before
    page.get_by_role("button", name="Rewind").click()
    page.wait_for_selector("body[data-step='0']")
    assert loss(page) == before
    page.get_by_role("button", name="Step", exact=True).click()
    page.wait_for_selector("body[data-step='1']")
    page.get_by_role("button", name="New seed").click()
    page.wait_for_selector("body[data-step='0']")
    assert on_page(page)["seed"] != 0
    assert loss(page) != before


def test_a_slider_a_choice_and_a_second_side_are_kept_in_the_address(page, page_file):
    put(page, state({}))
    assert page.locator(".side-b").is_hidden()
    slider = page.locator(".side-a").get_by_label("standard deviation", exact=True)
    slider.focus()
    page.keyboard.press("End")
    assert on_page(page)["sides"][0]["start"]["scale"] == 1000
    page.get_by_label("activation").select_option("relu")
    page.get_by_role("button", name="Compare").click()
    page.get_by_label("B only").check()
    page.get_by_label("units in a layer").focus()
    page.keyboard.press("ArrowRight")
    wanted = on_page(page)
    assert [side["width"] for side in wanted["sides"]] == [4, 5]
    assert {side["activation"] for side in wanted["sides"]} == {"relu"}
    assert "differ in units" in page.locator("#settings").inner_text()
    page.wait_for_timeout(100)
    shown = loss(page)
    page.reload()
    page.wait_for_selector("body[data-step='0']")
    assert on_page(page) == wanted
    assert loss(page) == shown


def test_own_points_are_placed_by_the_pointer_and_by_the_keyboard(page):
    put(page, state({}))
    page.get_by_label("data", exact=True).select_option("own")
    plane = page.locator(".side-a .points")
    plane.click(position={"x": 20, "y": 30})
    page.get_by_label("orange").check()
    plane.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    own = on_page(page)["own"]
    assert [label for *_, label in own[4:]] == [1, 0]
    assert own[4][0] < -1
    assert own[4][1] > 1
    page.get_by_role("button", name="Take the last point away").click()
    assert len(on_page(page)["own"]) == 5
    # Elsewhere a click says what to do, and changes nothing.
    page.get_by_label("data", exact=True).select_option("moons")
    before = on_page(page)
    plane.click(position={"x": 40, "y": 40})
    assert on_page(page) == before
    assert "Own points" in page.inner_text("#status")


def test_state_and_curves_are_exported_and_a_program_is_shown(page):
    put(page, state({}, {"start": start("zeros")}, seed=3))
    play(page, 5)
    with page.expect_download() as saved:
        page.get_by_role("button", name="State as JSON").click()
    assert json.loads(saved.value.path().read_text()) == on_page(page)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Curves as CSV").click()
    rows = list(csv.DictReader(io.StringIO(saved.value.path().read_text())))
    assert {row["side"] for row in rows} == {"A", "B"}
    assert {int(row["seed"]) for row in rows} == {3, 4, 5, 6}
    last = [row for row in rows if row["side"] == "A" and row["seed"] == "3"][-1]
    assert float(loss(page)) == pytest.approx(float(last["loss"]), rel=5e-3)
    page.get_by_text("Reproduce in Python").click()
    program = page.get_by_label("the same run in Python").input_value()
    assert "import initlab" in program
    compile(program, "program", "exec")


def test_what_is_wrong_in_an_address_is_said_and_nothing_is_lost(tab):
    page, wrong = tab
    put(page, state({}, seed=5))
    for given in ('{"task": "no"}', '{"sides": []}', "{", "[1]"):
        page.evaluate("hash => { location.hash = hash; }", quote(given))
        page.wait_for_selector("#failure:not([hidden])")
    assert page.locator(".seed").input_value() == "5"
    put(page, state({}, seed=6))
    # What is refused in a field leaves no trace there.
    for box, given, kept in (
        (page.locator(".seed"), "", "6"),
        (page.locator(".seed"), "-1", "6"),
        (page.locator(".side-a").get_by_label("scale, written", exact=True), "-0.3", "0.5"),
    ):
        box.fill(given)
        box.blur()
        assert box.input_value() == kept
        assert page.locator("#failure").is_visible() == bool(given)
        assert on_page(page)["sides"][0]["start"]["scale"] == 0.5
    put(page, state({"start": start("constant", -0.5)}, seed=6))
    slider = page.get_by_label("every weight is", exact=True)
    for key, scale in (("Home", 0), ("End", -1000)):
        slider.press(key)
        assert on_page(page)["sides"][0]["start"]["scale"] == scale
    put(page, state({}, seed=6))
    assert page.locator("#failure").is_hidden()
    assert wrong == []
