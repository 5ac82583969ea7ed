/** Play, step, faster, rewind, new seed: one clock for both sides. */
import { count } from "./format.js";
import { h, setText } from "./dom.js";
import { SPEEDS } from "./clock.js";
import { button } from "./fields.js";
import { createKeys } from "./keys.js";

/**
 * @param {object} clock
 * @param {{rewind: () => void, step: () => void, newSeed: () => void, seed: (seed: number) => void}} calls
 * @returns {{elements: Element[], keys: Element, playing: (isPlaying: boolean) => void, step: (step: number) => void,
 *   rate: (stepsASecond: number | null) => void, seed: (seed: number) => void}} keys: the switch of the keys that press the buttons
 */
export function createTransport(clock, calls) {
  const play = button("▶ Play", () => clock.toggle(), { class: "primary play", title: "space" });
  const step = button("Step", calls.step, { title: "s" });
  const rewind = button("Rewind", calls.rewind, { title: "r: back to the same start" });
  const speed = h("select", { "aria-label": "speed", change: () => clock.setSpeed(Number(speed.value)) },
    ...SPEEDS.map((steps, index) => h("option", { value: index }, `${count(steps)} steps/s`)));
  const shift = (way) => () => { speed.value = clock.setSpeed(clock.speedIndex() + way); };
  const slower = button("Slower", shift(-1), { title: "−" });
  const faster = button("Faster", shift(1), { title: "+" });
  speed.value = clock.speedIndex();
  const seed = h("input", { type: "number", min: 0, max: 2 ** 31 - 16, step: 1, "aria-label": "seed", class: "seed", change: () => {
    if (seed.value !== "") calls.seed(Number(seed.value));
    // What is refused leaves the seed of before.
    seed.value = known;
  } });
  let known = 0;
  const fresh = button("New seed", calls.newSeed, { title: "n" });
  const place = h("span", { class: "step" }, "step 0");
  const rate = h("span", { class: "rate", title: "steps a second that this page reaches" });

  return {
    keys: createKeys({ " ": play, s: step, r: rewind, n: fresh, "+": faster, "-": slower }),
    elements: [play, step, rewind, place, h("span", { class: "group" }, slower, speed, faster), rate, h("span", { class: "group" }, h("span", { class: "label", "aria-hidden": "true" }, "seed"), seed, fresh)],
    playing(isPlaying) {
      setText(play, isPlaying ? "❚❚ Pause" : "▶ Play");
    },
    step: (value) => setText(place, `step ${count(value)}`),
    rate: (value) => setText(rate, value === null ? "" : `reaches ${count(Math.round(value))}/s`),
    seed(value) {
      [known, seed.value] = [value, value];
    },
  };
}
