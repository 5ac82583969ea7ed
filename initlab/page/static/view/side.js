/** One side, A or B: its start, its network, what it decides, and what it measures. */
import { ACTIVATIONS, OPTIMIZERS } from "../lab/settings.js";
import { createBoundary } from "./boundary.js";
import { h, setText } from "./dom.js";
import { percent, short } from "./format.js";
import { createHistograms } from "./histograms.js";
import { createNetwork } from "./network.js";
import { createStart, describeStart } from "./start.js";
import { createStrips } from "./strips.js";
import { tip } from "./tooltip.js";

export const NAMES = ["A", "B"];

/** A side's network and training in a few words: "tanh 2-4-1, gradient descent 1.2". */
export function describeRest({ depth, width, activation, optimizer, learningRate }) {
  const title = ACTIVATIONS[activation].title;
  const sizes = [2, ...Array(depth).fill(width), 1].join("-");
  const network = depth > 3 ? `${depth} layers of ${width} ${title} units` : `${title} ${sizes}`;
  return `${network}, ${OPTIMIZERS[optimizer].title.toLowerCase()} ${short(learningRate)}`;
}

const NUMBERS = [
  ["loss", "loss", "mean cross entropy of the 400 or fewer points; ln 2 = 0.693 is a guess"],
  ["accuracy", "accuracy", "share of the points that are on the right side"],
  ["saturated", "saturated", "share of units × points whose activation has lost nearly all of its slope"],
  ["trained", "seeds that train", "nets of this start, each of another seed, whose loss is under half of the best constant guess's"],
];

/**
 * @param {number} index
 * @param {object} store
 * @param {(edit: (draft: object) => void) => void} change
 * @param {{place: (point: number[]) => void, remove: () => void}} calls
 * @returns {object} element, draw, drawNumbers, drawHistograms, setData, redraw, picture, say
 */
export function createSide(index, store, change, calls) {
  const name = NAMES[index];
  const [start, rest] = [h("p", { class: "what" }), h("p", { class: "rest" })];
  const network = createNetwork(name);
  const boundary = createBoundary(name, calls.place);
  const [strips, histograms] = [createStrips(), createHistograms()];
  const values = {};
  const numbers = h("dl", { class: "numbers" }, ...NUMBERS.map(([key, label, what]) => {
    values[key] = h("dd", {}, "–");
    const pair = h("div", { tabindex: 0 }, h("dt", {}, label), values[key]);
    tip(pair, () => what);
    return pair;
  }));
  const warning = h("p", { class: "diverged", hidden: true });
  const remove = h("button", { type: "button", class: "quiet", click: calls.remove, "aria-label": `remove ${name}` }, "Remove");
  const pictures = h("div", { class: "pictures" }, network.element, boundary.element);
  const element = h(
    "article",
    { class: `side side-${name.toLowerCase()}`, "aria-label": `side ${name}` },
    h("header", {}, h("span", { class: "badge", "aria-hidden": "true" }, name), h("div", {}, h("h2", {}, start), rest), remove),
    createStart(index, store, change),
    h("div", {},
      pictures, warning, numbers, strips.element,
      h("p", { class: "caption" }, "Where each layer's inputs z fall (bars), over the slope of the activation there (area):"),
      histograms.element),
  );
  let [shown, binned] = [null, null];

  function draw(snapshot) {
    const side = store.get().sides[index];
    if (!side) return;
    shown = snapshot;
    // A snapshot in six has histograms.
    if (snapshot.layers[0].histogram) binned = snapshot.layers;
    network.draw(side, snapshot);
    boundary.draw(snapshot.maps);
  }

  function drawNumbers() {
    if (!shown || !store.get().sides[index]) return;
    const { layers, ensemble, firstNonfinite } = shown;
    strips.draw(layers);
    const hidden = layers.slice(0, -1);
    const saturated = hidden.reduce((sum, layer) => sum + layer.saturation, 0) / hidden.length;
    setText(values.loss, short(shown.loss));
    setText(values.accuracy, percent(shown.accuracy));
    setText(values.saturated, percent(saturated));
    setText(values.trained, `${ensemble.trained} of ${ensemble.seeds.length}`);
    warning.hidden = firstNonfinite < 0;
    setText(warning, `Diverged: a number was no longer finite at step ${firstNonfinite}.`);
  }

  function drawHistograms() {
    if (binned && store.get().sides[index]) histograms.draw(binned);
  }

  function show(state) {
    const side = state.sides[index];
    element.hidden = !side;
    if (!side) return;
    remove.hidden = index === 0;
    setText(start, describeStart(side));
    setText(rest, describeRest(side));
    pictures.classList.toggle("deep", side.depth > 3);
  }
  store.subscribe(show);
  show(store.get());

  return {
    element,
    draw,
    /** Of what `draw` was given last. */
    drawNumbers,
    drawHistograms,
    setData: boundary.setData,
    /** Draws again what is there: another width, or light for dark. */
    redraw() {
      network.reset();
      if (shown) draw(shown);
    },
    picture: () => ({ network: network.picture(), boundary: boundary.picture() }),
    /** The side in one sentence, for screen readers. */
    say: () => (shown ? `${name}: loss ${short(shown.loss)}, accuracy ${percent(shown.accuracy)}, ${network.summary()}.` : ""),
  };
}
