/** The decision of the whole network over the plane, with the data; own points are placed here. */
import { h, sharp } from "./dom.js";
import { short } from "./format.js";
import { paint, trace } from "./paint.js";
import { colors } from "./theme.js";
import { showTip, tip } from "./tooltip.js";

/**
 * A square that holds all points, with a margin.
 * @param {number[][]} x points
 * @returns {number[]} [x1 low, x1 high, x2 low, x2 high]
 */
export function boundsOf(x) {
  const most = x.reduce((size, [first, second]) => Math.max(size, Math.abs(first), Math.abs(second)), 1e-3);
  const edge = Number((1.15 * most).toPrecision(3));
  return [-edge, edge, -edge, edge];
}

/**
 * Draws the data: class 1 as discs, class 0 as diamonds, so that colour is not all that tells.
 * @param {CanvasRenderingContext2D} context
 * @param {{x: number[][], y: number[]}} task
 * @param {number[]} bounds
 * @param {number} width of the square, in pixels
 */
export function drawPoints(context, task, bounds, width) {
  const { low, high, card } = colors();
  const radius = Math.max(width / (task.x.length < 40 ? 45 : 110), 1.8);
  const scale = width / (bounds[1] - bounds[0]);
  context.lineWidth = 0.8;
  context.strokeStyle = card;
  task.x.forEach(([first, second], index) => {
    const [x, y] = [(first - bounds[0]) * scale, width - (second - bounds[2]) * scale];
    context.beginPath();
    if (task.y[index] === 1) context.arc(x, y, radius, 0, 2 * Math.PI);
    else {
      const reach = radius * 1.35;
      context.moveTo(x - reach, y);
      context.lineTo(x, y - reach);
      context.lineTo(x + reach, y);
      context.lineTo(x, y + reach);
      context.closePath();
    }
    context.fillStyle = task.y[index] === 1 ? high : low;
    context.fill();
    context.stroke();
  });
}

/**
 * @param {string} name of the side
 * @param {(point: number[]) => void} place called with [x1, x2] where a point is put
 * @returns {object} element, draw, setData, canvases
 */
export function createBoundary(name, place) {
  const map = h("canvas", { "aria-hidden": "true" });
  const label = `decision of ${name} over the plane; arrow keys move a cross, Enter puts an own point`;
  const points = h("canvas", { tabindex: 0, role: "application", "aria-label": label, class: "points" });
  const element = h("div", { class: "boundary" }, map, points);
  let [task, bounds, maps, width, cross] = [null, null, null, 0, null];

  const toPlane = (x, y) => {
    const scale = (bounds[1] - bounds[0]) / width;
    return [bounds[0] + x * scale, bounds[2] + (width - y) * scale].map((value) => Number(value.toFixed(3)));
  };

  function read(x, y) {
    if (!maps || !bounds) return "";
    const [first, second] = toPlane(x, y);
    const cell = (value) => Math.min(Math.max(Math.floor((value / width) * maps.size), 0), maps.size - 1);
    const chance = maps.probability[cell(width - y) * maps.size + cell(x)];
    return `x₁ ${short(first)}, x₂ ${short(second)}\nP(blue) ${short(chance)}`;
  }

  function drawData() {
    width = Math.max(Math.round(element.clientWidth), 120);
    element.style.height = `${width}px`;
    const context = sharp(points, width, width);
    context.clearRect(0, 0, width, width);
    if (task) drawPoints(context, task, bounds, width);
    if (!cross) return;
    context.strokeStyle = colors().ink;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(cross[0] - 8, cross[1]);
    context.lineTo(cross[0] + 8, cross[1]);
    context.moveTo(cross[0], cross[1] - 8);
    context.lineTo(cross[0], cross[1] + 8);
    context.stroke();
  }

  function draw(next) {
    if (next) maps = next;
    if (!maps || !width) return;
    const context = sharp(map, width, width);
    const square = { x: 0, y: 0, width };
    paint(context, maps.probability, 0, maps.size, (chance) => 1.4 * chance - 0.7, square);
    context.beginPath();
    trace(context, maps.probability, 0, maps.size, 0.5, square);
    context.strokeStyle = colors().ink;
    context.lineWidth = 2;
    context.stroke();
  }

  tip(points, (event) => {
    if (!event) return cross ? read(...cross) : "";
    const box = points.getBoundingClientRect();
    return read(event.clientX - box.left, event.clientY - box.top);
  });
  points.addEventListener("click", (event) => {
    const box = points.getBoundingClientRect();
    place(toPlane(event.clientX - box.left, event.clientY - box.top));
  });
  points.addEventListener("keydown", (event) => {
    const way = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (!way && event.key !== "Enter") return;
    event.preventDefault();
    cross ??= [width / 2, width / 2];
    if (event.key === "Enter") place(toPlane(...cross));
    else {
      const step = event.shiftKey ? 1 : width / 20;
      cross = cross.map((value, axis) => Math.min(Math.max(value + way[axis] * step, 0), width));
      drawData();
      showTip(points);
    }
  });
  points.addEventListener("blur", () => {
    cross = null;
    drawData();
  });

  new ResizeObserver(() => {
    if (Math.max(Math.round(element.clientWidth), 120) === width) return;
    drawData();
    draw();
  }).observe(element);

  return {
    element,
    draw,
    setData(nextTask, nextBounds) {
      [task, bounds] = [nextTask, nextBounds];
      drawData();
      draw();
    },
    picture: () => [map, points],
  };
}
