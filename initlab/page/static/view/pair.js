/** Both sides at once: a worker for each, so that B does not wait for A. */
import { createClient } from "./client.js";

/**
 * @param {object} tasks what each task's points are
 * @returns {{ask: (type: string, content: object) => Promise<object>}} load, step, rewind and look
 *   as the worker has them; a snapshot holds both sides, and the milliseconds of the slower one's step
 */
export function createPair(tasks) {
  const clients = [createClient(tasks), createClient(tasks)];
  let count = 1;

  async function ask(type, content) {
    const { state, want, ...rest } = content;
    if (state) count = state.sides.length;
    const parts = clients.slice(0, count).map((client, side) => {
      const part = { ...rest, want: { ...want, focus: [want.focus[side]] } };
      if (state) part.state = { ...state, sides: [state.sides[side]] };
      return client.ask(type, part);
    });
    const snapshots = await Promise.all(parts);
    const cost = Math.max(...snapshots.map((snapshot) => snapshot.cost ?? 0));
    return { step: snapshots[0].step, cost, sides: snapshots.flatMap((snapshot) => snapshot.sides) };
  }
  return { ask };
}
