/** Where the network's units are drawn. */

/**
 * @param {object} side depth and width of the hidden layers
 * @param {number} width of the drawing, in pixels
 * @returns {{width: number, height: number, size: number, columns: {x: number, ys: number[]}[]}}
 *   size: of a unit's square; columns: inputs, hidden layers, output; x and ys: of centres
 */
export function layOut(side, width) {
  const layers = side.depth + 2;
  const margin = 22;
  // A bracket and its space stand right of a hidden layer.
  const size = Math.max(11, Math.min(46, (width - 2 * margin) / (layers * 1.5), 380 / (side.width * 1.18)));
  const height = Math.max(side.width * size * 1.18, 110) + 40;
  const gap = (width - 2 * margin - size) / (layers - 1);
  const columns = Array.from({ length: layers }, (_, layer) => {
    const units = layer === 0 ? 2 : layer === layers - 1 ? 1 : side.width;
    const step = layer === 0 ? Math.max(size * 1.6, 40) : size * 1.18;
    const first = (height - 26) / 2 + 6 - ((units - 1) * step) / 2;
    return {
      x: margin + size / 2 + layer * gap,
      ys: Array.from({ length: units }, (__, unit) => first + unit * step),
    };
  });
  return { width, height, size, columns };
}

/**
 * Units that are copies of each other.
 * @param {Int32Array} classes number of the first unit that each equals
 * @returns {number[][]} the units of each group of two or more
 */
export function copies(classes) {
  const groups = new Map();
  classes.forEach((first, unit) => groups.set(first, [...(groups.get(first) ?? []), unit]));
  return [...groups.values()].filter((units) => units.length > 1);
}

/**
 * A bracket that ties units together.
 * @param {number[]} ys their centres
 * @param {number} x where it stands
 * @param {number} tick length of its teeth, which point to the left
 * @returns {string} an SVG path
 */
export function bracket(ys, x, tick) {
  const teeth = ys.map((y) => `M${x - tick} ${y}H${x}`).join("");
  return `${teeth}M${x} ${Math.min(...ys)}V${Math.max(...ys)}`;
}
