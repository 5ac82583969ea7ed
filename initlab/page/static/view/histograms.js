/** Each layer's pre-activations as a histogram, over the slope of the activation there. */
import { activation } from "../lab/activations.js";
import { h, setAttribute, setText, svg } from "./dom.js";
import { percent, short } from "./format.js";
import { tip } from "./tooltip.js";

const [WIDTH, HEIGHT] = [120, 46];

/** The slope of an activation over an interval, as an SVG path that is closed below. */
export function slopePath(name, low, high) {
  const { slope, largestSlope } = activation(name);
  const points = Array.from({ length: 61 }, (_, index) => {
    const share = index / 60;
    const height = slope(low + share * (high - low)) / largestSlope;
    return `${(share * WIDTH).toFixed(1)} ${(HEIGHT - Math.max(Math.min(height, 1.1), 0) * (HEIGHT - 6)).toFixed(1)}`;
  });
  return `M0 ${HEIGHT}L${points.join("L")}L${WIDTH} ${HEIGHT}Z`;
}

/** A histogram as an SVG path: its highest bar is as high as the picture. */
export function barsPath(shares) {
  const most = Math.max(...shares, 1e-9);
  const step = WIDTH / shares.length;
  let path = "";
  shares.forEach((share, index) => {
    if (!(share > 0)) return;
    const height = Math.max((share / most) * (HEIGHT - 6), 1);
    path += `M${(index * step).toFixed(1)} ${HEIGHT}v${(-height).toFixed(1)}h${(step * 0.9).toFixed(1)}V${HEIGHT}Z`;
  });
  return path;
}

/** @returns {{element: Element, draw: (layers: object[]) => void}} */
export function createHistograms() {
  const element = h("div", { class: "histograms" });
  let cells = [];

  function build(count) {
    if (cells.length === count) return;
    cells = Array.from({ length: count }, (_, index) => {
      const slope = svg("path", { class: "slope" });
      const bars = svg("path", { class: "bars" });
      const range = h("span", { class: "range" }, h("span"), h("span"));
      const title = h("figcaption", {}, "");
      const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, slope, bars);
      const figure = h("figure", {}, title, drawing, range);
      const cell = { figure, slope, bars, range, title, index, layer: null };
      tip(figure, () => describe(cell));
      return cell;
    });
    element.replaceChildren(...cells.map((cell) => cell.figure));
  }

  function describe({ layer, index }) {
    if (!layer) return "";
    const { low, high } = layer.histogram;
    const dead = layer.dead ? `\ndead ${percent(layer.dead)}` : "";
    return `layer ${index + 1}: z from ${short(low)} to ${short(high)}\nsaturated ${percent(layer.saturation)}${dead}`;
  }

  return {
    element,
    draw(layers) {
      const hidden = layers.slice(0, -1);
      build(hidden.length);
      hidden.forEach((layer, index) => {
        const cell = cells[index];
        cell.layer = layer;
        const { low, high, shares } = layer.histogram;
        setAttribute(cell.slope, "d", slopePath(layer.activation, low, high));
        setAttribute(cell.bars, "d", barsPath(shares));
        const short1 = (value) => short(value, 2);
        setText(cell.range.firstChild, short1(low));
        setText(cell.range.lastChild, short1(high));
        setText(cell.title, `layer ${index + 1}: ${percent(layer.saturation)} saturated`);
      });
    },
  };
}
