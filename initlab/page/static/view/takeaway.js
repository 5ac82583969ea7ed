/** The panel of exports: address, state, curves, picture, and the same in Python. */
import { pythonProgram } from "../lab/program.js";
import { h } from "./dom.js";
import { curvesText, download, picture, stateText } from "./exports.js";
import { button } from "./fields.js";
import { parseState } from "./store.js";

/** Copies a text; whether the browser let it. */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // A page without permission for the clipboard may still copy what is selected in it.
    const [area, before] = [h("textarea", { class: "sr", readonly: true }), document.activeElement];
    area.value = text;
    document.body.append(area);
    area.select();
    const isCopied = document.execCommand("copy");
    area.remove();
    before?.focus();
    return isCopied;
  }
}

/**
 * @param {object} page getState, getStep, seeds, history, sides (pictures), plots, load (a state), say, fail
 * @returns {{element: Element, update: () => void}}
 */
export function createTakeaway(page) {
  const code = h("textarea", { class: "code", readonly: true, rows: 18, spellcheck: "false", "aria-label": "the same run in Python" });
  const take = async (name, text) => {
    const isCopied = await copyText(text);
    page.say(isCopied ? `The ${name} was copied.` : `The browser does not let this page copy the ${name}: select it yourself.`);
  };
  const copy = button("Copy the program", () => take("program", code.value));
  const share = button("Copy the address", () => take("address", location.href));
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
      if (file.files[0]) page.load(parseState("the file", await file.files[0].text()));
    } catch (error) {
      page.fail(error);
    }
    file.value = "";
  } });
  const open = h("label", { for: "state-file", class: "button" }, "Open a state");
  const python = h("details", { class: "python", toggle: () => update() }, h("summary", {}, "Reproduce in Python"), h("p", { class: "hint" }, "This program runs with initlab and trains what is on the screen."), code, copy);
  const element = h("div", { class: "takeaway" }, h("div", { class: "buttons" }, share, state, curves, image, file, open), python);

  function update() {
    if (python.open) code.value = pythonProgram(page.getState(), page.getStep());
  }
  return { element, update };
}
