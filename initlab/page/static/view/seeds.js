/** Many seeds at once: a dot for each net, and how likely a start is to train. */
import { h, setAttribute, setText, svg } from "./dom.js";
import { percent, short } from "./format.js";
import { NAMES } from "./side.js";
import { tip } from "./tooltip.js";

const [WIDTH, HEIGHT] = [300, 22];

/**
 * @param {(net: number) => void} choose the net that is looked at
 * @returns {{element: Element, draw: (snapshot: object, focus: number) => void}}
 */
export function createSeeds(choose) {
  const rows = NAMES.map((name, index) => {
    const dots = h("div", { class: "dots", role: "group", "aria-label": `seeds of ${name}; arrow keys move between them` });
    const bar = svg("rect", { y: 6, height: 10, class: `interval side-${index}` });
    const mark = svg("rect", { y: 2, width: 3, height: 18, class: "mark" });
    const scale = svg("rect", { x: 0, y: 10, width: WIDTH, height: 2, class: "axis" });
    const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "share", "aria-hidden": "true" }, scale, bar, mark);
    const text = h("p", { class: "chance" });
    const element = h("div", { class: "seed-row" }, h("span", { class: `badge badge-${index}` }, name), dots, h("div", { class: "chance-box" }, picture, text));
    return { element, dots, bar, mark, text, buttons: [], name, data: null };
  });
  const element = h("div", { class: "seeds" }, ...rows.map((row) => row.element));

  function build(row, seeds) {
    const key = seeds.join(" ");
    if (row.key === key) return;
    row.key = key;
    row.buttons = seeds.map((seed, net) => {
      const dot = h("button", { type: "button", class: "dot", click: () => choose(net) });
      tip(dot, () => (row.data ? `seed ${seed}: loss ${short(row.data.loss[net])}, accuracy ${percent(row.data.accuracy[net])}` : ""));
      return dot;
    });
    row.dots.replaceChildren(...row.buttons);
  }

  // One stop for the tab key, the arrow keys within: there are 16 seeds of each side.
  function move(event, { buttons }) {
    const way = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (!way) return;
    event.preventDefault();
    const at = buttons.indexOf(document.activeElement);
    buttons[Math.min(Math.max(at + way, 0), buttons.length - 1)].focus();
  }
  rows.forEach((row) => row.dots.addEventListener("keydown", (event) => move(event, row)));

  return {
    element,
    draw(snapshot, focus) {
      rows.forEach((row, index) => {
        const side = snapshot.sides[index];
        row.element.hidden = !side;
        if (!side) return;
        const { ensemble } = side;
        row.data = ensemble;
        build(row, [...ensemble.seeds]);
        row.buttons.forEach((dot, net) => {
          const loss = ensemble.loss[net];
          const isTrained = loss < ensemble.threshold;
          const state = isTrained ? "trained" : Number.isFinite(loss) ? "not trained yet" : "diverged";
          setText(dot, isTrained ? "✓" : Number.isFinite(loss) ? "" : "×");
          setAttribute(dot, "class", `dot ${isTrained ? "trained" : ""}`);
          setAttribute(dot, "aria-pressed", net === focus);
          setAttribute(dot, "tabindex", net === focus ? 0 : -1);
          setAttribute(dot, "aria-label", `seed ${ensemble.seeds[net]}: ${state}`);
        });
        const [low, high] = ensemble.interval;
        setAttribute(row.bar, "x", low * WIDTH);
        setAttribute(row.bar, "width", Math.max((high - low) * WIDTH, 1));
        setAttribute(row.mark, "x", Math.min(ensemble.share * WIDTH, WIDTH - 3));
        setText(row.text, `P(train) ${ensemble.share.toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}]`);
      });
    },
  };
}
