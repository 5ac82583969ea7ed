/** Charts by plotly.js, which the page brings along as the global `Plotly`. */
import { h } from "./dom.js";
import { colors } from "./theme.js";

/**
 * @param {string} title for screen readers
 * @param {string} [hint] what the keyboard does; with one, the chart is a stop of the tab key
 * @returns {{element: Element, draw: (traces: object[], layout: object) => Promise<void>, plot: Element}}
 */
export function createChart(title, hint = "") {
  const plot = h("div", { class: "plot" });
  // An application, so that a screen reader leaves the arrow keys to it.
  const reads = hint ? { role: "application", tabindex: 0, "aria-label": `${title}; ${hint}` } : { role: "group", "aria-label": title };
  const element = h("div", { class: "chart", ...reads }, plot);
  const config = { displayModeBar: false, responsive: true, doubleClick: "reset" };

  return {
    element,
    plot,
    draw(traces, layout) {
      const { ink, soft, line } = colors();
      const axis = { gridcolor: line, zerolinecolor: line, linecolor: soft, tickcolor: soft, ticks: "outside", ticklen: 4 };
      const whole = {
        margin: { l: 52, r: 10, t: 28, b: 42 },
        paper_bgcolor: "transparent",
        plot_bgcolor: "transparent",
        font: { color: ink, size: 12, family: getComputedStyle(document.body).fontFamily },
        showlegend: false,
        hoverlabel: { font: { size: 12 } },
        dragmode: false,
        ...layout,
        xaxis: { ...axis, fixedrange: true, ...layout.xaxis },
        yaxis: { ...axis, fixedrange: true, ...layout.yaxis },
      };
      return Plotly.react(plot, traces, whole, config);
    },
  };
}
