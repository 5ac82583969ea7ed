/** Numbers on a plane as colours, and the lines where they change sign. */
import { colors, onTheme } from "./theme.js";

const LEVELS = 256;
const small = document.createElement("canvas");
const brush = small.getContext("2d", { willReadFrequently: true });
let [table, image, pixels] = [null, null, null];

onTheme(() => {
  table = null;
});

/** Red, green and blue of "#rrggbb". */
export function channels(color) {
  return [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));
}

/** A colour between two, each "#rrggbb". */
export function between(first, second, share) {
  const [from, to] = [channels(first), channels(second)];
  return from.map((value, index) => Math.round(value + share * (to[index] - value)));
}

// From all of `low` (index 0) over `middle` to all of `high`, then the colour of what is no number:
// pixels as whole numbers, in this machine's order of bytes.
function lookup() {
  if (table) return table;
  const { low, middle, high, line } = colors();
  const bytes = new Uint8ClampedArray(4 * (LEVELS + 1));
  for (let index = 0; index < LEVELS; index += 1) {
    const place = (2 * index) / (LEVELS - 1) - 1;
    const color = between(middle, place < 0 ? low : high, Math.abs(place));
    bytes.set([...color, 255], 4 * index);
  }
  bytes.set([...channels(line), 255], 4 * LEVELS);
  table = new Uint32Array(bytes.buffer);
  return table;
}

/**
 * Draws a square of numbers, low x2 at the bottom.
 * @param {CanvasRenderingContext2D} context
 * @param {Float32Array} values row by row, from low x2 to high; from `offset` on
 * @param {number} offset
 * @param {number} size numbers along an edge
 * @param {(value: number) => number} place from a number to -1 (low) .. 1 (high)
 * @param {{x: number, y: number, width: number}} square where
 */
export function paint(context, values, offset, size, place, square) {
  const lut = lookup();
  if (!image || image.width !== size) {
    small.width = small.height = size;
    image = brush.createImageData(size, size);
    pixels = new Uint32Array(image.data.buffer);
  }
  const half = (LEVELS - 1) / 2;
  for (let row = 0; row < size; row += 1) {
    const from = offset + (size - 1 - row) * size;
    const to = row * size;
    for (let column = 0; column < size; column += 1) {
      const level = half * place(values[from + column]) + half + 0.5;
      // NaN, of a run that diverged, fails both comparisons.
      pixels[to + column] = lut[level < LEVELS ? (level > 0 ? level | 0 : 0) : level >= LEVELS ? LEVELS - 1 : LEVELS];
    }
  }
  brush.putImageData(image, 0, 0);
  context.drawImage(small, square.x, square.y, square.width, square.width);
}

/**
 * The line along which numbers pass a level, by marching squares.
 * @param {CanvasRenderingContext2D} context its path is added to
 * @param {Float32Array} values as for `paint`
 * @param {number} offset
 * @param {number} size
 * @param {number} level
 * @param {{x: number, y: number, width: number}} square where
 */
export function trace(context, values, offset, size, level, square) {
  const cell = square.width / size;
  // The middle of each pixel is where its number was taken.
  const x = (column) => square.x + (column + 0.5) * cell;
  const y = (row) => square.y + square.width - (row + 0.5) * cell;
  for (let row = 0; row + 1 < size; row += 1) {
    const start = offset + row * size;
    let [b, c] = [values[start] - level, values[start + size] - level];
    for (let column = 0; column + 1 < size; column += 1) {
      // The corners of a cell, round it: the last one's right side is the next one's left.
      const [a, d] = [b, c];
      b = values[start + column + 1] - level;
      c = values[start + size + column + 1] - level;
      const isAbove = a > 0;
      if (isAbove === b > 0 && isAbove === c > 0 && isAbove === d > 0) continue;
      const crossings = [];
      if (isAbove !== b > 0) crossings.push(x(column + a / (a - b)), y(row));
      if (b > 0 !== c > 0) crossings.push(x(column + 1), y(row + b / (b - c)));
      if (d > 0 !== c > 0) crossings.push(x(column + d / (d - c)), y(row + 1));
      if (isAbove !== d > 0) crossings.push(x(column), y(row + a / (a - d)));
      for (let each = 0; each + 3 < crossings.length; each += 4) {
        context.moveTo(crossings[each], crossings[each + 1]);
        context.lineTo(crossings[each + 2], crossings[each + 3]);
      }
    }
  }
}

/** From small to large on a scale that colour-blind readers can tell: cividis. */
export const SEQUENCE = ["#00204d", "#31446b", "#666970", "#958f78", "#cbba69", "#ffea46"];

/**
 * A share of the way from small to large.
 * @param {number} share 0..1
 * @returns {{fill: string, ink: string}} the colour, and one that can be read on it
 */
export function sequential(share) {
  const place = Math.min(Math.max(share, 0), 1) * (SEQUENCE.length - 1);
  const index = Math.min(Math.floor(place), SEQUENCE.length - 2);
  const color = between(SEQUENCE[index], SEQUENCE[index + 1], place - index);
  // Where white and black are as easy to read, 4.6 to 1.
  return { fill: `rgb(${color.join(",")})`, ink: share < 0.47 ? "#ffffff" : "#000000" };
}
