"""The page's arithmetic alone in a browser, and the task that its tests share with the lab."""

import functools

import numpy as np
import pytest
from browsers import watched

from initlab import tasks
from initlab.page.assemble import read_modules
from initlab.page.bundle import bundle
from initlab.page.data import page_data

__all__ = ["page", "task"]


@functools.cache
def task():
    """What stands for moons on the page."""
    # An odd number: where classes are as many, zero weights leave a gradient of rounding's size,
    # and Adam, which divides by that size, goes wherever rounding points.
    return tasks.take(tasks.moons(points=48), 45)


# What the browser runs: messages in turn, and what is compared of the snapshots.
DRIVER = """
/** The lab of the page under test. */
import { createLab } from "./lab/worker.js";
import { fixedPoint } from "./lab/theory.js";
import { GALLERY } from "./lab/gallery.js";
import { pythonProgram } from "./lab/program.js";
import { keyOf, normal, split, uniform } from "./lab/random.js";
import { checkState } from "./lab/settings.js";

window.page = { fixedPoint, GALLERY, pythonProgram, keyOf, normal, split, uniform, checkState };
const lab = createLab();
window.lab = lab;
// Older versions of playwright do not read typed arrays.
window.plain = (value) => {
  if (ArrayBuffer.isView(value)) return Array.from(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]));
};
window.ask = async (message) => {
  let last;
  await lab.handle({ id: 0, ...message }, (reply) => { last = reply; });
  if (last.type === "error") throw new Error(last.message);
  return plain(last);
};
window.train = async (state, steps, params) => {
  const flat = (layers) => layers.flatMap((layer) => [...layer.weight.flat(), ...layer.bias]);
  const seen = [];
  let snapshot = await ask({ type: "load", state, params });
  const start = flat((await ask({ type: "params", side: 0, net: 0 })).layers);
  for (const step of steps) {
    if (step > 0) snapshot = await ask({ type: "step", count: step - snapshot.step });
    const { loss, accuracy, layers } = snapshot.sides[0];
    const of = (name) => layers.map((layer) => layer[name]);
    const gradient = flat((await ask({ type: "params", side: 0, net: 0 })).gradient);
    const [distinct, saturation, dead] = ["distinct", "saturation", "dead"].map(of);
    seen.push({ loss, accuracy, gradient, distinct, saturation, dead });
  }
  return { start, seen };
};
"""


@pytest.fixture(scope="module")
def page(browser):
    """A browser's page that holds the lab and nothing to be seen."""
    tab, wrong = watched(browser)
    tab.add_script_tag(content=bundle({**read_modules(), "driver.js": DRIVER}, "driver.js"))
    moons = {"x": np.asarray(task().x, np.float32).tolist(), "y": task().y.tolist()}
    tab.evaluate("tasks => ask({ type: 'init', tasks })", page_data() | {"moons": moons})
    yield tab
    assert wrong == []
