/** One clock for both sides: it asks for the next steps while the last ones are drawn. */
import { isStill } from "./theme.js";

/** Steps a second. */
export const SPEEDS = [5, 20, 60, 240, 960, 3840];

/** Milliseconds that a worker may take for the steps of one picture. */
const BUDGET = 10;

/** Pictures that may be under way: a worker that is late once then leaves no frame without one. */
const AHEAD = 2;

/** A frame that comes a little early makes its step all the same. */
const SLACK = 0.25;

/**
 * @param {object} client of the workers that train
 * @param {(histograms: boolean) => object} want what a snapshot must hold
 * @param {{snapshot: (snapshot: object, isFirst: boolean) => void, playing: (isPlaying: boolean) => void,
 *   failure: (error: Error) => void}} hear
 * @returns {object} load, step, rewind, look, play, pause, toggle, setSpeed, speedIndex, isPlaying
 */
export function createClock(client, want, hear) {
  let [isPlaying, speed] = [false, 3];
  // What was asked before the last load is not drawn any more.
  let era = 0;
  // Snapshots that are asked for, and those that wait for their frame: AHEAD of them in all.
  let [flying, ready] = [0, []];
  let [before, due, frames] = [0, 0, 0];
  // What one step takes the slower worker, in milliseconds, so that no picture waits for many.
  let cost = 0;
  // The last step that was asked for, and the one at which it stops by itself.
  let [at, goal] = [0, Infinity];

  async function ask(type, content, isFirst) {
    const mine = era;
    try {
      const snapshot = await client.ask(type, content);
      if (mine !== era) return;
      at = Math.max(at, snapshot.step);
      hear.snapshot(snapshot, isFirst);
    } catch (error) {
      if (mine === era) {
        clock.pause();
        hear.failure(error);
      }
    }
  }

  function frame(now) {
    if (!isPlaying) return;
    requestAnimationFrame(frame);
    const shown = ready.shift();
    const rest = isStill() ? 400 : 0;
    if (flying + ready.length < AHEAD && now - before >= rest) {
      due += ((now - before) / 1000) * SPEEDS[speed];
      before = now;
      const most = cost > 0 ? Math.max(Math.floor(BUDGET / cost), 1) : 4;
      const steps = Math.min(Math.floor(due + SLACK), rest ? 40 * most : most, goal - at);
      if (steps > 0) {
        // What it could not keep up with is not made up for later.
        due = Math.min(due - steps, 1);
        advance(steps);
      }
    }
    if (shown) hear.snapshot(shown, false);
  }

  async function advance(steps) {
    const mine = era;
    flying += 1;
    frames += 1;
    at += steps;
    try {
      const snapshot = await client.ask("step", { count: steps, want: want(frames % 6 === 0) });
      cost = cost > 0 ? 0.8 * cost + 0.2 * snapshot.cost : snapshot.cost;
      if (mine !== era) return;
      if (isPlaying) ready.push(snapshot);
      else hear.snapshot(snapshot, false);
      if (snapshot.step >= goal) clock.pause();
    } catch (error) {
      if (mine === era) {
        clock.pause();
        hear.failure(error);
      }
    } finally {
      if (mine === era) flying -= 1;
    }
  }

  function begin() {
    era += 1;
    [flying, ready, at] = [0, [], 0];
  }

  const clock = {
    isPlaying: () => isPlaying,
    /** Starts a state anew; it plays on if it was playing. */
    load(state) {
      begin();
      return ask("load", { state, want: want(true) }, true);
    },
    rewind() {
      begin();
      return ask("rewind", { want: want(true) }, true);
    },
    /** The same step, for another net or a finer picture. */
    look: () => ask("look", { want: want(true) }, false),
    step(steps = 1) {
      clock.pause();
      return ask("step", { count: steps, want: want(true) }, false);
    },
    play(until = Infinity) {
      goal = until;
      if (isPlaying) return;
      isPlaying = true;
      before = performance.now();
      due = 0;
      hear.playing(true);
      requestAnimationFrame(frame);
    },
    pause() {
      if (!isPlaying) return;
      ready.forEach((snapshot) => hear.snapshot(snapshot, false));
      [isPlaying, ready] = [false, []];
      hear.playing(false);
    },
    toggle: () => (isPlaying ? clock.pause() : clock.play()),
    setSpeed(index) {
      speed = Math.min(Math.max(index, 0), SPEEDS.length - 1);
      return speed;
    },
    speedIndex: () => speed,
  };
  return clock;
}
