/**
 * The page's state: what may be chosen, what is chosen at first, and the check of what is given.
 *
 * The state is plain JSON: it is the URL's hash, the export, and what `pythonProgram` reads.
 */

/** What the numbers may be. */
export const LIMITS = {
  depth: [1, 8],
  width: [1, 16],
  seed: [0, 2 ** 31 - 1],
  seeds: [1, 16],
  scale: [0, 1e3],
  bias: [-1e3, 1e3],
  learningRate: [1e-6, 1e3],
  factor: [0, 1e6],
  coordinate: [-1e3, 1e3],
  ownPoints: 1000,
};

/** The data, by name. */
export const TASKS = {
  flower: { title: "Flower", sentence: "Two colours on four petals: 400 points." },
  moons: { title: "Moons", sentence: "Two half circles that reach into each other: 200 points." },
  circles: { title: "Circles", sentence: "A circle inside another: 300 points." },
  xor: { title: "XOR", sentence: "Equal signs against opposite signs: 200 points." },
  spiral: { title: "Spiral", sentence: "Two arms that wind around each other: 200 points." },
  own: { title: "Own points", sentence: "Points that you place by clicking." },
};

/** The activations, by name. */
export const ACTIVATIONS = {
  tanh: { title: "tanh", sentence: "Odd, with slope 1 at 0; saturates on both sides." },
  sigmoid: { title: "sigmoid", sentence: "From 0 to 1, with slope 1/4 at most; not centred." },
  relu: { title: "relu", sentence: "Zero on one side: a unit may be dead on all examples." },
  gelu: { title: "gelu", sentence: "A smooth relu." },
  linear: { title: "linear", sentence: "No activation: the network is one linear map." },
};

/** The starts, by name: how weights are drawn, and what the scale is. */
export const SCHEMES = {
  zeros: { title: "Zero", sentence: "Every weight is 0.", scale: null },
  constant: { title: "Constant", sentence: "Every weight is the same number.", scale: "value" },
  normal: { title: "randn x scale", sentence: "Gaussian of one std in all layers.", scale: "std" },
  glorot_normal: {
    title: "Glorot, Gaussian",
    sentence: "Variance 2 / (fan_in + fan_out).",
    scale: "factor",
  },
  glorot_uniform: {
    title: "Glorot, uniform",
    sentence: "Variance 2 / (fan_in + fan_out), on an interval.",
    scale: "factor",
  },
  he_normal: { title: "He, Gaussian", sentence: "Variance 2 / fan_in.", scale: "factor" },
  he_uniform: { title: "He, uniform", sentence: "Variance 2 / fan_in, on an interval.", scale: "factor" },
  lecun_normal: { title: "LeCun, Gaussian", sentence: "Variance 1 / fan_in.", scale: "factor" },
  lecun_uniform: {
    title: "LeCun, uniform",
    sentence: "Variance 1 / fan_in, on an interval.",
    scale: "factor",
  },
  orthogonal: {
    title: "Orthogonal",
    sentence: "Rows or columns of length 1, perpendicular to each other.",
    scale: "gain",
  },
};

/** How biases start, by name. */
export const BIASES = {
  zeros: { title: "Zero", sentence: "Every bias is 0.", scale: null },
  constant: { title: "Constant", sentence: "Every bias is the same number.", scale: "value" },
  normal: { title: "randn x scale", sentence: "Gaussian.", scale: "std" },
};

/** The optimizers, by name, with the defaults of optax. */
export const OPTIMIZERS = {
  sgd: { title: "Gradient descent", sentence: "A step against the gradient." },
  momentum: { title: "Momentum", sentence: "Heavy ball of momentum 0.9." },
  adam: { title: "Adam", sentence: "Steps divided by the gradient's running rms." },
};

/**
 * One side's settings before anything is chosen: the lecture's net of four tanh units.
 * @returns {object} a new side.
 */
export function defaultSide() {
  return {
    depth: 1,
    width: 4,
    activation: "tanh",
    start: { scheme: "normal", scale: 1, factors: null, copies: 0 },
    bias: { scheme: "zeros", scale: 0 },
    optimizer: "sgd",
    learningRate: 1.2,
  };
}

/**
 * The state before anything is chosen.
 * @returns {object} a new state.
 */
export function defaultState() {
  return { task: "flower", own: [], seed: 0, seeds: 16, sides: [defaultSide()] };
}

/**
 * A state as given, checked, with defaults for what is left out.
 * @param {object} given - perhaps from a hash or a file: anything.
 * @returns {object} a new, whole state.
 * @throws {Error} "X must be Y, got Z" for what no network can be made of.
 */
export function checkState(given) {
  const state = merged("state", defaultState(), given);
  check("sides", Array.isArray(state.sides) && [1, 2].includes(state.sides.length), "1 or 2", state.sides);
  state.sides = state.sides.map((side, index) => checkSide(`sides[${index}]`, side));
  checkName("task", state.task, TASKS);
  checkWhole("seed", state.seed, LIMITS.seed);
  checkWhole("seeds", state.seeds, LIMITS.seeds);
  check("seed", state.seed + state.seeds - 1 <= LIMITS.seed[1], "low enough for all seeds", state.seed);
  state.own = checkPoints(state.own, state.task === "own");
  return state;
}

/**
 * Sizes of a side's network.
 * @param {object} side - of a checked state.
 * @returns {number[]} `[2, width, ..., width, 1]`.
 */
export function sizesOf(side) {
  return [2, ...Array(side.depth).fill(side.width), 1];
}

function checkSide(name, given) {
  const side = merged(name, defaultSide(), given);
  checkWhole(`${name}.depth`, side.depth, LIMITS.depth);
  checkWhole(`${name}.width`, side.width, LIMITS.width);
  checkName(`${name}.activation`, side.activation, ACTIVATIONS);
  checkName(`${name}.optimizer`, side.optimizer, OPTIMIZERS);
  checkNumber(`${name}.learningRate`, side.learningRate, LIMITS.learningRate);
  side.start = merged(`${name}.start`, defaultSide().start, side.start);
  checkName(`${name}.start.scheme`, side.start.scheme, SCHEMES);
  const scales = side.start.scheme === "constant" ? LIMITS.bias : LIMITS.scale;
  checkNumber(`${name}.start.scale`, side.start.scale, scales);
  checkWhole(`${name}.start.copies`, side.start.copies, [0, side.width]);
  if (side.start.factors !== null) {
    const factors = side.start.factors;
    const wanted = `null or ${side.depth + 1} numbers, one for each layer`;
    check(`${name}.start.factors`, Array.isArray(factors) && factors.length === side.depth + 1, wanted, factors);
    factors.forEach((each, index) => checkNumber(`${name}.start.factors[${index}]`, each, LIMITS.factor));
    side.start.factors = [...factors];
  }
  side.bias = merged(`${name}.bias`, defaultSide().bias, side.bias);
  checkName(`${name}.bias.scheme`, side.bias.scheme, BIASES);
  checkNumber(`${name}.bias.scale`, side.bias.scale, side.bias.scheme === "normal" ? LIMITS.scale : LIMITS.bias);
  return side;
}

function checkPoints(own, required) {
  check("own", Array.isArray(own) && own.length <= LIMITS.ownPoints, `at most ${LIMITS.ownPoints} points`, own);
  if (required) check("own", own.length > 0, "at least one point", "none");
  own.forEach((point, index) => {
    const name = `own[${index}]`;
    check(name, Array.isArray(point) && point.length === 3, "[x1, x2, label]", point);
    checkNumber(`${name}[0]`, point[0], LIMITS.coordinate);
    checkNumber(`${name}[1]`, point[1], LIMITS.coordinate);
    check(`${name}[2]`, point[2] === 0 || point[2] === 1, "0 or 1", point[2]);
  });
  return own.map((point) => [...point]);
}

/** The given values over the defaults; a name that there is none of is refused. */
function merged(name, defaults, given) {
  const isObject = typeof given === "object" && given !== null && !Array.isArray(given);
  check(name, isObject, "an object", given);
  for (const key of Object.keys(given)) {
    check(name, Object.hasOwn(defaults, key), `an object of ${Object.keys(defaults).join(", ")}`, key);
  }
  return { ...defaults, ...given };
}

function check(name, holds, wanted, given) {
  if (!holds) throw new Error(`${name} must be ${wanted}, got ${`${JSON.stringify(given)}`.slice(0, 80)}`);
}

function checkName(name, value, table) {
  const known = typeof value === "string" && Object.hasOwn(table, value);
  check(name, known, `one of ${Object.keys(table).join(", ")}`, value);
}

function checkNumber(name, value, [least, most]) {
  const fits = typeof value === "number" && value >= least && value <= most;
  check(name, fits, `a number from ${least} to ${most}`, value);
}

function checkWhole(name, value, limits) {
  check(name, Number.isInteger(value), "a whole number", value);
  checkNumber(name, value, limits);
}
