/**
 * The multilayer perceptron in float32: forward, loss and gradient on all examples.
 *
 * Arrays lie [units, examples], as in `initlab.networks.dense`: every unit of a layer is summed in the
 * same order, so that units that start identical stay identical to the last bit.
 */

import { activation, sigmoid } from "./activations.js";
import { layoutOf } from "./initializers.js";
import { sumExamples, sumInputs, sumOutputs } from "./products.js";

/**
 * A network with room for one pass over the data, shared by all params that are passed through it.
 * @typedef {object} Network
 * @property {object[]} layers - of `layoutOf`.
 * @property {string} activation - of the hidden layers.
 * @property {number} size - how many parameters.
 * @property {number} examples - how many examples there is room for.
 * @property {Float32Array[]} z - pre-activations [units, examples] of each layer.
 * @property {Float32Array[]} a - inputs of each layer [fan_in, examples]; `a[0]` is the data.
 * @property {Float32Array[]} slopes - phi'(z) of each hidden layer.
 * @property {Float32Array[]} deltas - dL/dz of each layer, after `gradient`.
 */

/**
 * `initlab.networks.mlp(sizes, activation)` with room for examples.
 * @param {number[]} sizes - inputs first, 1 logit last.
 * @param {string} name - of the activation.
 * @param {Float32Array} x - inputs [n_0, examples].
 * @param {boolean} trains - whether there is room for a gradient, too.
 * @returns {Network} the network, with x as its data.
 */
export function makeNetwork(sizes, name, x, trains = true) {
  const layers = layoutOf(sizes);
  const examples = x.length / sizes[0];
  const room = () => layers.map((layer) => new Float32Array(layer.units * examples));
  return {
    layers,
    activation: name,
    size: layers.at(-1).end,
    examples,
    z: room(),
    a: [x, ...room().slice(0, -1)],
    slopes: trains ? room().slice(0, -1) : [],
    deltas: trains ? room() : [],
  };
}

/**
 * Fills z, a and, where asked for, slopes.
 * @param {Network} network - whose room is written.
 * @param {Float32Array} params - in the order of `layoutOf`.
 * @param {boolean} withSlopes - whether a gradient follows.
 * @returns {Float32Array} the logits [examples], the network's own.
 */
export function forward(network, params, withSlopes = false) {
  const { layers, examples, z, a, slopes } = network;
  const { activate } = activation(network.activation);
  layers.forEach((layer, index) => {
    sumInputs(params, layer, a[index], z[index], examples);
    if (index < layers.length - 1) {
      activate(z[index], a[index + 1], withSlopes ? slopes[index] : null);
    }
  });
  return z.at(-1);
}

/**
 * `mean softplus((1 - 2 y) z)`, the binary cross-entropy in nats, and the share of correct signs.
 * @param {Float32Array} logits - [examples].
 * @param {Int8Array} signs - [examples], -1 for label 1, 1 for label 0.
 * @returns {{loss: number, accuracy: number}} NaN where a logit is NaN.
 */
export function score(logits, signs) {
  let [loss, correct] = [0, 0];
  for (let example = 0; example < logits.length; example++) {
    const margin = signs[example] * logits[example];
    loss += Math.max(margin, 0) + Math.log1p(Math.exp(-Math.abs(margin)));
    // A logit of 0 is class 0.
    if (logits[example] > 0 === signs[example] < 0) correct++;
  }
  // The loss is NaN where a logit is, and only there.
  return { loss: loss / logits.length, accuracy: Number.isNaN(loss) ? NaN : correct / logits.length };
}

/**
 * The gradient of the mean loss by every parameter, after a `forward` with slopes.
 * @param {Network} network - its deltas are written too.
 * @param {Float32Array} params - those of the forward pass.
 * @param {Int8Array} signs - [examples], as for `score`.
 * @param {Float32Array} into - [network.size], the gradient.
 * @returns {void}
 */
export function gradient(network, params, signs, into) {
  const { layers, examples, a, slopes, deltas } = network;
  const [logits, last] = [network.z.at(-1), deltas.at(-1)];
  for (let example = 0; example < examples; example++) {
    last[example] = (signs[example] * sigmoid(signs[example] * logits[example])) / examples;
  }
  for (let index = layers.length - 1; index >= 0; index--) {
    sumExamples(layers[index], a[index], deltas[index], examples, into);
    if (index > 0) sumOutputs(params, layers[index], deltas[index], slopes[index - 1], deltas[index - 1], examples);
  }
}
