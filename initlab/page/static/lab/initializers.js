/**
 * Starts, as `initlab.initialize` draws them: each parameter under the key of its path.
 *
 * Params are one Float32Array: layer by layer the weight [fan_in, units], row by row, then the bias.
 */

import { keyOf, normal, pathKey, uniform } from "./random.js";
import { sizesOf } from "./settings.js";

const ROOT_OF_3 = Math.sqrt(3);

const FANS = {
  glorot: (fanIn, fanOut) => 2 / (fanIn + fanOut),
  he: (fanIn) => 2 / fanIn,
  lecun: (fanIn) => 1 / fanIn,
};

/**
 * Where a layer's parameters lie.
 * @typedef {object} Layer
 * @property {string} name - "layer_1" and so on.
 * @property {number} fanIn - inputs of each unit.
 * @property {number} units - how many units.
 * @property {number} weight - where its weight begins.
 * @property {number} bias - where its bias begins.
 * @property {number} end - where the next layer begins.
 */

/**
 * The places of all parameters of a network.
 * @param {number[]} sizes - inputs first, logit last.
 * @returns {Layer[]} first layer first; the last one's `end` is the number of parameters.
 */
export function layoutOf(sizes) {
  let place = 0;
  return sizes.slice(1).map((units, index) => {
    const fanIn = sizes[index];
    const [weight, bias] = [place, place + fanIn * units];
    place = bias + units;
    return { name: `layer_${index + 1}`, fanIn, units, weight, bias, end: place };
  });
}

/**
 * The params of a side's start under a seed, those of the program that `pythonProgram` writes.
 * @param {object} side - of a checked state.
 * @param {number} seed - the run's seed.
 * @returns {Float32Array} the params, in the order of `layoutOf`.
 */
export function drawStart(side, seed) {
  const key = keyOf(seed);
  const layers = layoutOf(sizesOf(side));
  const params = new Float32Array(layers.at(-1).end);
  layers.forEach((layer, index) => {
    const weight = drawWeight(pathKey(key, `${layer.name}/weight`), side.start, layer);
    const factor = Math.fround(side.start.factors === null ? 1 : side.start.factors[index]);
    params.set(factor === 1 ? weight : weight.map((each) => each * factor), layer.weight);
    params.set(drawBias(pathKey(key, `${layer.name}/bias`), side.bias, layer.units), layer.bias);
  });
  if (side.start.copies > 1) copyUnits(params, layers, side.start.copies);
  return params;
}

/**
 * The variance of one weight times its fan_in, as theory reads a start.
 * @param {object} start - `side.start` of a checked state.
 * @param {number} fanIn - of the layer.
 * @param {number} fanOut - of the layer.
 * @returns {number} sigma_w2; of a constant, which has no variance, 0.
 */
export function weightVariance(start, fanIn, fanOut) {
  const { scheme, scale } = start;
  if (scheme === "zeros" || scheme === "constant") return 0;
  if (scheme === "normal") return fanIn * scale ** 2;
  if (scheme === "orthogonal") return (scale ** 2 * fanIn) / Math.max(fanIn, fanOut);
  return fanIn * FANS[scheme.split("_")[0]](fanIn, fanOut) * scale ** 2;
}

function drawWeight(key, { scheme, scale }, { fanIn, units }) {
  const count = fanIn * units;
  const by = Math.fround(scale);
  if (scheme === "zeros") return new Float32Array(count);
  if (scheme === "constant") return new Float32Array(count).fill(scale);
  if (scheme === "normal") return normal(key, count).map((each) => each * by);
  if (scheme === "orthogonal") return orthogonal(key, fanIn, units).map((each) => each * by);
  const [family, law] = scheme.split("_");
  const unit = law === "normal" ? normal(key, count) : uniform(key, count, -ROOT_OF_3, ROOT_OF_3);
  const std = Math.fround(Math.sqrt(FANS[family](fanIn, units)));
  const drawn = unit.map((each) => each * std);
  return by === 1 ? drawn : drawn.map((each) => each * by);
}

function drawBias(key, { scheme, scale }, units) {
  if (scheme === "normal") return normal(key, units).map((each) => each * Math.fround(scale));
  return new Float32Array(units).fill(scheme === "constant" ? scale : 0);
}

/** Q of the QR decomposition of a Gaussian matrix, R's diagonal positive: the only such one. */
function orthogonal(key, rows, columns) {
  const [long, short] = [Math.max(rows, columns), Math.min(rows, columns)];
  const drawn = normal(key, long * short);
  const basis = [];
  for (let column = 0; column < short; column++) {
    const vector = Float64Array.from({ length: long }, (_, row) => drawn[row * short + column]);
    // Twice: what rounding leaves after the first time is along the basis too.
    for (let pass = 0; pass < 2; pass++) {
      for (const earlier of basis) {
        const along = dot(vector, earlier);
        earlier.forEach((each, row) => (vector[row] -= along * each));
      }
    }
    const length = Math.sqrt(dot(vector, vector));
    basis.push(vector.map((each) => each / length));
  }
  return Float32Array.from({ length: rows * columns }, (_, place) => {
    const [row, column] = [Math.floor(place / columns), place % columns];
    return rows >= columns ? basis[column][row] : basis[row][column];
  });
}

function dot(left, right) {
  return left.reduce((sum, each, index) => sum + each * right[index], 0);
}

/** The first units of each hidden layer as one key draws them: their columns, biases and rows. */
function copyUnits(params, layers, copies) {
  layers.forEach((layer, index) => {
    const isLast = index === layers.length - 1;
    for (let row = 0; row < layer.fanIn; row++) {
      // The rows of a later layer are the outgoing weights of the units before it.
      const source = index > 0 && row < copies ? 0 : row;
      for (let unit = 0; unit < layer.units; unit++) {
        const from = !isLast && unit < copies ? 0 : unit;
        params[layer.weight + row * layer.units + unit] = params[layer.weight + source * layer.units + from];
      }
    }
    if (!isLast) params.fill(params[layer.bias], layer.bias, layer.bias + copies);
  });
}
