/** The rms of the signal and of its gradient, layer by layer, as two strips of colour and number. */
import { h, setAttribute, setText } from "./dom.js";
import { short } from "./format.js";
import { sequential } from "./paint.js";
import { tip } from "./tooltip.js";

/** Decades that the colours span: below the first all is as dark, above the last as bright. */
const DECADES = [-6, 2];

const STRIPS = [
  { key: "signal", label: "signal", what: "rms of the pre-activations z" },
  { key: "gradient", label: "gradient", what: "rms of the loss's gradient by z" },
];

/** A rms as a colour and an ink, on a logarithmic scale. */
export function colorOf(value) {
  if (!(value > 0)) return sequential(0);
  return sequential((Math.log10(value) - DECADES[0]) / (DECADES[1] - DECADES[0]));
}

/** @returns {{element: Element, draw: (layers: object[]) => void}} */
export function createStrips() {
  const rows = STRIPS.map(({ label, what }) => h("tr", {}, h("th", { scope: "row", title: what }, label)));
  const head = h("tr", {}, h("th", { scope: "col" }, "rms of"));
  const caption = h("caption", { class: "sr" }, "rms of signal and of gradient in each layer");
  const element = h("table", { class: "strips" }, caption, h("thead", {}, head), h("tbody", {}, ...rows));
  let [count, shown] = [0, []];

  function build(layers) {
    if (layers.length === count) return;
    count = layers.length;
    const name = (index) => (index + 1 === count ? "out" : String(index + 1));
    head.replaceChildren(head.firstChild, ...layers.map((_, index) => h("th", { scope: "col" }, name(index))));
    rows.forEach((row, strip) => {
      const cells = layers.map((_, index) => {
        const cell = h("td");
        tip(cell, () => `${STRIPS[strip].what}\nlayer ${name(index)}: ${short(shown[index][STRIPS[strip].key])}`);
        return cell;
      });
      row.replaceChildren(row.firstChild, ...cells);
    });
  }

  return {
    element,
    draw(layers) {
      shown = layers;
      build(layers);
      STRIPS.forEach(({ key }, strip) => {
        layers.forEach((layer, index) => {
          const cell = rows[strip].children[index + 1];
          const value = layer[key];
          setText(cell, short(value, count > 5 ? 1 : 2).replace("not finite", "∞").replace("e-0", "e-"));
          const { fill, ink } = colorOf(value);
          setAttribute(cell, "style", `background:${fill};color:${ink}`);
        });
      });
    },
  };
}
