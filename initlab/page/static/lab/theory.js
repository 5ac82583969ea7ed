/**
 * What theory predicts of a start: q*, chi1, xi, the phase diagram, the signal layer by layer.
 *
 * Wide networks of weights of variance sigma_w2 / fan_in and biases of variance sigma_b2 (Poole et
 * al. 2016, arXiv:1606.05340; Schoenholz et al. 2017, arXiv:1611.01232), as `initlab.theory` has it.
 */

import { activation } from "./activations.js";
import { halfSquaredDifference, mean, pairMean } from "./gaussian.js";
import { weightVariance } from "./initializers.js";
import { sizesOf } from "./settings.js";

const [LEAST_DECADE, MOST_DECADE, TO_A_DECADE] = [-15, 12, 16];
const AT_ONE = -LEAST_DECADE * TO_A_DECADE;
const GRID = Array.from(
  { length: (MOST_DECADE - LEAST_DECADE) * TO_A_DECADE + 1 },
  (_, index) => 10 ** (LEAST_DECADE + index / TO_A_DECADE),
);
const ROUNDING = 1000 * Number.EPSILON;
const TABLES = new Map();

/**
 * Where the maps of one layer lead in many.
 * @typedef {object} FixedPoint
 * @property {number} q - mean square of z: 0 where it vanishes, infinite where it diverges.
 * @property {number} c - correlation of two inputs: 1 in the ordered phase, under 1 in the chaotic.
 * @property {number} chi1 - slope of the correlation map at 1, and factor of a gradient's square.
 * @property {number} xi - layers over which correlations decay by e; NaN where q diverges.
 */

/**
 * `initlab.theory.fixed_point`: that to which the map of q takes 1.
 * @param {string} name - of the activation.
 * @param {number} sigmaW2 - fan_in times the variance of the weights.
 * @param {number} sigmaB2 - variance of the biases.
 * @returns {FixedPoint} the point.
 */
export function fixedPoint(name, sigmaW2, sigmaB2) {
  const phi = activation(name);
  const q = fixedQ(name, sigmaW2, sigmaB2);
  const chi1 = sigmaW2 * slopeMoment(phi, withinGrid(q));
  if (q === Infinity) return { q, c: NaN, chi1, xi: NaN };
  if (chi1 <= 1 || q === 0) return { q, c: 1, chi1, xi: depthScale(chi1) };
  const excess = (angle) => (sigmaW2 * halfSquaredDifference(phi.value, q, Math.cos(angle))) / q - 1;
  const c = Math.cos(rootBetween(excess, Number.EPSILON ** 0.4, Math.PI / 2));
  return { q, c, chi1, xi: depthScale(sigmaW2 * pairMean(phi.slope, q, c)) };
}

/**
 * The critical line, on which chi1 = 1: every q belongs to one of its points.
 * @param {string} name - of the activation.
 * @param {number} mostSigmaB2 - the largest variance of biases that is wanted.
 * @returns {number[][]} `[sigma_w2, sigma_b2]`, in the order of q; none where there is no line.
 */
export function criticalLine(name, mostSigmaB2) {
  const { moments, slopes } = tableOf(name);
  const line = [];
  GRID.forEach((q, index) => {
    const [sigmaW2, excess] = [1 / slopes[index], q - moments[index] / slopes[index]];
    // Where a line is one point (relu), each q has it, but for rounding.
    const sigmaB2 = Math.abs(excess) <= ROUNDING * q ? 0 : excess;
    if (!Number.isFinite(sigmaW2) || sigmaB2 < 0) return;
    if (sigmaB2 <= mostSigmaB2) line.push([sigmaW2, sigmaB2]);
    else if (line.length > 0 && line.at(-1)[1] < mostSigmaB2) {
      // Between two points of the grid: where the line leaves the picture.
      const [beforeW2, beforeB2] = line.at(-1);
      const share = (mostSigmaB2 - beforeB2) / (sigmaB2 - beforeB2);
      line.push([beforeW2 + share * (sigmaW2 - beforeW2), mostSigmaB2]);
    }
  });
  return line;
}

/**
 * chi1 over a grid of variances, and the critical line through it.
 * @param {string} name - of the activation.
 * @param {number[]} most - the largest sigma_w2 and sigma_b2.
 * @param {number} points - along either axis.
 * @returns {object} `{sigmaW2 [points], sigmaB2 [points], chi1 [points * points], critical}`; in
 *   chi1 sigma_b2 is the slower axis.
 */
export function phaseDiagram(name, most, points) {
  const phi = activation(name);
  const axis = (end) => Array.from({ length: points }, (_, index) => (end * index) / (points - 1));
  const [sigmaW2, sigmaB2] = [axis(most[0]), axis(most[1])];
  const chi1 = sigmaB2.flatMap((b) =>
    sigmaW2.map((w) => w * slopeMoment(phi, withinGrid(fixedQ(name, w, b)))),
  );
  return { sigmaW2, sigmaB2, chi1: Float32Array.from(chi1), critical: criticalLine(name, most[1]) };
}

/**
 * A start in the phase diagram, and what its signals and gradients are in each layer.
 * @param {object} side - of a checked state.
 * @param {object} data - of `makeData`.
 * @returns {object} `{applies, sigmaW2, sigmaB2, q, c, chi1, xi, phase, profile}`: the variances of
 *   hidden layers as deep as one likes; applies is false where weights are neither zero nor drawn
 *   independently of each other. The profile's signal is the rms of z of each layer, its gradient the rms of dL/dz over that of the output.
 */
export function predictStart(side, data) {
  const { start, bias, activation: name, width } = side;
  const sigmaB2 = bias.scheme === "zeros" ? 0 : bias.scale ** 2;
  const factors = start.factors ?? Array(side.depth + 1).fill(1);
  // The layers between hidden ones; a net of one hidden layer is read as if it had more.
  const hidden = side.depth > 1 ? factors.slice(1, -1) : [1];
  const square = hidden.reduce((sum, each) => sum + each ** 2, 0) / hidden.length;
  const sigmaW2 = weightVariance(start, width, width) * square;
  const point = fixedPoint(name, sigmaW2, sigmaB2);
  const distance = Math.abs(point.chi1 - 1);
  const phase = distance < 1e-6 ? "critical" : point.chi1 < 1 ? "ordered" : "chaotic";
  const applies = start.scheme !== "constant" && start.copies < 2;
  return { applies, sigmaW2, sigmaB2, ...point, phase, profile: profileOf(side, factors, sigmaB2, data) };
}

function profileOf(side, factors, sigmaB2, data) {
  const phi = activation(side.activation);
  const sizes = sizesOf(side);
  const gains = factors.map((factor, index) => {
    const [fanIn, fanOut] = [sizes[index], sizes[index + 1]];
    return { variance: (weightVariance(side.start, fanIn, fanOut) * factor ** 2) / fanIn, fanIn, fanOut };
  });
  const examples = data.signs.length;
  let arriving = data.x.reduce((sum, each) => sum + each * each, 0) / examples;
  const squares = gains.map(({ variance }, index) => {
    const q = variance * arriving + sigmaB2;
    arriving = sizes[index + 1] * mean((z) => phi.value(z) ** 2, q);
    return q;
  });
  const gradient = Array(gains.length).fill(1);
  for (let index = gains.length - 2; index >= 0; index--) {
    const { variance, fanOut } = gains[index + 1];
    gradient[index] = gradient[index + 1] * Math.sqrt(variance * fanOut * slopeMoment(phi, squares[index]));
  }
  return { signal: squares.map(Math.sqrt), gradient };
}

/** The limits of what vanishes and of what diverges: at 0 itself the slope of relu is none. */
function withinGrid(q) {
  return Math.min(Math.max(q, GRID[0]), GRID.at(-1));
}

function slopeMoment(phi, q) {
  return mean((z) => phi.slope(z) ** 2, q);
}

/** `E phi^2`, its slope in q and `E phi'^2` at every q of the grid, once for each activation. */
function tableOf(name) {
  if (!TABLES.has(name)) {
    const { value, slope } = activation(name);
    const over = (f) => GRID.map((q) => mean(f, q));
    const moments = over((z) => value(z) ** 2);
    const growths = over((z) => z * value(z) * slope(z)).map((each, index) => each / GRID[index]);
    TABLES.set(name, { moments, growths, slopes: over((z) => slope(z) ** 2) });
  }
  return TABLES.get(name);
}

/** The first fixed point from 1 on, in the direction in which the map moves 1. */
function fixedQ(name, sigmaW2, sigmaB2) {
  const { value } = activation(name);
  const excess = (q) => sigmaW2 * mean((z) => value(z) ** 2, q) + sigmaB2 - q;
  const places = excessesOf(name, sigmaW2, sigmaB2);
  const start = 1 + 2 * AT_ONE;
  const at = places[start].excess;
  if (Math.abs(at) <= ROUNDING) return 1;
  if (at > 0) {
    const above = places.findIndex((each, index) => index > start && each.excess <= 0);
    return above < 0 ? Infinity : rootBetween(excess, places[above - 1].q, places[above].q);
  }
  const below = places.findLastIndex((each, index) => index < start && each.excess >= 0);
  if (below === 0 && places[0].excess === 0) return 0;
  return rootBetween(excess, places[below].q, places[below + 1].q);
}

/**
 * The map's excess over q at 0 and on the grid, and in each cell where its slope is 0: two fixed
 * points within a cell leave the signs at its ends equal.
 */
function excessesOf(name, sigmaW2, sigmaB2) {
  const { moments, growths } = tableOf(name);
  const excess = GRID.map((q, index) => sigmaW2 * moments[index] + sigmaB2 - q);
  const slope = growths.map((each) => sigmaW2 * each - 1);
  const places = [{ q: 0, excess: sigmaW2 * activation(name).value(0) ** 2 + sigmaB2 }];
  GRID.forEach((q, index) => {
    places.push({ q, excess: excess[index] });
    if (index === GRID.length - 1) return;
    const width = GRID[index + 1] - q;
    const [left, right] = [slope[index], slope[index + 1]];
    const share = Math.min(1, Math.max(0, left === right ? left : left / (left - right)));
    const rest = 1 - share;
    // The cubic through values and slopes at the cell's ends.
    const values = (1 + 2 * share) * rest ** 2 * excess[index] + share ** 2 * (3 - 2 * share) * excess[index + 1];
    places.push({ q: q + share * width, excess: values + width * share * rest * (rest * left - share * right) });
  });
  return places;
}

/** A root between two places of opposite signs, by false position with Illinois' halving. */
function rootBetween(f, low, high) {
  let [a, b, fa, fb] = [low, high, f(low), f(high)];
  if (fa === 0) return a;
  if (fb === 0 || fa * fb > 0) return b;
  for (let turn = 0; turn < 100 && Math.abs(b - a) > 4 * Number.EPSILON * Math.abs(b); turn++) {
    // Every fourth turn by halves, so that the bracket shrinks whatever f is.
    const c = turn % 4 === 3 ? (a + b) / 2 : b - (fb * (b - a)) / (fb - fa);
    const fc = f(c);
    if (fc === 0) return c;
    if (fc * fb < 0) [a, fa] = [b, fb];
    else fa /= 2;
    [b, fb] = [c, fc];
  }
  return b;
}

/** `-1 / ln slope`, infinite for a slope of 1, to rounding, or more. */
function depthScale(slope) {
  if (slope <= 0) return 0;
  return slope < 1 - 16 * Number.EPSILON ? -1 / Math.log(slope) : Infinity;
}
