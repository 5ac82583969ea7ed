/**
 * Twelve starts worth seeing, each with one sentence of why.
 *
 * All are trained on the flower data. The numbers in the sentences are those of the page's own runs,
 * after the entry's steps; tests/test_page_starts.py holds them to it.
 */

const deepRelu = { depth: 8, width: 16, activation: "relu", learningRate: 0.05 };

/** `{name, title, sentence, steps, state}`: a state for `checkState`, and the steps to look at. */
export const GALLERY = [
  entry(
    "zero",
    "All zero",
    "Zero outgoing weights send no gradient back and zero activations give none to the readout, so that nothing moves: the loss stays at ln 2 = 0.693.",
    1000,
    [{ start: { scheme: "zeros" } }],
  ),
  entry(
    "constant",
    "Constant",
    "Equal units get equal gradients and stay copies to the last bit: four units learn what one can, and the loss ends at 0.65.",
    1000,
    [{ start: { scheme: "constant", scale: 0.5 } }],
  ),
  entry(
    "zero_outgoing",
    "Zero outgoing weights only",
    "Zero is no harm where the units differ already: the first step moves the outgoing weights, the second all others, and 15 of 16 seeds train.",
    1000,
    [{ start: { scheme: "normal", scale: 1, factors: [1, 0] } }],
  ),
  entry(
    "small_deep",
    "0.01 in 8 layers",
    "Each layer of 8 units multiplies the signal by about 0.01 sqrt(8) = 0.03: the output is of order 1e-14, the gradient 1e-13, and the loss stays at ln 2.",
    1000,
    [{ depth: 8, width: 8, start: { scheme: "normal", scale: 0.01 } }],
  ),
  entry(
    "hundred",
    "100",
    "The slope of 97 % of the hidden activations is under 1 % of its largest: hardly a gradient reaches the units, and no seed trains.",
    1000,
    [{ start: { scheme: "normal", scale: 100 } }],
  ),
  entry(
    "dead_relus",
    "Dead relus",
    "With biases of -20 no relu is ever above 0: all hidden gradients are exactly 0, only the output's bias learns, and the loss falls from 10 to ln 2.",
    1000,
    [{ activation: "relu", learningRate: 0.1, start: { scheme: "he_normal" }, bias: { scheme: "constant", scale: -20 } }],
  ),
  entry(
    "saturated_output",
    "Saturated output unit",
    "With outgoing weights of 100 the output's sigmoid is saturated on 96 % of the points, and as cross-entropy's gradient does not vanish there, one step throws 86 % of the hidden activations into saturation too.",
    1,
    [{ start: { scheme: "normal", scale: 1, factors: [1, 100] } }],
  ),
  entry(
    "sigmoid_deep",
    "Sigmoid, deep",
    "The slope is 1/4 at most: in 6 layers the gradient shrinks a thousandfold from the output to the first layer, and after 1000 steps the loss is ln 2 still.",
    1000,
    [{ depth: 6, width: 8, activation: "sigmoid", start: { scheme: "glorot_normal" } }],
  ),
  entry(
    "he_glorot",
    "He against Glorot for relu",
    "relu halves the mean square, which He's 2 / fan_in makes good (A) and Glorot's 1 / fan does not (B): in 8 layers B starts with a signal 35 times smaller, and after 100 steps 11 seeds of A have trained and none of B.",
    100,
    [
      { ...deepRelu, start: { scheme: "he_normal" } },
      { ...deepRelu, start: { scheme: "glorot_normal" } },
    ],
  ),
  entry(
    "one_key",
    "One key for two units",
    "Two units drawn with the same key are one unit for ever: 3 distinct of 4, and 8 of 16 seeds train.",
    1000,
    [{ start: { scheme: "normal", scale: 1, copies: 2 } }],
  ),
  entry(
    "bias_only",
    "Only the biases are random",
    "Random biases break the symmetry as well as random weights do: with all weights at 0.5 the units differ from the first step on, and 12 of 16 seeds train.",
    1000,
    [{ start: { scheme: "constant", scale: 0.5 }, bias: { scheme: "normal", scale: 1 } }],
  ),
  entry(
    "lucky",
    "A lucky large start",
    "At 30 seed 7 trains, and the 15 seeds after it do not: one run says little about a start.",
    1000,
    [{ start: { scheme: "normal", scale: 30 } }],
    7,
  ),
];

function entry(name, title, sentence, steps, sides, seed = 0) {
  const filled = sides.map((side) => ({ depth: 1, width: 4, activation: "tanh", learningRate: 1.2, ...side }));
  return { name, title, sentence, steps, state: { task: "flower", seed, seeds: 16, sides: filled } };
}
