/** Loss and accuracy over the steps, of A beside B; the other seeds faint. */
import { createChart } from "./chart.js";
import { h } from "./dom.js";
import { short } from "./format.js";
import { NAMES } from "./side.js";
import { colors } from "./theme.js";

const KINDS = { loss: "loss", accuracy: "accuracy" };
const POINTS = 120;

/** Of the time while it plays: plotly takes more than a frame for a chart. */
const SHARE = 0.025;

// Few enough that the picture keeps up, and always the last one.
function chosen(length, most) {
  const step = Math.max(Math.ceil(length / most), 1);
  const rows = [];
  for (let row = 0; row < length; row += step) rows.push(row);
  if (length && rows.at(-1) !== length - 1) rows.push(length - 1);
  return rows;
}

const finite = (value) => (Number.isFinite(value) ? value : null);

function faint(side, kind, focus, color) {
  const [x, y] = [[], []];
  const rows = chosen(side.step.length, 60);
  const nets = side[kind][0]?.length ?? 0;
  for (let net = 0; net < nets; net += 1) {
    if (net === focus) continue;
    rows.forEach((row) => {
      x.push(side.step[row]);
      y.push(finite(side[kind][row][net]));
    });
    x.push(null);
    y.push(null);
  }
  return { x, y, mode: "lines", line: { color, width: 0.8 }, opacity: 0.28, hoverinfo: "skip" };
}

/**
 * @param {object} history of the runs
 * @returns {object} element, draw, drawOne, picture, clear
 */
export function createCurves(history) {
  const hint = "left and right arrow keys read values";
  const charts = Object.fromEntries(Object.entries(KINDS).map(([kind, title]) => [kind, createChart(`${title} by step`, hint)]));
  const spoken = h("p", { class: "reading", role: "status" });
  const element = h("div", { class: "curves" }, charts.loss.element, charts.accuracy.element, spoken);
  let [cursor, last, turn, due] = [null, null, 0, 0];

  function tracesOf(side, kind, focus, index) {
    const [color, name] = [colors().sides[index], NAMES[index]];
    const rows = chosen(side.step.length, POINTS);
    const main = {
      x: rows.map((row) => side.step[row]),
      y: rows.map((row) => finite(side[kind][row][focus])),
      mode: rows.length > 1 ? "lines" : "markers",
      name,
      line: { color, width: 2.5 },
      marker: { color, size: 8, symbol: index ? "diamond" : "circle" },
      hovertemplate: `${name}, step %{x}: %{y:.3g}<extra></extra>`,
    };
    return [faint(side, kind, focus, color), main];
  }

  function draw(kind, state, focus) {
    last = [state, focus];
    const sides = state.sides.map((_, index) => history.of(index));
    const traces = sides.flatMap((side, index) => tracesOf(side, kind, focus, index));
    charts[kind].draw(traces, {
      title: { text: KINDS[kind], x: 0.02, xanchor: "left", y: 0.98, yanchor: "top", font: { size: 14 } },
      xaxis: { title: { text: "step", standoff: 4 }, range: [0, Math.max(...sides.map((side) => side.step.at(-1) ?? 0), 10)] },
      yaxis: kind === "loss" ? lossAxis(sides, focus) : { range: [0, 1.04], tickformat: ".0%" },
      height: 220,
    });
  }

  // A start of large weights begins at a loss of hundreds.
  function lossAxis(sides, focus) {
    const most = Math.max(...sides.map((side) => side.loss.reduce((high, row) => Math.max(high, finite(row[focus]) ?? 0), 0)));
    return most > 5 ? { type: "log" } : { range: [0, Math.max(most * 1.08, 0.76)] };
  }

  function read(way) {
    if (!last) return;
    const sides = last[0].sides.map((_, index) => history.of(index));
    const length = sides[0].step.length;
    if (!length) return;
    const stride = Math.max(Math.round(length / 40), 1);
    cursor = Math.min(Math.max((cursor ?? length - 1) + way * stride, 0), length - 1);
    const parts = sides.map((side, index) => `${NAMES[index]} loss ${short(side.loss[cursor]?.[last[1]])}, accuracy ${short(side.accuracy[cursor]?.[last[1]])}`);
    spoken.textContent = `Step ${sides[0].step[cursor]}: ${parts.join("; ")}`;
  }

  Object.values(charts).forEach(({ element: chart }) => {
    chart.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!way) return;
      event.preventDefault();
      read(way);
    });
  });

  return {
    element,
    /** Draws both charts. */
    draw(state, focus) {
      for (const kind of Object.keys(KINDS)) draw(kind, state, focus);
    },
    /** Draws one of them, in turn, unless that would take more of the time than SHARE. */
    drawOne(state, focus) {
      const began = performance.now();
      if (began < due) return;
      turn = 1 - turn;
      draw(Object.keys(KINDS)[turn], state, focus);
      const end = performance.now();
      due = end + (end - began) / SHARE;
    },
    picture: () => Object.values(charts).map((chart) => chart.plot),
    clear() {
      cursor = null;
      spoken.textContent = "";
    },
  };
}
