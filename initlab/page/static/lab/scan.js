/**
 * The map of scale x learning rate: many small runs of one setting, coarse to fine.
 */

import { countTrained, makeEnsemble, takeStep } from "./training.js";

const COARSEST = 8;
const PIXELS_AT_ONCE = 4;

/**
 * Trains every pixel of a map, the pixels that lie far apart first.
 * @param {object} setting - `{side, seed, scales, rates, steps, seeds}`: the side whose start.scale
 *   and learningRate are replaced, the first seed, the two axes, steps of each run, runs of a pixel.
 * @param {object} data - of `makeData`.
 * @yields {number[][]} some pixels `[column, row, median loss, share that trained]`: the column is
 *   the scale's index, the row the rate's; a run that diverged counts as infinite.
 */
export function* scanPixels(setting, data) {
  const { scales, rates } = setting;
  let pixels = [];
  for (const [column, row] of coarseToFine(scales.length, rates.length)) {
    pixels.push([column, row, ...trainPixel(setting, data, scales[column], rates[row])]);
    if (pixels.length === PIXELS_AT_ONCE) {
      yield pixels;
      pixels = [];
    }
  }
  if (pixels.length > 0) yield pixels;
}

/**
 * All places of a grid, each once, those of multiples of 8 first, then 4, 2, 1.
 * @param {number} columns - how many.
 * @param {number} rows - how many.
 * @returns {number[][]} `[column, row]`.
 */
export function coarseToFine(columns, rows) {
  const places = [];
  for (let stride = COARSEST; stride >= 1; stride /= 2) {
    for (let row = 0; row < rows; row += stride) {
      for (let column = 0; column < columns; column += stride) {
        const isNew = stride === COARSEST || row % (2 * stride) !== 0 || column % (2 * stride) !== 0;
        if (isNew) places.push([column, row]);
      }
    }
  }
  return places;
}

function trainPixel({ side, seed, steps, seeds }, data, scale, learningRate) {
  const own = { ...side, start: { ...side.start, scale }, learningRate };
  const ensemble = makeEnsemble(own, data, Array.from({ length: seeds }, (_, index) => seed + index));
  for (let step = 0; step < steps; step++) takeStep(ensemble);
  const losses = ensemble.nets.map((net) => (Number.isFinite(net.loss) ? net.loss : Infinity));
  const sorted = losses.toSorted((left, right) => left - right);
  return [sorted[Math.floor((sorted.length - 1) / 2)], countTrained(losses, data.constantLoss).share];
}
