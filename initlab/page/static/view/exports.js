/** What can be taken away: the state, the curves, the picture, and a program in Python. */
import { describeRest, NAMES } from "./side.js";
import { describeStart } from "./start.js";
import { colors } from "./theme.js";

/** Hands a file to the reader. */
export function download(name, blob) {
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  [link.href, link.download] = [address, name];
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** The state as a JSON file's text. */
export function stateText(state) {
  return `${JSON.stringify(state, null, 2)}\n`;
}

/** The curves as CSV. */
export function curvesText(rows) {
  return `${["side,seed,step,loss,accuracy", ...rows.map((row) => row.join(","))].join("\n")}\n`;
}

function load(address) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.addEventListener("load", () => resolve(image));
    image.addEventListener("error", () => reject(new Error("the picture could not be drawn")));
    image.src = address;
  });
}

function asImage(drawing) {
  const copy = drawing.cloneNode(true);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", drawing.clientWidth);
  copy.setAttribute("height", drawing.clientHeight);
  copy.setAttribute("font-family", "sans-serif");
  return load(`data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`);
}

/**
 * The networks, what they decide, and their curves as one picture.
 * @param {object} state
 * @param {number} step
 * @param {object[]} sides pictures of each side
 * @param {Element[]} plots of plotly
 * @returns {Promise<Blob>} a PNG
 */
export async function picture(state, step, sides, plots) {
  const { ink, card, soft } = colors();
  const [scale, margin, plane] = [2, 24, 220];
  const drawn = await Promise.all(sides.map(async ({ network, boundary }) => {
    const { canvas, svg } = network;
    return { canvas, svg: await asImage(svg), width: svg.clientWidth, height: svg.clientHeight, boundary };
  }));
  const inner = Math.max(...drawn.map(({ width }) => width + 20 + plane), 900);
  const heights = drawn.map(({ height }) => Math.max(height, plane) + 66);
  const sheet = document.createElement("canvas");
  const chartHeight = 240;
  sheet.width = scale * (inner + 2 * margin);
  sheet.height = scale * (heights.reduce((sum, each) => sum + each, 0) + chartHeight + 2 * margin);
  const context = sheet.getContext("2d");
  context.scale(scale, scale);
  context.fillStyle = card;
  context.fillRect(0, 0, sheet.width, sheet.height);
  let top = margin;
  drawn.forEach(({ canvas, svg, width, height, boundary }, index) => {
    context.fillStyle = ink;
    context.font = "600 17px sans-serif";
    context.fillText(`${NAMES[index]}: ${describeStart(state.sides[index])}`, margin, top + 16);
    context.fillStyle = soft;
    context.font = "13px sans-serif";
    context.fillText(`${describeRest(state.sides[index])}; ${state.task}, seed ${state.seed}, step ${step}`, margin, top + 36);
    context.drawImage(canvas, margin, top + 46, width, height);
    context.drawImage(svg, margin, top + 46, width, height);
    boundary.forEach((layer) => layer.width && context.drawImage(layer, margin + width + 20, top + 46, plane, plane));
    top += heights[index];
  });
  const half = (inner - 20) / 2;
  const charts = await Promise.all(plots.map(async (plot) => load(await Plotly.toImage(plot, { format: "svg", width: half, height: chartHeight }))));
  charts.forEach((chart, index) => context.drawImage(chart, margin + index * (half + 20), top, half, chartHeight));
  return new Promise((resolve, reject) => {
    sheet.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the picture is too large for this browser"))), "image/png");
  });
}
