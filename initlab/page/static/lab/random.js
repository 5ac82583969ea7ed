/**
 * The random numbers of JAX: the same seed draws here what it draws in `jax.random`.
 *
 * Threefry-2x32 with 20 rounds (Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3), in
 * the layout that JAX calls partitionable: entry i of an array is hashed from the count i alone.
 * A key is `[word, word]`, two unsigned 32-bit integers.
 */

const ROTATIONS = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
];
const PARITY = 0x1bd11bda;
const SQRT2 = Math.fround(Math.SQRT2);
const ABOVE_MINUS_ONE = Math.fround(-1 + 2 ** -24);

// Giles 2010, Approximating the erfinv function, as XLA has it in float32.
const CENTRAL = [
  2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087, -0.00125372503,
  -0.00417768164, 0.246640727, 1.50140941,
];
const TAIL = [
  -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613,
  0.00943887047, 1.00167406, 2.83297682,
];

/**
 * `jax.random.key(seed)`.
 * @param {number} seed - a whole number from 0 to 2^31 - 1.
 * @returns {number[]} the key.
 */
export function keyOf(seed) {
  return [0, seed >>> 0];
}

/**
 * Threefry-2x32 of one pair of counts.
 * @param {number[]} key - two words.
 * @param {number} high - the upper count.
 * @param {number} low - the lower count.
 * @returns {number[]} two words.
 */
export function threefry(key, high, low) {
  const schedule = [key[0], key[1], key[0] ^ key[1] ^ PARITY];
  let x0 = (high + schedule[0]) | 0;
  let x1 = (low + schedule[1]) | 0;
  for (let round = 0; round < 5; round++) {
    for (const rotation of ROTATIONS[round % 2]) {
      x0 = (x0 + x1) | 0;
      x1 = ((x1 << rotation) | (x1 >>> (32 - rotation))) ^ x0;
    }
    x0 = (x0 + schedule[(round + 1) % 3]) | 0;
    x1 = (x1 + schedule[(round + 2) % 3] + round + 1) | 0;
  }
  return [x0 >>> 0, x1 >>> 0];
}

/**
 * `jax.random.fold_in(key, data)`.
 * @param {number[]} key - two words.
 * @param {number} data - an unsigned 32-bit integer.
 * @returns {number[]} the key that belongs to data.
 */
export function foldIn(key, data) {
  return threefry(key, 0, data >>> 0);
}

/**
 * `jax.random.split(key, count)`.
 * @param {number[]} key - two words.
 * @param {number} count - how many keys.
 * @returns {number[][]} the keys.
 */
export function split(key, count) {
  return Array.from({ length: count }, (_, index) => threefry(key, 0, index));
}

/**
 * `initlab.keys.path_key(key, path)`: the key of one parameter, `fold_in(key, crc32(path))`.
 * @param {number[]} key - the run's key.
 * @param {string} path - as "layer_1/weight", of ASCII characters.
 * @returns {number[]} the parameter's key.
 */
export function pathKey(key, path) {
  let remainder = -1;
  for (let index = 0; index < path.length; index++) {
    remainder ^= path.charCodeAt(index);
    for (let bit = 0; bit < 8; bit++) {
      remainder = (remainder >>> 1) ^ (remainder & 1 ? 0xedb88320 : 0);
    }
  }
  return foldIn(key, ~remainder);
}

/**
 * `jax.random.uniform(key, (count,), float32, low, high)`.
 * @param {number[]} key - two words.
 * @param {number} count - how many numbers.
 * @param {number} low - least value.
 * @param {number} high - upper bound.
 * @returns {Float32Array} [count], in [low, high).
 */
export function uniform(key, count, low = 0, high = 1) {
  const [least, most] = [Math.fround(low), Math.fround(high)];
  const width = Math.fround(most - least);
  const drawn = new Float32Array(count);
  for (let index = 0; index < count; index++) {
    const [first, second] = threefry(key, 0, index);
    // 23 bits are the mantissa of a number in [1, 2).
    const unit = ((first ^ second) >>> 9) / 2 ** 23;
    drawn[index] = Math.max(least, Math.fround(Math.fround(unit * width) + least));
  }
  return drawn;
}

/**
 * `jax.random.normal(key, (count,), float32)`, to 1e-6.
 * @param {number[]} key - two words.
 * @param {number} count - how many numbers.
 * @returns {Float32Array} [count], standard normal.
 */
export function normal(key, count) {
  return uniform(key, count, ABOVE_MINUS_ONE, 1).map((u) => SQRT2 * inverseErf(u));
}

function inverseErf(x) {
  if (Math.abs(x) === 1) return x * Infinity;
  // Rounded where a float32 program rounds: near 1 the square decides the digits of a tail.
  const w = Math.fround(-Math.log1p(-Math.fround(x * x)));
  const [series, at] = w < 5 ? [CENTRAL, w - 2.5] : [TAIL, Math.sqrt(w) - 3];
  let polynomial = series[0];
  for (let index = 1; index < series.length; index++) {
    polynomial = series[index] + polynomial * at;
  }
  return polynomial * x;
}
