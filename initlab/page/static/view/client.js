/** Questions to a worker, answered in their order; a stream answers in many parts. */

/**
 * @param {object} tasks what each task's points are
 * @returns {{ask: (type: string, content?: object) => Promise<object>,
 *   stream: (type: string, content: object, part: (reply: object) => void) => number,
 *   cancel: (target: number) => void}} `ask` rejects with what the worker says is wrong
 */
export function createClient(tasks) {
  const worker = new Worker(new URL("../lab-worker.js", import.meta.url), { type: "module" });
  const waiting = new Map();
  let last = 0;

  worker.addEventListener("message", ({ data }) => {
    const entry = waiting.get(data.id);
    if (!entry) return;
    if (data.type === "error") {
      waiting.delete(data.id);
      entry.reject(new Error(data.message));
    } else if (entry.part) {
      if (data.done) waiting.delete(data.id);
      entry.part(data);
    } else {
      waiting.delete(data.id);
      entry.resolve(data);
    }
  });
  worker.addEventListener("error", (event) => {
    const error = new Error(`the worker stopped: ${event.message}`);
    waiting.forEach((entry) => entry.reject(error));
    waiting.clear();
  });

  function send(type, content, entry) {
    last += 1;
    waiting.set(last, entry);
    worker.postMessage({ ...content, id: last, type });
    return last;
  }

  const client = {
    ask: (type, content = {}) => new Promise((resolve, reject) => send(type, content, { resolve, reject })),
    stream: (type, content, part) =>
      send(type, content, { part, reject: (error) => part({ done: true, error: error.message }) }),
    cancel: (target) => client.ask("cancel", { target }),
  };
  // Where this fails, so does the first question, and says why.
  client.ask("init", { tasks }).catch(() => {});
  return client;
}
