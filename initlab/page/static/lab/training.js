/**
 * Runs: many nets of one setting trained together, each from the start of its own seed.
 */

import { drawStart } from "./initializers.js";
import { forward, gradient, makeNetwork, score } from "./networks.js";
import { makeOptimizer } from "./optimizers.js";
import { sizesOf } from "./settings.js";

/** A run trained if its loss is under this share of the best constant's, as in the experiments. */
export const TRAINED_FRACTION = 0.5;

const QUANTILE = 1.959963984540054;

/**
 * Examples as the networks read them.
 * @typedef {object} Data
 * @property {Float32Array} x - [2, examples].
 * @property {Int8Array} signs - [examples], -1 for label 1, 1 for label 0.
 * @property {number} constantLoss - the entropy of the labels in nats.
 */

/**
 * A task's points for the networks.
 * @param {number[][]} x - points [examples][2].
 * @param {number[]} y - labels, 0 or 1.
 * @returns {Data} the data in float32.
 */
export function makeData(x, y) {
  const signs = Int8Array.from(y, (label) => (label === 1 ? -1 : 1));
  const share = y.reduce((sum, label) => sum + label, 0) / y.length;
  const terms = [share, 1 - share].map((p) => (p > 0 ? -p * Math.log(p) : 0));
  const columns = [...x.map((point) => point[0]), ...x.map((point) => point[1])];
  return { x: Float32Array.from(columns), signs, constantLoss: terms[0] + terms[1] };
}

/**
 * Nets in training.
 * @typedef {object} Ensemble
 * @property {object} side - the setting.
 * @property {Data} data - what they learn.
 * @property {object} network - the shared room.
 * @property {number} step - steps taken.
 * @property {object[]} nets - `{seed, start, params, gradient, update, loss, accuracy,
 *   firstNonfinite}` of each; loss, accuracy and gradient are those of its params.
 */

/**
 * Nets at their start.
 * @param {object} side - of a checked state.
 * @param {Data} data - what they learn.
 * @param {number[]} seeds - one for each net.
 * @param {Float32Array[]} [starts] - params instead of drawn ones.
 * @returns {Ensemble} before the first step.
 */
export function makeEnsemble(side, data, seeds, starts) {
  const network = makeNetwork(sizesOf(side), side.activation, data.x);
  const nets = seeds.map((seed, index) => {
    const start = starts === undefined ? drawStart(side, seed) : starts[index];
    return { seed, start, gradient: new Float32Array(network.size) };
  });
  const ensemble = { side, data, network, nets, step: 0 };
  rewind(ensemble);
  return ensemble;
}

/**
 * Back to the same starts.
 * @param {Ensemble} ensemble - changed in place.
 * @returns {void}
 */
export function rewind(ensemble) {
  const { side, nets, network } = ensemble;
  ensemble.step = 0;
  for (const net of nets) {
    net.params = net.start.slice();
    net.update = makeOptimizer(side.optimizer, side.learningRate, network.size);
    net.firstNonfinite = net.params.every(Number.isFinite) ? -1 : 0;
    evaluate(ensemble, net);
  }
}

/**
 * One optimizer step of every net. Divergence is data: such a net goes on.
 * @param {Ensemble} ensemble - changed in place.
 * @returns {void}
 */
export function takeStep(ensemble) {
  ensemble.step++;
  for (const net of ensemble.nets) {
    net.update(net.params, net.gradient);
    if (net.firstNonfinite < 0 && !net.params.every(Number.isFinite)) {
      net.firstNonfinite = ensemble.step;
    }
    evaluate(ensemble, net);
  }
}

/**
 * Passes a net through the room again, so that the room holds its signals and gradients.
 * @param {Ensemble} ensemble - whose room it is.
 * @param {object} net - one of its nets; loss, accuracy and gradient are set.
 * @returns {void}
 */
export function evaluate(ensemble, net) {
  const { network, data } = ensemble;
  const { loss, accuracy } = score(forward(network, net.params, true), data.signs);
  [net.loss, net.accuracy] = [loss, accuracy];
  gradient(network, net.params, data.signs, net.gradient);
}

/**
 * How many nets have trained: finite losses under TRAINED_FRACTION of a constant's.
 * @param {number[]} losses - of each net.
 * @param {number} constantLoss - the entropy of the labels.
 * @returns {{trained: number, share: number, interval: number[], threshold: number}} with Wilson's
 *   95 % interval of the share.
 */
export function countTrained(losses, constantLoss) {
  const threshold = TRAINED_FRACTION * constantLoss;
  const trained = losses.filter((loss) => loss < threshold).length;
  const interval = wilsonInterval(trained, losses.length);
  return { trained, share: trained / losses.length, interval, threshold };
}

/**
 * The 95 % score interval of a share (Wilson 1927), as `initlab.report.wilson_interval`.
 * @param {number} successes - how many runs did.
 * @param {number} runs - of how many, at least 1.
 * @returns {number[]} its ends.
 */
export function wilsonInterval(successes, runs) {
  const [share, z2] = [successes / runs, QUANTILE * QUANTILE];
  const center = share + z2 / (2 * runs);
  const half = QUANTILE * Math.sqrt((share * (1 - share)) / runs + z2 / (4 * runs * runs));
  const scale = 1 + z2 / runs;
  return [successes === 0 ? 0 : (center - half) / scale, successes === runs ? 1 : (center + half) / scale];
}
