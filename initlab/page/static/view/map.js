/** Scale times learning rate: how each start ends, computed live; click a pixel to watch that run. */
import { createChart } from "./chart.js";
import { h } from "./dom.js";
import { button, choice, whole } from "./fields.js";
import { percent, rounded, short } from "./format.js";
import { SEQUENCE } from "./paint.js";
import { NAMES } from "./side.js";
import { colors } from "./theme.js";

/** The side that the map is of: the one that was chosen, else the first whose start has a scale. */
function mapped(state, chosen) {
  if (chosen !== null && state.sides[chosen]) return chosen;
  return Math.max(state.sides.findIndex(({ start }) => start.scheme !== "zeros"), 0);
}

/** A side at a pixel: of a start without a scale, Gaussian weights take the place. */
export function atPixel(side, scale, learningRate) {
  const scheme = side.start.scheme === "zeros" ? "normal" : side.start.scheme;
  return { ...side, learningRate, start: { ...side.start, scheme, scale } };
}

const [COLUMNS, ROWS] = [25, 17];
const decades = (low, high, count) =>
  Array.from({ length: count }, (_, index) => rounded(10 ** (low + ((high - low) * index) / (count - 1)), 3));

/** The map's axes: scales 1e-3 to 1e3, learning rates 1e-3 to 10. */
export const SCALES = decades(-3, 3, COLUMNS);
export const RATES = decades(-3, 1, ROWS);

/** The block of a coarse map that a pixel lies in stands for it until its own number is there. */
export function filled(values, row, column) {
  for (let size = 1; size <= 16; size *= 2) {
    const value = values[(row - (row % size)) * COLUMNS + column - (column % size)];
    if (value !== undefined) return value;
  }
  return null;
}

/**
 * @param {object} client of the worker that does not train
 * @param {() => object} getState
 * @param {(side: number, scale: number, rate: number) => void} watch
 * @param {(text: string) => void} say
 */
export function createMap(client, getState, watch, say) {
  const chart = createChart("map of final loss over scale and learning rate", "arrow keys move, Enter watches that run");
  // Not spoken, as it changes at each message; that the map is complete is.
  const status = h("p", { class: "hint" }, "Not computed yet.");
  const reading = h("p", { class: "reading", "aria-live": "polite" });
  const start = button("Compute the map", () => (running ? stop() : run()), { class: "primary" });
  const showTrained = h("input", { type: "checkbox", change: () => draw() });
  const trainedLabel = h("label", { class: "check" }, showTrained, "show the share of seeds that train instead");
  let steps = 300;
  const slider = whole("steps of each run, hundreds", [1, 20], (value) => { steps = 100 * value; });
  slider.set(3);
  let chosen = null;
  const which = choice("of", Object.fromEntries(NAMES.map((title, index) => [index, { title }])), (value) => {
    chosen = Number(value);
    map.forget();
  });
  const name = h("strong");
  const note = h("p", {}, "Each pixel is four runs of ", name, "’s network from its start, at that scale and learning rate: the median of their final losses. Click a pixel to watch that run.");
  const element = h("div", { class: "map" }, h("div", { class: "map-side" }, note, which.element, slider.element, start, trainedLabel, status, reading), chart.element);
  let [running, losses, shares, cell, pending, guess, done] = [0, [], [], null, 0, Math.LN2, 0];
  let isConnected = false;

  function run() {
    [losses, shares, cell, done] = [[], [], null, 0];
    const state = getState();
    const side = atPixel(state.sides[mapped(state, chosen)], 1, 1);
    const content = { state: { ...state, sides: [side] }, side: 0, scales: SCALES, rates: RATES, steps, seeds: 4 };
    start.textContent = "Stop";
    running = client.stream("scan", content, (reply) => {
      (reply.pixels ?? []).forEach(([column, row, loss, share]) => {
        if (losses[row * COLUMNS + column] === undefined) done += 1;
        losses[row * COLUMNS + column] = loss;
        shares[row * COLUMNS + column] = share;
      });
      const total = COLUMNS * ROWS;
      status.textContent = reply.error ? reply.error : `${done} of ${total} pixels.`;
      if (reply.done) {
        running = 0;
        start.textContent = "Compute the map";
        say(reply.error ?? (done === total ? "The map is complete." : "The map was stopped."));
        draw();
      } else if (!pending) {
        // Not at every message: a picture takes longer to draw than a pixel to compute.
        pending = setTimeout(draw, 300);
      }
    });
    draw();
  }

  function stop() {
    if (running) client.cancel(running);
  }

  function draw() {
    pending = 0;
    const { ink, sides } = colors();
    const isShare = showTrained.checked;
    const values = isShare ? shares : losses;
    const z = RATES.map((_, row) => SCALES.map((__, column) => {
      const value = filled(values, row, column);
      if (value === null) return null;
      return isShare ? value : Math.min(Number.isFinite(value) ? value : 4 * guess, 4 * guess);
    }));
    const picture = {
      type: "heatmap", x: SCALES.map(Math.log10), y: RATES.map(Math.log10), z,
      zmin: 0, zmax: isShare ? 1 : 2 * guess,
      colorscale: SEQUENCE.map((color, index) => [index / (SEQUENCE.length - 1), color]), reversescale: !isShare,
      colorbar: { title: { text: isShare ? "share" : "loss" }, thickness: 10, len: 0.9, outlinewidth: 0 },
      hovertemplate: "%{customdata}<extra></extra>",
      customdata: RATES.map((_, row) => SCALES.map((__, column) => describe(row, column))),
    };
    const index = mapped(getState(), chosen);
    const side = getState().sides[index];
    name.textContent = NAMES[index];
    which.set(index);
    which.element.hidden = getState().sides.length === 1;
    const marks = [
      { x: [Math.log10(Math.max(side.start.scale, SCALES[0]))], y: [Math.log10(side.learningRate)], mode: "markers", hoverinfo: "skip",
        marker: { size: 13, color: sides[index], symbol: "circle", line: { color: "#fff", width: 2 } } },
    ];
    if (cell) {
      marks.push({ x: [Math.log10(SCALES[cell[1]])], y: [Math.log10(RATES[cell[0]])], mode: "markers", hoverinfo: "skip",
        marker: { size: 16, color: "rgba(0,0,0,0)", symbol: "square", line: { color: ink, width: 3 } } });
    }
    const ticks = (low, high) => {
      const tickvals = Array.from({ length: high - low + 1 }, (_, index) => low + index);
      return { tickvals, ticktext: tickvals.map((power) => short(10 ** power)), range: [low - 0.13, high + 0.13], zeroline: false, showgrid: false };
    };
    chart.draw([picture, ...marks], {
      margin: { l: 56, r: 10, t: 12, b: 44 },
      xaxis: { ...ticks(-3, 3), title: { text: "scale of the weights at the start", standoff: 4 } },
      yaxis: { ...ticks(-3, 1), title: { text: "learning rate", standoff: 4 } },
      height: 360,
    });
    connect();
  }

  function describe(row, column) {
    const [loss, share] = [losses, shares].map((values) => filled(values, row, column));
    const place = `scale ${short(SCALES[column])}, learning rate ${short(RATES[row])}`;
    if (loss === null) return place;
    return `${place}: ${Number.isFinite(loss) ? `loss ${short(loss)}` : "diverged"}, ${percent(share)} train`;
  }

  function choose(row, column) {
    cell = [row, column];
    watch(mapped(getState(), chosen), SCALES[column], RATES[row]);
  }

  // plotly makes its own listener once there is a plot.
  function connect() {
    if (isConnected) return;
    isConnected = true;
    chart.plot.on("plotly_click", ({ points }) => {
      const point = points.find(({ curveNumber }) => curveNumber === 0);
      if (point) choose(...[].concat(point.pointIndex ?? point.pointNumber));
    });
  }

  chart.element.addEventListener("keydown", (event) => {
    const way = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!way && event.key !== "Enter") return;
    event.preventDefault();
    cell ??= [8, 12];
    if (event.key === "Enter") return choose(...cell);
    cell = [Math.min(Math.max(cell[0] + way[0], 0), ROWS - 1), Math.min(Math.max(cell[1] + way[1], 0), COLUMNS - 1)];
    reading.textContent = describe(...cell);
    return draw();
  });

  const map = {
    element,
    draw,
    /** The number of the side that it is of. */
    side: (state) => mapped(state, chosen),
    /** Another network or task: what was computed is not of it. */
    forget() {
      stop();
      [losses, shares, cell, done] = [[], [], null, 0];
      status.textContent = "Not computed yet.";
      draw();
    },
  };
  return map;
}
