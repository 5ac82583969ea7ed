/**
 * What is measured of a net, by the definitions of `initlab.probes`: copies, saturation, rms, maps.
 *
 * All but the maps read the room of the network, which must hold the net's own pass (`evaluate`).
 */

import { activation, SATURATED_SLOPE, sigmoid } from "./activations.js";
import { forward, makeNetwork } from "./networks.js";
import { sizesOf } from "./settings.js";

/**
 * Every layer's measurements, first layer first.
 * @param {object} ensemble - of `makeEnsemble`, its room filled by the net.
 * @param {object} net - the one that was evaluated last.
 * @param {number} bins - of the histograms; 0 is none.
 * @returns {object[]} for each layer: name, fanIn, units, activation, weight, bias, classes,
 *   distinct, saturation, dead, signal, output, gradient, gradientNorm, histogram.
 */
export function measureLayers(ensemble, net, bins) {
  const { network } = ensemble;
  return network.layers.map((layer, index) => {
    const isLast = index === network.layers.length - 1;
    const z = network.z[index];
    const outputs = isLast ? z.map(sigmoid) : network.a[index + 1];
    const slopes = isLast ? outputs.map((each) => each * (1 - each)) : network.slopes[index];
    const largest = isLast ? 0.25 : activation(network.activation).largestSlope;
    const classes = unitClasses(network.layers, net.params, index);
    return {
      name: layer.name,
      fanIn: layer.fanIn,
      units: layer.units,
      activation: isLast ? "sigmoid" : network.activation,
      weight: net.params.slice(layer.weight, layer.bias),
      bias: net.params.slice(layer.bias, layer.end),
      classes,
      distinct: countClasses(classes),
      saturation: saturatedShare(slopes, largest),
      dead: countDead(slopes, layer.units),
      signal: rms(z),
      output: rms(outputs),
      gradient: rms(network.deltas[index]),
      gradientNorm: norm(net.gradient.subarray(layer.weight, layer.end)),
      histogram: bins > 0 ? histogram(z, bins) : null,
    };
  });
}

/**
 * For each unit the number of the first unit that it equals in every bit of its weights and bias.
 * @param {object[]} layers - of `layoutOf`.
 * @param {Float32Array} params - of a net.
 * @param {number} index - of the layer.
 * @returns {Int32Array} [units]; a hidden unit's outgoing weights count too.
 */
export function unitClasses(layers, params, index) {
  const { fanIn, units, weight, bias } = layers[index];
  const next = layers[index + 1];
  const entries = (unit) => {
    const own = [params[bias + unit]];
    for (let input = 0; input < fanIn; input++) own.push(params[weight + input * units + unit]);
    if (next !== undefined) {
      const from = next.weight + unit * next.units;
      own.push(...params.subarray(from, from + next.units));
    }
    return own;
  };
  const rows = Array.from({ length: units }, (_, unit) => entries(unit));
  // NaN equals NaN, and 0 equals -0.
  const same = (left, right) => left.every((each, at) => each === right[at] || (each !== each && right[at] !== right[at]));
  return Int32Array.from(rows, (row) => rows.findIndex((other) => same(row, other)));
}

/**
 * How many classes the labels of `unitClasses` hold.
 * @param {Int32Array} classes - the labels.
 * @returns {number} of distinct units.
 */
export function countClasses(classes) {
  return new Set(classes).size;
}

/**
 * Values of every unit over a square grid of the plane, each taken at the middle of its pixel.
 * @param {object} side - of a checked state.
 * @param {Float32Array} params - of a net.
 * @param {number} size - pixels along either axis.
 * @param {number[]} bounds - `[x1 low, x1 high, x2 low, x2 high]`.
 * @returns {object} `{size, bounds, probability [size * size], z, a}`, z and a of each hidden layer
 *   [units * size * size]; x2 is the slower axis.
 */
export function unitMaps(side, params, size, bounds) {
  const [left, right, bottom, top] = bounds;
  const x = new Float32Array(2 * size * size);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const place = row * size + column;
      x[place] = left + ((right - left) * (column + 0.5)) / size;
      x[size * size + place] = bottom + ((top - bottom) * (row + 0.5)) / size;
    }
  }
  const network = makeNetwork(sizesOf(side), side.activation, x, false);
  const logits = forward(network, params);
  return { size, bounds, probability: logits.map(sigmoid), z: network.z.slice(0, -1), a: network.a.slice(1) };
}

function saturatedShare(slopes, largest) {
  let count = 0;
  for (const each of slopes) {
    if (Number.isNaN(each)) return NaN;
    if (Math.abs(each) / largest < SATURATED_SLOPE) count++;
  }
  return count / slopes.length;
}

function countDead(slopes, units) {
  const examples = slopes.length / units;
  let dead = 0;
  for (let unit = 0; unit < units; unit++) {
    if (slopes.subarray(unit * examples, (unit + 1) * examples).every((each) => each === 0)) dead++;
  }
  return dead;
}

function rms(values) {
  return norm(values) / Math.sqrt(values.length);
}

function norm(values) {
  let sum = 0;
  for (const each of values) sum += each * each;
  return Math.sqrt(sum);
}

/** Shares of the values in bins of equal width between the least and the largest finite one. */
function histogram(values, bins) {
  let [low, high] = [Infinity, -Infinity];
  for (const each of values) {
    if (!Number.isFinite(each)) continue;
    low = Math.min(low, each);
    high = Math.max(high, each);
  }
  // Of one value, or of none, the bins still have a width.
  if (low > high) [low, high] = [0, 0];
  const widen = high > low ? 0 : Math.max(1e-6, Math.abs(low) * 0.1);
  [low, high] = [low - widen, high + widen];
  const shares = new Float32Array(bins);
  for (const each of values) {
    if (!Number.isFinite(each)) continue;
    shares[Math.min(bins - 1, Math.floor(((each - low) / (high - low)) * bins))] += 1 / values.length;
  }
  return { low, high, shares };
}
