/** The state of the page: one value, changed as a whole, kept in the address. */

/**
 * @param {object} initial a whole state
 * @param {(state: object) => object} check gives a whole copy, or throws and says what is wrong
 * @returns {{get: () => object, set: (state: object) => void,
 *   change: (edit: (draft: object) => void) => void, subscribe: (listener: Function) => void}}
 *   `set` and `change` throw what `check` throws, and change nothing then
 */
export function createStore(initial, check) {
  let state = initial;
  const listeners = [];
  const store = {
    get: () => state,
    set(next) {
      const checked = check(next);
      const before = state;
      state = checked;
      listeners.forEach((listener) => listener(state, before));
    },
    change(edit) {
      const draft = structuredClone(state);
      edit(draft);
      store.set(draft);
    },
    subscribe: (listener) => listeners.push(listener),
  };
  return store;
}

/** The state as an address's hash. */
export function toHash(state) {
  return `#${encodeURIComponent(JSON.stringify(state))}`;
}

/**
 * @param {string} hash of an address
 * @returns {object|null} what it says, not yet checked; null where it says nothing
 * @throws {Error} where it is no state's
 */
export function fromHash(hash) {
  const text = hash.replace(/^#/, "");
  return text ? parseState("the address after #", text, decodeURIComponent) : null;
}

/**
 * @param {string} name of the text, for the error
 * @param {string} text
 * @param {(text: string) => string} [decode]
 * @returns {object} what it says, not yet checked
 * @throws {Error} where it is no JSON
 */
export function parseState(name, text, decode = (each) => each) {
  try {
    return JSON.parse(decode(text));
  } catch {
    throw new Error(`${name} must be a state as JSON, got ${text.slice(0, 60)}`);
  }
}
