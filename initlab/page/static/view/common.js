/** What both sides share, and what is mostly changed for both: data, network, training. */
import { ACTIVATIONS, LIMITS, OPTIMIZERS, TASKS } from "../lab/settings.js";
import { h } from "./dom.js";
import { button, choice, logarithmic, whole } from "./fields.js";

/** Points of the kind of XOR: what "own points" begins with. */
export const FIRST_POINTS = [
  [1, 1, 1],
  [-1, -1, 1],
  [1, -1, 0],
  [-1, 1, 0],
];

/**
 * @param {object} store of the page's state
 * @param {(edit: (draft: object) => void) => void} change shows what is refused
 * @returns {{element: Element, label: () => number}} label: the class that a clicked point gets
 */
export function createCommon(store, change) {
  let target = "both";
  let label = 1;

  const sidesOf = (draft) =>
    draft.sides.filter((_, index) => target === "both" || index === (target === "a" ? 0 : 1));
  const edit = (apply) => change((draft) => sidesOf(draft).forEach(apply));
  const resize = (side) => {
    // Factors are for layers that were.
    side.start.factors = null;
    side.start.copies = Math.min(side.start.copies, side.width);
  };

  const task = choice("data", TASKS, (value) =>
    change((draft) => {
      draft.task = value;
      if (value === "own" && draft.own.length === 0) draft.own = structuredClone(FIRST_POINTS);
    }),
  );
  const activation = choice("activation", ACTIVATIONS, (value) => edit((side) => { side.activation = value; }));
  const depth = whole("hidden layers", LIMITS.depth, (value) => edit((side) => { side.depth = value; resize(side); }));
  const width = whole("units in a layer", LIMITS.width, (value) => edit((side) => { side.width = value; resize(side); }));
  const rate = logarithmic("learning rate", { decades: [-4, 2] }, (value) => edit((side) => { side.learningRate = value; }));
  const optimizer = choice("optimizer", OPTIMIZERS, (value) => edit((side) => { side.optimizer = value; }));

  const radios = (legend, values, pick, first) => {
    const name = `radio-${legend.replace(/\W/g, "")}`;
    const inputs = Object.entries(values).map(([value, text]) => {
      const input = h("input", { type: "radio", name, value, checked: value === first, change: () => pick(value) });
      return h("label", {}, input, text);
    });
    return h("fieldset", { class: "radios" }, h("legend", {}, legend), ...inputs);
  };
  const targets = radios("apply to", { both: "both", a: "A only", b: "B only" }, (value) => { target = value; show(store.get()); }, "both");
  const classes = radios("a click puts", { 1: "blue ●", 0: "orange ◆" }, (value) => { label = Number(value); }, "1");
  const clear = button("Take the last point away", () => change((draft) => { draft.own.pop(); }));
  const restart = button("Begin with four points", () => change((draft) => { draft.own = structuredClone(FIRST_POINTS); }));
  const hint = h("p", { class: "hint" }, "Click on a picture of the plane, or move its cross by the arrow keys and press Enter.");
  const own = h("div", { class: "own" }, classes, hint, clear, restart);
  const differ = h("p", { class: "hint", role: "note" });
  const element = h(
    "div",
    { class: "common" },
    h("h3", {}, "Data"), task.element, own,
    h("h3", {}, "Network"), targets, differ, activation.element, depth.element, width.element,
    h("h3", {}, "Training"), optimizer.element, rate.element,
  );

  function show(state) {
    const side = state.sides[target === "b" && state.sides[1] ? 1 : 0];
    targets.hidden = state.sides.length === 1;
    task.set(state.task);
    own.hidden = state.task !== "own";
    clear.disabled = state.own.length < 2;
    activation.set(side.activation);
    depth.set(side.depth);
    width.set(side.width);
    rate.set(side.learningRate);
    optimizer.set(side.optimizer);
    const names = { activation: "activation", depth: "hidden layers", width: "units", optimizer: "optimizer", learningRate: "learning rate" };
    const other = state.sides[1];
    const unlike = other ? Object.keys(names).filter((key) => state.sides[0][key] !== other[key]) : [];
    differ.hidden = unlike.length === 0;
    differ.textContent = `A and B differ in ${unlike.map((key) => names[key]).join(", ")}.`;
  }
  store.subscribe(show);
  show(store.get());
  return { element, label: () => label };
}
