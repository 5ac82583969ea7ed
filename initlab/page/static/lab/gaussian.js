/**
 * Gaussian means by Gauss-Legendre quadrature on panels that end at kinks and at an activation's scale.
 *
 * The rule of `initlab.theory.quadrature`: Gauss-Hermite nodes smear a kink, and miss a function that
 * is steep against the standard deviation.
 */

const REACH = 12;
const BORDERS = [-8, -5, -3, -1.5, 0, 1.5, 3, 5, 8];
// 0 is where relu has its kink, too.
const SCALES = [-16, -8, -4, -2, -1, 0, 1, 2, 4, 8, 16];
const NODES = [0.14887433898163122, 0.4333953941292472, 0.6794095682990244, 0.8650633666889845, 0.9739065285171717];
const WEIGHTS = [0.29552422471475287, 0.26926671930999635, 0.21908636251598204, 0.1494513491505806, 0.06667134430868814];

/**
 * `E f(sqrt(q) z)`, z ~ N(0, 1).
 * @param {(z: number) => number} f - smooth but for a kink at 0.
 * @param {number} q - variance, at least 0.
 * @returns {number} the mean.
 */
export function mean(f, q) {
  const std = Math.sqrt(q);
  return integral(placesOf(std), (x) => f(std * x));
}

/**
 * `E f(u) f(v)`, (u, v) Gaussian of variances q and correlation c.
 * @param {(z: number) => number} f - smooth but for a kink or a jump at 0.
 * @param {number} q - variance, over 0.
 * @param {number} c - correlation, in [0, 1].
 * @returns {number} the mean.
 */
export function pairMean(f, q, c) {
  return overPairs(q, c, (u, v) => f(u) * f(v));
}

/**
 * `E (f(u) - f(v))^2 / (2 (1 - c))`: no digit is lost as c nears 1.
 * @param {(z: number) => number} f - smooth but for a kink at 0.
 * @param {number} q - variance, over 0.
 * @param {number} c - correlation, in [0, 1).
 * @returns {number} the quotient.
 */
export function halfSquaredDifference(f, q, c) {
  return overPairs(q, c, (u, v) => (f(u) - f(v)) ** 2) / (2 * (1 - c));
}

/** Over the half-sum a and half-difference b of u and v, which are independent of each other. */
function overPairs(q, c, g) {
  const std = Math.sqrt(q);
  const [along, across] = [Math.sqrt((1 + c) / 2), Math.sqrt((1 - c) / 2)];
  const places = placesOf(std * along);
  return integral(placesOf(2 * across * std), (b) => {
    // u is at a kink where a = kink / (std along) - shift, and v at + shift.
    const shift = (across / along) * b;
    const both = [...places.map((each) => each - shift), ...places.map((each) => each + shift)];
    return integral(both, (a) => g(std * (along * a + across * b), std * (along * a - across * b)));
  });
}

function placesOf(std) {
  return SCALES.filter((each) => Math.abs(each) < REACH * std).map((each) => each / std);
}

/** The integral of f over the standard normal's line, cut at the places. */
function integral(places, f) {
  const inside = [...BORDERS, ...places].filter((each) => Math.abs(each) < REACH);
  const borders = [-REACH, ...inside, REACH].sort((left, right) => left - right);
  let sum = 0;
  for (let panel = 0; panel + 1 < borders.length; panel++) {
    const half = (borders[panel + 1] - borders[panel]) / 2;
    if (half === 0) continue;
    const middle = borders[panel] + half;
    for (let index = 0; index < NODES.length; index++) {
      const [low, high] = [middle - half * NODES[index], middle + half * NODES[index]];
      sum += half * WEIGHTS[index] * (f(low) * Math.exp((-low * low) / 2) + f(high) * Math.exp((-high * high) / 2));
    }
  }
  return sum / Math.sqrt(2 * Math.PI);
}
