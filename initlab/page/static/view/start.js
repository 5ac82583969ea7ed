/** How one side starts: weights, biases, layer by layer. */
import { BIASES, SCHEMES } from "../lab/settings.js";
import { h } from "./dom.js";
import { choice, logarithmic, whole } from "./fields.js";
import { short } from "./format.js";

const DECADES = [-3, 3];

/** What the scale of a scheme is called. */
const SCALES = { value: "every weight is", std: "standard deviation", factor: "scale factor", gain: "gain" };

/**
 * A start in a few words: "randn × 0.01, zero biases".
 * @param {object} side
 * @returns {string}
 */
export function describeStart({ start, bias }) {
  const { title, scale } = SCHEMES[start.scheme];
  const name = start.scheme === "normal" ? "randn" : title;
  const weights = scale === null ? "all weights zero" : scale === "value" ? `all weights ${short(start.scale)}` : `${name} × ${short(start.scale)}`;
  const factors = start.factors ? ", layer by layer" : "";
  const shared = start.copies > 1 ? `, one key for ${start.copies} units` : "";
  const biases = bias.scheme === "zeros" ? "" : bias.scheme === "constant" ? `, biases ${short(bias.scale)}` : `, biases randn × ${short(bias.scale)}`;
  return `${weights}${factors}${shared}${biases}`;
}

/**
 * @param {number} index of the side
 * @param {object} store
 * @param {(edit: (draft: object) => void) => void} change
 * @returns {Element}
 */
export function createStart(index, store, change) {
  const edit = (apply) => change((draft) => apply(draft.sides[index]));
  const scheme = choice("weights", SCHEMES, (value) =>
    edit((side) => {
      side.start.scheme = value;
      // A factor of 1 is the scheme itself.
      if (SCHEMES[value].scale !== null) side.start.scale = ["normal", "constant"].includes(value) ? 0.1 : 1;
    }),
  );
  const scale = logarithmic("scale", { decades: DECADES, zero: true, sign: true }, (value) => edit((side) => { side.start.scale = value; }));
  const bias = choice("biases", BIASES, (value) =>
    edit((side) => {
      side.bias = { scheme: value, scale: value === "zeros" ? 0 : 0.1 };
    }),
  );
  const biasScale = logarithmic("bias scale", { decades: DECADES, zero: true, sign: true }, (value) => edit((side) => { side.bias.scale = value; }));
  const one = whole("units that share one key", [0, 16], (value) => edit((side) => {
    side.start.copies = value < 2 ? 0 : Math.min(value, side.width);
  }));
  const sentence = h("p", { class: "hint" });
  const factors = h("div", { class: "factors" });
  const each = h("label", { class: "check" }, h("input", { type: "checkbox", change: () => edit((side) => {
    side.start.factors = side.start.factors ? null : Array(side.depth + 1).fill(1);
  }) }), "its own factor for each layer");
  const more = h("details", {}, h("summary", {}, "Layer by layer, and copies"), each, factors, one.element);
  let sliders = [];

  function showFactors({ depth, start }) {
    each.firstChild.checked = start.factors !== null;
    const wanted = start.factors ? depth + 1 : 0;
    if (sliders.length !== wanted) {
      sliders = Array.from({ length: wanted }, (_, layer) => {
        const name = layer === depth ? "output × " : `layer ${layer + 1} × `;
        return logarithmic(name, { decades: DECADES, zero: true }, (value) => edit((side) => {
          side.start.factors[layer] = value;
        }));
      });
      factors.replaceChildren(...sliders.map((slider) => slider.element));
    }
    sliders.forEach((slider, layer) => slider.set(start.factors[layer]));
  }

  function show(state) {
    const side = state.sides[index];
    if (!side) return;
    const known = SCHEMES[side.start.scheme];
    scheme.set(side.start.scheme);
    scale.show(known.scale !== null);
    scale.element.querySelector("label").textContent = SCALES[known.scale] ?? "scale";
    scale.set(side.start.scale);
    bias.set(side.bias.scheme);
    biasScale.show(side.bias.scheme !== "zeros");
    biasScale.set(side.bias.scale);
    one.set(side.start.copies);
    sentence.textContent = known.sentence;
    showFactors(side);
  }
  store.subscribe(show);
  show(store.get());
  return h("div", { class: "start" }, scheme.element, scale.element, sentence, bias.element, biasScale.element, more);
}
