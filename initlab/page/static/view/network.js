/** The network: links in SVG, each unit's own map and boundary on a canvas beneath. */
import { h, setAttribute, setText, sharp, svg } from "./dom.js";
import { short } from "./format.js";
import { bracket, copies, layOut } from "./layout.js";
import { paint, trace } from "./paint.js";
import { colors } from "./theme.js";
import { showTip, tip } from "./tooltip.js";

// The power 0.4 of the square of index / 512.
const SHADES = Float32Array.from({ length: 513 }, (_, index) => (index / 512) ** 0.8);

/**
 * @param {number} value of a unit after its activation
 * @returns {number} -1..1: its sign, and its size so that 0.01 can still be seen; NaN of NaN
 */
export function shade(value) {
  const size = SHADES[(512 * Math.sqrt(Math.min(Math.abs(value), 1))) | 0];
  return value < 0 ? -size : value >= 0 ? size : NaN;
}

/** The same for an activation that lies between 0 and 1: about 1/2. */
function shadeSigmoid(value) {
  return shade(2 * value - 1);
}

/**
 * @param {string} name of the side, for screen readers
 * @returns {{element: Element, draw: (side: object, snapshot: object) => void, reset: () => void,
 *   picture: () => {canvas: HTMLCanvasElement, svg: SVGElement}, summary: () => string}}
 */
export function createNetwork(name) {
  const canvas = h("canvas", { "aria-hidden": "true" });
  // An application, so that a screen reader leaves the arrow keys to it.
  const drawing = svg("svg", { role: "application", "aria-label": `network ${name}; arrow keys move between its units` });
  const element = h("div", { class: "network" }, canvas, drawing);
  let [shape, plan, parts, last, width] = ["", null, null, null, 0];
  // Asked when it may have changed: at each frame it would make the browser lay out the page.
  new ResizeObserver(() => { width = 0; }).observe(element);

  function build(side) {
    width ||= Math.max(element.clientWidth, 240);
    const wanted = `${side.depth} ${side.width} ${width}`;
    if (wanted === shape) return;
    shape = wanted;
    plan = layOut(side, width);
    drawing.replaceChildren();
    drawing.setAttribute("viewBox", `0 0 ${plan.width} ${plan.height}`);
    drawing.setAttribute("height", plan.height);
    element.style.height = `${plan.height}px`;
    parts = { links: buildLinks(), units: buildUnits(side), captions: buildCaptions(), groups: [] };
    parts.brackets = drawing.appendChild(svg("g", { fill: "none", "stroke-width": 2 }));
  }

  function buildLinks() {
    const group = drawing.appendChild(svg("g", { fill: "none" }));
    const half = plan.size / 2;
    return plan.columns.slice(1).map((column, layer) => {
      const before = plan.columns[layer];
      return before.ys.flatMap((from) =>
        column.ys.map((to) => {
          const [x1, x2] = [before.x + (layer === 0 ? 12 : half), column.x - (layer + 2 === plan.columns.length ? 12 : half)];
          const middle = (x1 + x2) / 2;
          const path = `M${x1} ${from}C${middle} ${from} ${middle} ${to} ${x2} ${to}`;
          return group.appendChild(svg("path", { d: path }));
        }),
      );
    });
  }

  function buildUnits(side) {
    const ends = [0, plan.columns.length - 1];
    ends.forEach((layer) => {
      plan.columns[layer].ys.forEach((y, index) => {
        const { ink, card } = colors();
        const circle = { cx: plan.columns[layer].x, cy: y, r: 12, fill: card, stroke: ink };
        const label = { x: plan.columns[layer].x, y: y + 4, "text-anchor": "middle", "font-size": 12, fill: ink };
        drawing.append(svg("circle", circle), svg("text", label, layer === 0 ? `x${"₁₂"[index]}` : "P"));
      });
    });
    let isFirst = true;
    return plan.columns.slice(1, -1).map((column, layer) =>
      column.ys.map((y, unit) => {
        const square = { x: column.x - plan.size / 2, y: y - plan.size / 2, width: plan.size, height: plan.size };
        const place = { "data-layer": layer, "data-unit": unit, tabindex: isFirst ? 0 : -1, role: "img" };
        isFirst = false;
        const rect = svg("rect", { ...square, ...place, class: "unit", rx: 2, fill: "transparent" });
        tip(rect, () => describe(layer, unit));
        rect.addEventListener("keydown", (event) => move(event, layer, unit, side));
        return drawing.appendChild(rect);
      }),
    );
  }

  function buildCaptions() {
    const top = { y: 11, "text-anchor": "middle", "font-size": 11 };
    return plan.columns.slice(1, -1).map((column) => {
      const place = { ...top, x: column.x, y: plan.height - 8 };
      return drawing.appendChild(svg("text", place));
    });
  }

  // One stop for the tab key, the arrow keys within: a network may have 128 units.
  function move(event, layer, unit, side) {
    const way = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (!way) return;
    event.preventDefault();
    const clamp = (value, most) => Math.min(Math.max(value, 0), most - 1);
    const next = parts.units[clamp(layer + way[0], side.depth)][clamp(unit + way[1], side.width)];
    parts.units.flat().forEach((each) => setAttribute(each, "tabindex", each === next ? 0 : -1));
    next.focus();
    showTip(next);
  }

  function describe(layer, unit) {
    if (!last) return "";
    const data = last.layers[layer];
    const column = Array.from({ length: data.fanIn }, (_, row) => short(data.weight[row * data.units + unit]));
    const of = copies(data.classes).find((units) => units.includes(unit));
    const twin = of ? `; a copy of unit${of.length > 2 ? "s" : ""} ${of.filter((each) => each !== unit).map((each) => each + 1).join(", ")}` : "";
    const weights = column.length > 6 ? `${column.slice(0, 6).join(", ")}, …` : column.join(", ");
    return `layer ${layer + 1}, unit ${unit + 1}${twin}\nweights ${weights}\nbias ${short(data.bias[unit])}`;
  }

  function drawMaps(context, snapshot) {
    const { maps } = snapshot;
    const { ink } = colors();
    plan.columns.slice(1, -1).forEach((column, layer) => {
      const place = snapshot.layers[layer].activation === "sigmoid" ? shadeSigmoid : shade;
      column.ys.forEach((y, unit) => {
        const square = { x: column.x - plan.size / 2, y: y - plan.size / 2, width: plan.size };
        const offset = unit * maps.size * maps.size;
        paint(context, maps.a[layer], offset, maps.size, place, square);
        context.beginPath();
        trace(context, maps.z[layer], offset, maps.size, 0, square);
        context.strokeStyle = ink;
        context.lineWidth = 1;
        context.stroke();
      });
    });
  }

  function drawLinks(layers) {
    const { low, high } = colors();
    parts.links.forEach((paths, layer) => {
      const { weight } = layers[layer];
      let most = 0;
      for (const value of weight) most = Math.max(most, Math.abs(value) || 0);
      paths.forEach((path, index) => {
        const share = most > 0 ? Math.abs(weight[index]) / most : 0;
        setAttribute(path, "stroke", weight[index] < 0 ? low : high);
        // In steps: most of them stay the same from one frame to the next.
        const isDrawn = weight.length <= 64 || share > 0.55;
        setAttribute(path, "visibility", isDrawn ? "visible" : "hidden");
        if (!isDrawn) return;
        setAttribute(path, "stroke-width", (Math.round(share * 12) / 4 + 0.25).toFixed(2));
        setAttribute(path, "stroke-opacity", (0.15 + Math.round(share * 10) * 0.065).toFixed(2));
      });
    });
  }

  function drawGroups(layers) {
    const { classes: palette, line, ink, soft } = colors();
    parts.units.forEach((rects, layer) => {
      const { classes, distinct, units } = layers[layer];
      const key = `${classes.join(" ")} ${line}`;
      if (parts.groups[layer] === key) return;
      parts.groups[layer] = key;
      const groups = copies(classes);
      rects.forEach((rect, unit) => {
        const group = groups.findIndex((each) => each.includes(unit));
        setAttribute(rect, "stroke", group < 0 ? soft : palette[group % palette.length]);
        setAttribute(rect, "stroke-width", group < 0 ? 1 : 3);
        const twins = group < 0 ? "" : `, copy of ${groups[group].length - 1} other${groups[group].length > 2 ? "s" : ""}`;
        setAttribute(rect, "aria-label", `layer ${layer + 1}, unit ${unit + 1}${twins}`);
      });
      parts.captions[layer].setAttribute("fill", groups.length ? ink : soft);
      const text = plan.columns.length > 5 ? `${distinct}/${units}` : `${distinct} distinct of ${units}`;
      setText(parts.captions[layer], text);
      parts.brackets.querySelectorAll(`[data-layer="${layer}"]`).forEach((each) => each.remove());
      const { x, ys } = plan.columns[layer + 1];
      groups.forEach((group, index) => {
        const at = x + plan.size / 2 + 8 + (index % 3) * 4;
        const path = bracket(group.map((unit) => ys[unit]), at, 6 + (index % 3) * 4);
        const color = palette[index % palette.length];
        parts.brackets.append(svg("path", { d: path, stroke: color, "data-layer": layer, class: "bracket" }));
      });
    });
  }

  function draw(side, snapshot) {
    last = snapshot;
    build(side);
    const context = sharp(canvas, plan.width, plan.height);
    context.clearRect(0, 0, plan.width, plan.height);
    drawLinks(snapshot.layers);
    drawMaps(context, snapshot);
    drawGroups(snapshot.layers);
  }

  return {
    element,
    draw,
    /** Builds anew at the next draw: another width, or light for dark. */
    reset() {
      [shape, width] = ["", 0];
    },
    picture: () => ({ canvas, svg: drawing }),
    summary: () => (last ? last.layers.slice(0, -1).map((each) => `${each.distinct} distinct of ${each.units}`).join(", ") : ""),
  };
}
