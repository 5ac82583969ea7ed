/**
 * Elementwise functions of the hidden layers, by the names of `initlab`'s program: value and slope.
 *
 * gelu is `jax.nn.gelu`, the approximation by tanh. A unit is saturated on an example where its slope
 * is under SATURATED_SLOPE of the function's largest.
 */

/** `initlab.activations.SATURATED_SLOPE`. */
export const SATURATED_SLOPE = 0.01;

const GELU_SCALE = Math.sqrt(2 / Math.PI);
const GELU_CUBE = 0.044715;

/**
 * The logistic function, without overflow.
 * @param {number} z - any number.
 * @returns {number} `1 / (1 + exp(-z))`.
 */
export function sigmoid(z) {
  return 1 / (1 + Math.exp(-z));
}

/**
 * The hyperbolic tangent, to 1e-12: a third of the time of `Math.tanh`, which is exact in float64.
 * @param {number} z - any number.
 * @returns {number} tanh(z).
 */
export function tanh(z) {
  return z > -1e-3 && z < 1e-3 ? z - (z * z * z) / 3 : 1 - 2 / (Math.exp(2 * z) + 1);
}

/**
 * A function and what is known of it.
 * @typedef {object} Activation
 * @property {(z: number) => number} value - phi(z).
 * @property {(z: number) => number} slope - phi'(z), 0 at relu's kink.
 * @property {number} largestSlope - max |phi'|.
 * @property {(z: Float32Array, a: Float32Array, slopes: Float32Array | null) => void} activate -
 *   fills a with phi(z), and slopes, where there are any, with phi'(z) in float32.
 */

const TABLE = {
  tanh: {
    value: Math.tanh,
    slope: (z) => (1 - Math.tanh(z)) * (1 + Math.tanh(z)),
    largestSlope: 1,
    activate(z, a, slopes) {
      for (let index = 0; index < z.length; index++) a[index] = tanh(z[index]);
      if (slopes === null) return;
      // Of the rounded value, as a program's are: where it is 1 no gradient is left.
      for (let index = 0; index < z.length; index++) slopes[index] = (1 - a[index]) * (1 + a[index]);
    },
  },
  sigmoid: {
    value: sigmoid,
    slope: (z) => sigmoid(z) * sigmoid(-z),
    largestSlope: 0.25,
    activate(z, a, slopes) {
      for (let index = 0; index < z.length; index++) a[index] = sigmoid(z[index]);
      if (slopes === null) return;
      for (let index = 0; index < z.length; index++) slopes[index] = a[index] * (1 - a[index]);
    },
  },
  relu: {
    value: (z) => (z < 0 ? 0 : z),
    slope: (z) => (z > 0 ? 1 : z <= 0 ? 0 : NaN),
    largestSlope: 1,
    activate(z, a, slopes) {
      for (let index = 0; index < z.length; index++) a[index] = z[index] < 0 ? 0 : z[index];
      if (slopes === null) return;
      for (let index = 0; index < z.length; index++) slopes[index] = z[index] > 0 ? 1 : 0;
    },
  },
  gelu: {
    value: (z) => 0.5 * z * (1 + geluTanh(z)),
    slope: (z) => geluSlope(z, geluTanh(z)),
    largestSlope: 1.1289926,
    activate(z, a, slopes) {
      for (let index = 0; index < z.length; index++) {
        const each = z[index];
        const t = geluTanh(each);
        a[index] = 0.5 * each * (1 + t);
        if (slopes !== null) slopes[index] = geluSlope(each, t);
      }
    },
  },
  linear: {
    value: (z) => z,
    slope: () => 1,
    largestSlope: 1,
    activate(z, a, slopes) {
      a.set(z);
      if (slopes !== null) slopes.fill(1);
    },
  },
};

function geluTanh(z) {
  return tanh(GELU_SCALE * (z + GELU_CUBE * z * z * z));
}

function geluSlope(z, t) {
  return 0.5 * (1 + t) + 0.5 * z * (1 - t) * (1 + t) * GELU_SCALE * (1 + 3 * GELU_CUBE * z * z);
}

/**
 * An activation by its name.
 * @param {string} name - tanh, sigmoid, relu, gelu or linear.
 * @returns {Activation} the function.
 * @throws {Error} for another name.
 */
export function activation(name) {
  if (!Object.hasOwn(TABLE, name)) {
    throw new Error(`activation must be one of ${Object.keys(TABLE).join(", ")}, got ${name}`);
  }
  return TABLE[name];
}
