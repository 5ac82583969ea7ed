/**
 * The worker's side of the page: messages in, snapshots out. It has no clock: the view asks for steps.
 */

import { measureLayers, unitMaps } from "./diagnostics.js";
import { scanPixels } from "./scan.js";
import { checkState } from "./settings.js";
import { phaseDiagram, predictStart } from "./theory.js";
import { countTrained, evaluate, makeData, makeEnsemble, rewind, takeStep } from "./training.js";

const LONGEST_CURVE = 200;
const WANT = { focus: [0, 0], grid: 0, bounds: [-4, 4, -4, 4], bins: 0 };

/**
 * A laboratory that answers messages one by one.
 * @returns {{handle: (message: object, post: (reply: object, transfer: ArrayBuffer[]) => void) =>
 *   Promise<void>}} `handle` posts at least one reply to each message; what it throws it posts as
 *   `{id, type: "error", message}`.
 */
export function createLab() {
  const lab = { tasks: {}, sides: [], cancelled: new Set() };
  const answer = async (message, post) => {
    const { id, type } = message;
    if (!Object.hasOwn(ANSWERS, type)) throw new Error(`type must be one of ${Object.keys(ANSWERS).join(", ")}, got ${type}`);
    const reply = await ANSWERS[type](lab, message, (part) => post({ id, type, ...part }, []));
    const whole = { id, type, ...reply };
    post(whole, buffersOf(whole));
  };
  return {
    async handle(message, post) {
      try {
        await answer(message, post);
      } catch (error) {
        post({ id: message.id, type: "error", message: error.message }, []);
      }
    },
  };
}

/**
 * Answers the messages of a worker's scope.
 * @param {object} scope - `self` of a worker.
 * @returns {void}
 */
export function startWorker(scope) {
  const lab = createLab();
  scope.onmessage = (event) => lab.handle(event.data, (reply, transfer) => scope.postMessage(reply, transfer));
}

const ANSWERS = {
  init(lab, { tasks }) {
    lab.tasks = tasks;
    return {};
  },

  load(lab, { state, want, params }) {
    const checked = checkState(state);
    const data = dataOf(lab, checked);
    const seeds = Array.from({ length: checked.seeds }, (_, index) => checked.seed + index);
    lab.sides = checked.sides.map((side, index) => {
      const starts = params?.[index]?.map((each) => Float32Array.from(each));
      return withCurve(makeEnsemble(side, data, seeds, starts));
    });
    return snapshot(lab, want);
  },

  step(lab, { count, want }) {
    requireLoaded(lab);
    const began = performance.now();
    for (const { ensemble, curve } of lab.sides) {
      for (let taken = 0; taken < count; taken++) {
        takeStep(ensemble);
        // Of many steps the last ones are kept, so that a message stays small.
        if (count - taken <= LONGEST_CURVE) record(curve, ensemble);
      }
    }
    const cost = (performance.now() - began) / count;
    return { ...snapshot(lab, want), cost };
  },

  rewind(lab, { want }) {
    requireLoaded(lab);
    lab.sides = lab.sides.map(({ ensemble }) => {
      rewind(ensemble);
      return withCurve(ensemble);
    });
    return snapshot(lab, want);
  },

  look(lab, { want }) {
    requireLoaded(lab);
    return snapshot(lab, want);
  },

  params(lab, { side, net }) {
    requireLoaded(lab);
    const { network, nets } = lab.sides[side].ensemble;
    const { params, gradient } = nets[net];
    return { layers: asLayers(network.layers, params), gradient: asLayers(network.layers, gradient) };
  },

  theory(lab, { state, side }) {
    const checked = checkState(state);
    return predictStart(checked.sides[side], dataOf(lab, checked));
  },

  phase(lab, { activation, most, points }) {
    return phaseDiagram(activation, most, points);
  },

  async scan(lab, message, post) {
    const checked = checkState(message.state);
    const data = dataOf(lab, checked);
    const setting = { side: checked.sides[message.side], seed: checked.seed, ...pick(message) };
    for (const pixels of scanPixels(setting, data)) {
      post({ done: false, pixels });
      // A turn of the event loop, in which a cancel may arrive.
      await new Promise((resolve) => setTimeout(resolve, 0));
      if (lab.cancelled.delete(message.id)) return { done: true, cancelled: true };
    }
    return { done: true };
  },

  cancel(lab, { target }) {
    lab.cancelled.add(target);
    return {};
  },
};

function asLayers(layers, params) {
  return layers.map(({ fanIn, units, weight, bias, end }) => ({
    weight: Array.from({ length: fanIn }, (_, row) => Array.from(params.subarray(weight + row * units, weight + (row + 1) * units))),
    bias: Array.from(params.subarray(bias, end)),
  }));
}

function pick({ scales, rates, steps, seeds }) {
  return { scales, rates, steps, seeds };
}

function requireLoaded(lab) {
  if (lab.sides.length === 0) throw new Error("load must come first, got a message before it");
}

function dataOf(lab, { task, own }) {
  if (task === "own") return makeData(own.map((point) => point.slice(0, 2)), own.map((point) => point[2]));
  if (!Object.hasOwn(lab.tasks, task)) throw new Error(`init must bring the task's points, got none of ${task}`);
  return makeData(lab.tasks[task].x, lab.tasks[task].y);
}

function withCurve(ensemble) {
  const curve = { step: [], loss: [], accuracy: [] };
  record(curve, ensemble);
  return { ensemble, curve };
}

function record(curve, { step, nets }) {
  curve.step.push(step);
  curve.loss.push(nets.map((net) => net.loss));
  curve.accuracy.push(nets.map((net) => net.accuracy));
}

function snapshot(lab, wanted) {
  const want = { ...WANT, ...wanted };
  const sides = lab.sides.map((each, index) => lookAt(each, want.focus[index] ?? 0, want));
  return { step: lab.sides[0].ensemble.step, sides };
}

function lookAt(run, focus, want) {
  const { ensemble } = run;
  const { nets, side, data } = ensemble;
  const net = nets[Math.min(focus, nets.length - 1)];
  const curve = run.curve;
  run.curve = { step: [], loss: [], accuracy: [] };
  evaluate(ensemble, net);
  const losses = nets.map((each) => each.loss);
  return {
    loss: net.loss,
    accuracy: net.accuracy,
    firstNonfinite: net.firstNonfinite,
    ensemble: {
      seeds: nets.map((each) => each.seed),
      loss: Float32Array.from(losses),
      accuracy: Float32Array.from(nets, (each) => each.accuracy),
      constantLoss: data.constantLoss,
      ...countTrained(losses, data.constantLoss),
    },
    curve,
    layers: measureLayers(ensemble, net, want.bins),
    maps: want.grid > 1 ? unitMaps(side, net.params, want.grid, want.bounds) : null,
  };
}

/** The buffers of all typed arrays in a reply, which are handed over and not copied. */
function buffersOf(value, found = new Set()) {
  if (ArrayBuffer.isView(value)) found.add(value.buffer);
  else if (typeof value === "object" && value !== null) Object.values(value).forEach((each) => buffersOf(each, found));
  return [...found];
}
