/** What need not be drawn at every frame: each part has a turn of its own, so that no frame has much to do. */

/**
 * @param {(() => void)[]} parts each draws one
 * @returns {{one: () => void, all: () => void}} one: draws the part whose turn it is
 */
export function createTurns(parts) {
  let next = 0;
  return {
    one() {
      parts[next]();
      next = (next + 1) % parts.length;
    },
    all: () => parts.forEach((part) => part()),
  };
}
