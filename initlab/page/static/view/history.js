/** What the runs have been: every net's loss and accuracy, thinned as they get longer. */

const MOST = 2000;

/** @returns {object} clear, add, of(side), rows() */
export function createHistory() {
  let sides = [];
  let stride = 1;

  function thin() {
    stride *= 2;
    sides.forEach((side) => {
      const keep = side.step.map((step, index) => (step % stride === 0 ? index : -1)).filter((index) => index >= 0);
      for (const key of ["step", "loss", "accuracy"]) side[key] = keep.map((index) => side[key][index]);
    });
  }

  return {
    clear() {
      [sides, stride] = [[], 1];
    },
    /** Takes a snapshot's curves: what happened since the last one. */
    add(snapshot) {
      snapshot.sides.forEach(({ curve }, index) => {
        sides[index] ??= { step: [], loss: [], accuracy: [] };
        const side = sides[index];
        const last = side.step.at(-1) ?? -1;
        curve.step.forEach((step, row) => {
          if (step <= last || step % stride !== 0) return;
          side.step.push(step);
          side.loss.push(curve.loss[row]);
          side.accuracy.push(curve.accuracy[row]);
        });
      });
      if (sides.some((side) => side.step.length > MOST)) thin();
    },
    of: (index) => sides[index] ?? { step: [], loss: [], accuracy: [] },
    /** As a table: a line for each side, seed and step that was kept. */
    rows(seeds) {
      return sides.flatMap((side, index) =>
        side.step.flatMap((step, row) =>
          Array.from(side.loss[row], (loss, net) => ["AB"[index], seeds[net], step, loss, side.accuracy[row][net]]),
        ),
      );
    },
  };
}
