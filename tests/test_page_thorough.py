"""The page at length: the gallery, a phone, the keyboard alone, the dark, its speed."""

import pytest
from browsers import until, watched
from test_page import on_page, play, put, start, state

pytestmark = pytest.mark.thorough

COUNT_FRAMES = """async (seconds) => {
  const [times, begin] = [[], performance.now()];
  let [drawn, last] = [0, document.body.dataset.step];
  const first = Number(last);
  await new Promise((resolve) => {
    const frame = (now) => {
      times.push(now);
      if (document.body.dataset.step !== last) drawn += 1;
      last = document.body.dataset.step;
      if (now - begin < 1000 * seconds) requestAnimationFrame(frame);
      else resolve();
    };
    requestAnimationFrame(frame);
  });
  const steps = (last - first) / seconds;
  return { frames: times.length / seconds, drawn: drawn / seconds, steps };
}"""


@pytest.fixture
def opened(browser, page_file):
    """Opens the page with the options of a context; nothing may go wrong in it."""
    pages = []

    def open_page(**options):
        page, wrong = watched(browser, **options)
        page.goto(page_file.as_uri())
        page.wait_for_selector("body[data-step='0']")
        pages.append((page, wrong))
        return page

    yield open_page
    for page, wrong in pages:
        assert wrong == []
        page.context.close()


def test_every_start_of_the_gallery_plays(opened):
    page = opened(viewport={"width": 1280, "height": 900})
    entries = page.locator(".entry")
    assert entries.count() == 12
    for index in range(12):
        entry = entries.nth(index)
        entry.click()
        until(page, "Number(document.body.dataset.step) >= 1")
        assert entry.get_attribute("aria-pressed") == "true"
        sentence = entry.locator("span").inner_text()
        assert len(sentence) > 30
        assert page.inner_text("#watch").endswith(sentence)
        assert page.locator("#failure").is_hidden()


def test_a_pixel_of_the_map_is_watched(opened):
    page = opened(viewport={"width": 1280, "height": 900})
    put(page, state({}))
    page.get_by_role("button", name="Compute the map").click()
    until(page, "document.querySelector('#map').innerText.includes('425 of 425')", 120)
    chart = page.locator("#map .chart")
    chart.scroll_into_view_if_needed()
    box = page.locator("#map .nsewdrag").bounding_box()
    page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 0.25 * box["height"])
    page.wait_for_selector("body[data-playing='true']")
    [side] = on_page(page)["sides"]
    assert side["start"]["scale"] == pytest.approx(31.6, rel=0.5)
    assert side["learningRate"] == pytest.approx(1, rel=0.6)
    # And by the keyboard.
    chart.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    assert on_page(page)["sides"][0]["start"]["scale"] < side["start"]["scale"]


def test_by_the_keyboard_alone(opened):
    page = opened(viewport={"width": 1280, "height": 900})
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "((element) => (element.getAttribute('aria-label') ?? "
                "element.labels?.[0]?.textContent ?? element.textContent).trim())"
                "(document.activeElement)"
            )
        )
    for wanted in ("▶ Play", "speed", "activation", "weights", "standard deviation", "New seed"):
        assert wanted in reached, wanted
    # Every stop has a name.
    assert all(reached)
    unit = page.locator(".side-b .unit").first
    unit.focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.unit") == "1"
    assert "weights" in page.inner_text("#tip")
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()
    for key in ("s", "s"):
        page.keyboard.press(key)
    page.wait_for_selector("body[data-step='2']")
    page.keyboard.press("r")
    page.wait_for_selector("body[data-step='0']")
    page.locator("#curves .chart").first.focus()
    page.keyboard.press("ArrowLeft")
    assert "A loss 0.693" in page.inner_text("#curves")


def test_single_keys_are_switched_off_and_stay_so(opened):
    page = opened()
    step = page.get_by_role("button", name="Step", exact=True)
    assert step.get_attribute("aria-keyshortcuts") == "s"
    page.get_by_label("Single keys").uncheck()
    assert step.get_attribute("aria-keyshortcuts") is None
    page.locator("h1").click()
    for key in ("s", "Space", "n"):
        page.keyboard.press(key)
    page.wait_for_timeout(100)
    assert page.get_attribute("body", "data-step") == "0"
    page.reload()
    page.wait_for_selector("body[data-step='0']")
    assert not page.get_by_label("Single keys").is_checked()
    page.get_by_label("Single keys").check()
    page.keyboard.press("s")
    page.wait_for_selector("body[data-step='1']")


def test_seeds_are_one_stop_with_arrow_keys_between_them(opened):
    page = opened(viewport={"width": 1280, "height": 900})
    assert page.locator(".dots [tabindex='0']").count() == 2
    page.locator(".dots [tabindex='0']").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    until(page, "document.activeElement.getAttribute('aria-pressed') === 'true'")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("seed 1:")


def test_each_activation_has_its_phase_diagram(opened):
    page = opened(viewport={"width": 1280, "height": 900})
    plots = page.locator(".phases .chart:visible .gtitle")

    def shown(count):
        until(page, f"document.querySelectorAll('.phases .chart:not([hidden])').length === {count}")
        return plots.all_text_contents()

    put(page, state({}, {"activation": "relu", "start": start("he_normal")}))
    until(page, "document.querySelectorAll('.phases .gtitle').length === 2")
    assert [title.split()[2] for title in shown(2)] == ["tanh;", "relu;"]
    dots = "document.querySelectorAll('.phases .chart')[%d].querySelector('.textpoint').textContent"
    assert [page.evaluate(dots % index) for index in (0, 1)] == ["A", "B"]
    put(page, state({}, {"start": start("constant", 0.5)}))
    assert len(shown(1)) == 1
    assert "B: no prediction" in page.inner_text(".prediction")


def test_a_number_that_is_refused_leaves_the_one_before(opened):
    page = opened(viewport={"width": 1280, "height": 900})
    box = page.get_by_label("learning rate, written")
    box.fill("-3")
    box.press("Tab")
    assert "must be a number from" in page.inner_text("#failure")
    assert box.input_value() == "1.2"
    assert on_page(page)["sides"][0]["learningRate"] == 1.2


def test_a_phone_scrolls_down_alone(opened):
    page = opened(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    for entry in (None, "he_glorot"):
        if entry:
            page.locator(f"[data-name={entry}]").tap()
            until(page, "Number(document.body.dataset.step) >= 2")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_dark_is_the_systems_choice_and_the_readers(opened):
    page = opened(color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.get_by_role("button", name="dark colours").click()
    light = page.evaluate(paper)
    assert [sum(map(int, each[4:-1].split(","))) < 384 for each in (dark, light)] == [True, False]


def test_less_motion_is_fewer_pictures(opened):
    page = opened(reduced_motion="reduce")
    page.keyboard.press("Space")
    until(page, "Number(document.body.dataset.step) >= 10")
    assert page.evaluate(COUNT_FRAMES, 2)["drawn"] <= 4


def test_the_picture_is_a_png(opened):
    page = opened(viewport={"width": 1280, "height": 900})
    play(page, 20)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Picture as PNG").click()
    written = saved.value.path().read_bytes()
    assert written.startswith(b"\x89PNG")
    assert len(written) > 20_000


def test_every_frame_has_its_picture(opened, record_property):
    """2 x 16 nets of 2-8-8-1 on 400 points; how many frames there are is noted."""
    page = opened(viewport={"width": 1280, "height": 900})
    side = {"depth": 2, "width": 8, "start": start("normal", 0.5), "learningRate": 0.5}
    put(page, state(side, side, task="flower", seeds=16))
    page.get_by_label("speed").select_option("60 steps/s".replace(" ", " "))
    page.keyboard.press("Space")
    until(page, "Number(document.body.dataset.step) >= 20")
    measured = page.evaluate(COUNT_FRAMES, 5)
    record_property("frames", measured)
    print(measured)
    assert measured["drawn"] > 0.75 * measured["frames"]
    assert measured["steps"] > 0.75 * measured["frames"]
