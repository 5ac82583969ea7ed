/**
 * "Reproduce in Python": the initlab program of what is on the screen.
 */

import { checkState, sizesOf } from "./settings.js";

const ACTIVATIONS = {
  tanh: "jnp.tanh",
  sigmoid: "jax.nn.sigmoid",
  relu: "jax.nn.relu",
  gelu: "jax.nn.gelu",
  linear: "initlab.activations.identity",
};

const ONE_KEY = `

def one_key(initializer, copies):
    """The first \`copies\` units of each hidden layer as one key draws them."""

    def draw(key, spec):
        value = initializer(key, spec)
        rows, units = (jnp.arange(size) for size in (value.shape[0], value.shape[-1]))
        value = value[..., jnp.where(units < copies, 0, units)]
        if spec.role in (Role.WEIGHT, Role.READOUT):
            value = value[jnp.where(rows < copies, 0, rows)]
        return value

    return draw
`;

const TRAIN = `

def train(network, start, optimizer):
    """One run from each seed: losses, accuracies and distinct units, [seeds, snapshots, ...]."""
    run = initlab.make_run(
        network,
        lambda point: start,
        task,
        optimizer=lambda point: optimizer,
        steps=STEPS,
        every=STEPS,
        probes=[probes.loss, probes.accuracy, probes.distinct_units, probes.saturation],
    )
    return jax.jit(jax.vmap(run))({"seed": jnp.asarray(SEEDS)}).values
`;

/**
 * A Python program that trains the nets of a state by initlab and prints what the page shows.
 * @param {object} given - a state; it is checked.
 * @param {number} step - how many steps were taken.
 * @returns {string} its text; it leaves \`results\`, a dict of measurements for each side.
 * @throws {Error} for a state that `checkState` refuses.
 */
export function pythonProgram(given, step) {
  const state = checkState(given);
  const copied = state.sides.some((side) => side.start.copies > 1);
  const imports = ["import initlab", "from initlab import initializers as init", "from initlab import probes"];
  if (copied) imports.push("from initlab.types import Role");
  const seeds = `range(${state.seed}, ${state.seed + state.seeds})`;
  const head = [
    `"""${state.sides.map(nameOf).join(" beside ")}, after ${step} steps."""`,
    "",
    ["import jax", "import jax.numpy as jnp", "import optax"].join("\n"),
    "",
    imports.join("\n"),
    "",
    `STEPS = ${Math.max(1, step)}`,
    `SEEDS = ${seeds}`,
    taskOf(state),
  ].join("\n");
  const sides = state.sides.map((side, index) => `    "${"AB"[index]}": train(\n${trainArguments(side)}\n    ),`);
  // A run takes a step at least: what the page shows before it is its first snapshot.
  const snapshot = step === 0 ? 0 : -1;
  const tail = `

results = {
${sides.join("\n")}
}
for side, values in results.items():
    for index, seed in enumerate(SEEDS):
        loss, accuracy, distinct = (
            values[name][index, ${snapshot}] for name in ("loss", "accuracy", "distinct_units")
        )
        print(f"{side}, seed {seed}: loss {loss:.6g}, accuracy {accuracy:.4g}, distinct {distinct}")
`;
  return `${head}\n${copied ? ONE_KEY : ""}${TRAIN}${tail}`;
}

function nameOf(side) {
  return `${sizesOf(side).join("-")} ${side.activation} from ${side.start.scheme}`;
}

function taskOf({ task, own }) {
  if (task !== "own") return `task = initlab.tasks.${task}()`;
  const points = own.map(([x1, x2]) => `    [${number(x1)}, ${number(x2)}],`).join("\n");
  const labels = own.map((point) => `    ${point[2]},`).join("\n");
  return `points = [\n${points}\n]\nlabels = [\n${labels}\n]\ntask = initlab.tasks.from_arrays(points, labels)`;
}

function trainArguments(side) {
  const optimizers = {
    sgd: `optax.sgd(${number(side.learningRate)})`,
    momentum: `optax.sgd(${number(side.learningRate)}, momentum=0.9)`,
    adam: `optax.adam(${number(side.learningRate)})`,
  };
  const network = `initlab.networks.mlp((${sizesOf(side).join(", ")}), ${ACTIVATIONS[side.activation]})`;
  const start = side.start.copies > 1 ? `one_key(${startOf(side)}, ${side.start.copies})` : startOf(side);
  return [network, start, optimizers[side.optimizer]].map((each) => `        ${each},`).join("\n");
}

function startOf({ start, bias }) {
  const weight = weightOf(start);
  if (start.factors === null) return `init.by_role(${weight}, bias=${biasOf(bias)})`;
  const layers = start.factors.map(
    (factor, index) => `            "layer_${index + 1}/weight": init.scaled(${weight}, ${number(factor)}),`,
  );
  return `init.by_path({\n${layers.join("\n")}\n            "*/bias": ${biasOf(bias)},\n        })`;
}

function weightOf({ scheme, scale }) {
  if (scheme === "zeros") return "init.zeros()";
  if (["constant", "normal", "orthogonal"].includes(scheme)) return `init.${scheme}(${number(scale)})`;
  return scale === 1 ? `init.${scheme}()` : `init.scaled(init.${scheme}(), ${number(scale)})`;
}

function biasOf({ scheme, scale }) {
  return scheme === "zeros" ? "init.zeros()" : `init.${scheme}(${number(scale)})`;
}

/** A float of Python's. */
function number(value) {
  return Number.isInteger(value) && Math.abs(value) < 1e16 ? `${value}.0` : `${value}`;
}
