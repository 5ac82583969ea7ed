/**
 * Optimizer steps in float32, as optax writes them: each keeps a state of its own for each net.
 */

const MOMENTUM = Math.fround(0.9);
const [BETA1, BETA2, EPSILON] = [0.9, 0.999, 1e-8].map(Math.fround);
// As float32 rounds 1 - 0.9 and 1 - 0.999, and not what BETA1 and BETA2 leave of 1.
const [REST1, REST2] = [1 - 0.9, 1 - 0.999].map(Math.fround);

/**
 * A step of one optimizer on one net.
 * @callback Step
 * @param {Float32Array} params - changed in place.
 * @param {Float32Array} gradient - of the loss.
 * @returns {void}
 */

const OPTIMIZERS = { sgd, momentum, adam };

/**
 * `optax.sgd(rate)`, `optax.sgd(rate, momentum=0.9)` or `optax.adam(rate)` at its start.
 * @param {string} name - sgd, momentum or adam.
 * @param {number} learningRate - the rate.
 * @param {number} size - how many parameters.
 * @returns {Step} the step; it remembers what it has seen.
 * @throws {Error} for another name.
 */
export function makeOptimizer(name, learningRate, size) {
  if (!Object.hasOwn(OPTIMIZERS, name)) {
    throw new Error(`optimizer must be one of ${Object.keys(OPTIMIZERS).join(", ")}, got ${name}`);
  }
  return OPTIMIZERS[name](Math.fround(learningRate), size);
}

function sgd(rate) {
  return (params, gradient) => {
    for (let index = 0; index < params.length; index++) {
      params[index] += Math.fround(-rate * gradient[index]);
    }
  };
}

function momentum(rate, size) {
  const trace = new Float32Array(size);
  const step = sgd(rate);
  return (params, gradient) => {
    for (let index = 0; index < size; index++) {
      trace[index] = gradient[index] + Math.fround(MOMENTUM * trace[index]);
    }
    step(params, trace);
  };
}

function adam(rate, size) {
  const [first, second] = [new Float32Array(size), new Float32Array(size)];
  let count = 0;
  return (params, gradient) => {
    count++;
    const [correction1, correction2] = [BETA1, BETA2].map((beta) => Math.fround(1 - Math.fround(beta ** count)));
    for (let index = 0; index < size; index++) {
      const each = gradient[index];
      first[index] = Math.fround(REST1 * each) + Math.fround(BETA1 * first[index]);
      second[index] = Math.fround(REST2 * Math.fround(each * each)) + Math.fround(BETA2 * second[index]);
      const mean = Math.fround(first[index] / correction1);
      const rms = Math.fround(Math.sqrt(Math.fround(second[index] / correction2)));
      params[index] += Math.fround(-rate * Math.fround(mean / Math.fround(rms + EPSILON)));
    }
  };
}
