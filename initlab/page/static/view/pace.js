/** How many steps a second a training reaches, measured over the last second. */

/** Milliseconds that are measured over, and after which the number is shown anew. */
const [SPAN, ANEW] = [1000, 500];

/**
 * @returns {{seen: (now: number, step: number) => number | null, forget: () => void}} seen: takes the
 *   time in milliseconds and the step that is shown, and answers with steps a second, which change
 *   twice a second; null until there are any
 */
export function createPace() {
  let [marks, shown, since] = [[], null, 0];
  return {
    seen(now, step) {
      if (marks.length === 0) since = now;
      marks.push([now, step]);
      if (now - since >= ANEW) {
        marks = marks.filter(([time]) => now - time <= SPAN);
        const [time, from] = marks[0];
        // After a pause of the browser's, nothing is left to measure from.
        if (time < now) shown = ((step - from) * 1000) / (now - time);
        since = now;
      }
      return shown;
    },
    forget() {
      [marks, shown] = [[], null];
    },
  };
}
