/** What theory says of each start: q, chi1, xi, and its place in the phase diagram. */
import { createChart } from "./chart.js";
import { h } from "./dom.js";
import { short } from "./format.js";
import { NAMES } from "./side.js";
import { colors } from "./theme.js";
import { tip } from "./tooltip.js";

const POINTS = 40;

const ROWS = [
  ["sigmaW2", ["σ", "w"], "variance of a weight times its fan_in (the inputs of a unit)"],
  ["sigmaB2", ["σ", "b"], "variance of a bias"],
  ["q", "q*", "mean square of the pre-activations that deep layers settle at"],
  ["chi1", "χ₁", "what one layer multiplies a small difference, and a gradient, by in the mean square: 1 is critical"],
  ["xi", "ξ", "how many layers information survives; infinite on the critical line"],
  ["phase", "phase", "ordered: gradients vanish with depth; chaotic: they explode; critical: neither"],
];

// A symbol with an exponent of two and an index.
const variance = (symbol, index) => [symbol, h("sub", {}, index), h("sup", {}, "2")];

const spell = (value) => (typeof value === "string" ? value : value === Infinity ? "∞" : value === null || Number.isNaN(value) ? "none" : short(value));

/**
 * @param {object} client of the worker that does not train
 * @param {(error: Error) => void} fail
 * @returns {{element: Element, update: (state: object) => Promise<void>, redraw: () => void}}
 */
export function createPrediction(client, fail) {
  // A second one where B has another activation, whose phases are others.
  const charts = NAMES.map(() => createChart("phase diagram: chi1 over the variances of weights and biases, with a dot for each start"));
  const heads = NAMES.map((name) => h("th", { scope: "col" }, name));
  const cells = Object.fromEntries(ROWS.map(([key]) => [key, NAMES.map(() => h("td"))]));
  const body = ROWS.map(([key, symbol, what]) => {
    const head = h("th", { scope: "row", tabindex: 0 }, ...(Array.isArray(symbol) ? variance(...symbol) : [symbol]));
    tip(head, () => what);
    return h("tr", {}, head, h("td", { class: "meaning" }, what), ...cells[key]);
  });
  const caption = h("caption", { class: "sr" }, "what theory says of a start");
  const table = h("table", { class: "theory" }, caption, h("thead", {}, h("tr", {}, h("th"), h("th", { class: "meaning" }), ...heads)), h("tbody", {}, ...body));
  const note = h("p", { class: "hint", hidden: true });
  const element = h("div", { class: "prediction" }, h("div", {}, table, note), h("div", { class: "phases" }, ...charts.map((chart) => chart.element)));
  let [asked, last] = [0, null];

  async function update(state) {
    asked += 1;
    const mine = asked;
    try {
      const sides = await Promise.all(state.sides.map((_, side) => client.ask("theory", { state, side })));
      const names = [...new Set(state.sides.map(({ activation }) => activation))];
      const phases = await Promise.all(names.map(async (activation) => {
        const dots = sides.flatMap((side, index) => (state.sides[index].activation === activation ? [{ ...side, index }] : []));
        const reach = (key, least) => Math.max(least, ...dots.map((each) => (each[key] < 50 ? 1.25 * each[key] : 0)));
        const most = [reach("sigmaW2", 4), reach("sigmaB2", 1)].map((value) => Number(value.toPrecision(2)));
        const phase = await client.ask("phase", { activation, most, points: POINTS });
        return { activation, dots: dots.filter((dot) => dot.applies), most, phase };
      }));
      if (mine !== asked) return;
      last = { sides, phases };
      redraw();
    } catch (error) {
      fail(error);
    }
  }

  function redraw() {
    if (!last) return;
    const { sides, phases } = last;
    heads.forEach((head, index) => { head.hidden = !sides[index]; });
    for (const [key] of ROWS) {
      cells[key].forEach((cell, index) => {
        cell.hidden = !sides[index];
        if (sides[index]) cell.textContent = sides[index].applies ? spell(sides[index][key]) : "–";
      });
    }
    const others = NAMES.filter((_, index) => sides[index] && !sides[index].applies);
    note.hidden = others.length === 0;
    note.textContent = `${others.join(" and ")}: no prediction, which is of weights that are drawn independently.`;
    charts.forEach((chart, index) => {
      chart.element.hidden = !phases[index];
      if (phases[index]) drawPhase(chart, phases[index]);
    });
  }

  function drawPhase(chart, { activation, dots: starts, phase, most }) {
    const { low, middle, high, ink, sides: palette, card } = colors();
    const columns = phase.sigmaW2.length;
    const z = Array.from(phase.sigmaB2, (_, row) =>
      Array.from(phase.sigmaW2, (__, column) => {
        const value = phase.chi1[row * columns + column];
        return value > 0 ? Math.max(Math.min(Math.log2(value), 2), -2) : null;
      }),
    );
    const map = {
      type: "heatmap", x: Array.from(phase.sigmaW2), y: Array.from(phase.sigmaB2), z, zmin: -2, zmax: 2,
      colorscale: [[0, low], [0.5, middle], [1, high]], showscale: true,
      colorbar: { title: { text: "χ₁" }, tickvals: [-2, -1, 0, 1, 2], ticktext: ["¼", "½", "1", "2", "4"], thickness: 10, len: 0.9, outlinewidth: 0 },
      hovertemplate: "σ²w %{x:.3g}, σ²b %{y:.3g}: log₂ χ₁ %{z:.2f}<extra></extra>",
    };
    const line = {
      x: phase.critical.map(([x]) => x), y: phase.critical.map(([, y]) => y), mode: "lines",
      line: { color: ink, width: 2 }, hoverinfo: "skip",
    };
    const dots = starts.map(({ index, ...side }) => ({
      x: [Math.min(side.sigmaW2, most[0])], y: [Math.min(side.sigmaB2, most[1])], mode: "markers+text", cliponaxis: false,
      marker: { size: 14, color: palette[index], symbol: index ? "diamond" : "circle", line: { color: card, width: 2 } },
      text: [`${NAMES[index]}${side.sigmaW2 > most[0] || side.sigmaB2 > most[1] ? " →" : ""}`],
      textposition: `${index ? "top" : "middle"} ${side.sigmaW2 > most[0] * 0.7 ? "left" : "right"}`, textfont: { size: 14, color: ink },
      hovertemplate: `${NAMES[index]}: σ²w ${short(side.sigmaW2)}, σ²b ${short(side.sigmaB2)}<extra></extra>`,
    }));
    chart.draw([map, line, ...dots], {
      title: { text: `phases of ${activation}; line: χ₁ = 1`, x: 0.02, xanchor: "left", font: { size: 14 } },
      margin: { l: 52, r: 10, t: 34, b: 44 },
      xaxis: { title: { text: "σ<sub>w</sub>²", standoff: 4 }, range: [0, most[0]] },
      yaxis: { title: { text: "σ<sub>b</sub>²", standoff: 4 }, range: [0, most[1]] },
      height: 320,
    });
  }

  return { element, update, redraw };
}
