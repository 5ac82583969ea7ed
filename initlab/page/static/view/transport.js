/** Play, step, faster, rewind, new seed: one clock for both sides. */
import { count } from "./format.js";
import { h, setText } from "./dom.js";
import { SPEEDS } from "./clock.js";
import { button } from "./fields.js";

/**
 * @param {object} clock
 * @param {{rewind: () => void, step: () => void, newSeed: () => void, seed: (seed: number) => void}} calls
 * @returns {{elements: Element[], playing: (isPlaying: boolean) => void, step: (step: number) => void, seed: (seed: number) => void}}
 */
export function createTransport(clock, calls) {
  const play = button("▶ Play", () => clock.toggle(), { class: "primary play", "aria-keyshortcuts": "Space", title: "Space" });
  const step = button("Step", calls.step, { "aria-keyshortcuts": "s", title: "s" });
  const rewind = button("Rewind", calls.rewind, { "aria-keyshortcuts": "r", title: "r: back to the same start" });
  const speed = h("select", { "aria-label": "speed", change: () => clock.setSpeed(Number(speed.value)) },
    ...SPEEDS.map((steps, index) => h("option", { value: index }, `${count(steps)} steps/s`)));
  const shift = (way) => () => { speed.value = clock.setSpeed(clock.speedIndex() + way); };
  const slower = button("Slower", shift(-1), { "aria-keyshortcuts": "-", title: "-" });
  const faster = button("Faster", shift(1), { "aria-keyshortcuts": "+", title: "+" });
  speed.value = clock.speedIndex();
  const seed = h("input", { type: "number", min: 0, max: 2 ** 31 - 16, step: 1, "aria-label": "seed", class: "seed", change: () => calls.seed(Number(seed.value)) });
  const fresh = button("New seed", calls.newSeed, { "aria-keyshortcuts": "n", title: "n" });
  const place = h("output", { class: "step" }, "step 0");

  const keys = { " ": play, s: step, r: rewind, n: fresh, "+": faster, "=": faster, "-": slower };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isField = event.target.closest?.("input, select, textarea, button, summary, a");
    const target = keys[event.key];
    if (!target || (isField && (event.key === " " || isField.matches("input, select, textarea")))) return;
    event.preventDefault();
    target.click();
  });

  return {
    elements: [play, step, rewind, place, h("span", { class: "group" }, slower, speed, faster), h("span", { class: "group" }, h("span", { class: "label", "aria-hidden": "true" }, "seed"), seed, fresh)],
    playing(isPlaying) {
      setText(play, isPlaying ? "❚❚ Pause" : "▶ Play");
    },
    step: (value) => setText(place, `step ${count(value)}`),
    seed(value) {
      seed.value = value;
    },
  };
}
