/** The panel of exports: address, state, curves, picture, and the same in Python. */
import { pythonProgram } from "../lab/program.js";
import { h } from "./dom.js";
import { curvesText, download, picture, stateText } from "./exports.js";
import { button } from "./fields.js";

async function copyText(text, area) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // A file:// page, or one without permission, has no clipboard: what is selected can be copied.
    area.select();
    document.execCommand("copy");
  }
}

/**
 * @param {object} page getState, getStep, seeds, history, sides (pictures), plots, load (a state), say, fail
 * @returns {{element: Element, update: () => void}}
 */
export function createTakeaway(page) {
  const code = h("textarea", { class: "code", readonly: true, rows: 18, spellcheck: "false", "aria-label": "the same run in Python" });
  const copy = button("Copy the program", async () => {
    await copyText(code.value, code);
    page.say("The program was copied.");
  });
  const address = h("textarea", { class: "sr", readonly: true, tabindex: -1, "aria-hidden": "true" });
  const share = button("Copy the address", async () => {
    address.value = location.href;
    await copyText(location.href, address);
    page.say("The address was copied.");
  });
  const state = button("State as JSON", () => download("initlab-state.json", new Blob([stateText(page.getState())], { type: "application/json" })));
  const curves = button("Curves as CSV", () => download("initlab-curves.csv", new Blob([curvesText(page.history.rows(page.seeds()))], { type: "text/csv" })));
  const image = button("Picture as PNG", async () => {
    try {
      download("initlab.png", await picture(page.getState(), page.getStep(), page.sides(), page.plots()));
    } catch (error) {
      page.fail(error);
    }
  });
  const file = h("input", { type: "file", accept: ".json,application/json", class: "sr", id: "state-file", change: async () => {
    try {
      if (file.files[0]) page.load(JSON.parse(await file.files[0].text()));
    } catch (error) {
      page.fail(error);
    }
    file.value = "";
  } });
  const open = h("label", { for: "state-file", class: "button" }, "Open a state");
  const python = h("details", { class: "python", toggle: () => update() }, h("summary", {}, "Reproduce in Python"), h("p", { class: "hint" }, "This program runs with initlab and trains what is on the screen."), code, copy);
  const element = h("div", { class: "takeaway" }, h("div", { class: "buttons" }, share, state, curves, image, file, open), address, python);

  function update() {
    if (python.open) code.value = pythonProgram(page.getState(), page.getStep());
  }
  return { element, update };
}
