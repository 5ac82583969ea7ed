"use strict";
// A dataset drawn over one of its dimensions: one line for each label of another, seeds as a median
// and a band or one by one, all other dimensions by a choice, "step" by a slider.

const data = JSON.parse(document.getElementById("data").textContent);
const form = document.getElementById("controls");
const chart = document.getElementById("chart");
const MOST_LINES = 24;
// Okabe and Ito's colours, which differ for the colour-blind too.
const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#7a7a7a", "#e69f00"];

const size = (name) => data.dimensions[name].length;
const isNumeric = (name) => data.dimensions[name].every((label) => typeof label === "number");

/** A labelled control of the form; what it changes is drawn anew. */
function control(text, element, className = "") {
  const label = document.createElement("label");
  label.className = className;
  // Its name alone: the text of a label around a select has the options in it.
  element.setAttribute("aria-label", text);
  label.append(className ? element : text, className ? text : element);
  element.addEventListener("input", draw);
  form.append(label);
  return element;
}

function choice(text, options, chosen) {
  const select = document.createElement("select");
  for (const [value, shown] of options) select.add(new Option(shown, value, false, value === chosen));
  return control(text, select);
}

function box(text, type, properties) {
  return control(text, Object.assign(document.createElement("input"), { type, ...properties }), type === "checkbox" ? "check" : "");
}

/** Numbers between 0 and 1 of the way through sorted values, between neighbours in proportion. */
function quantile(sorted, share) {
  const place = share * (sorted.length - 1);
  const low = Math.floor(place);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (place - low) * (sorted[high] - sorted[low]);
}

/** Which seeds "0-15, 20" names, as places among those there are; all of them if it is empty. */
function chosenSeeds(text) {
  const labels = data.dimensions.seed;
  if (!text.trim()) return labels.map((_, place) => place);
  const wanted = text.split(",").map((part) => part.trim().split("-").map(Number));
  return labels.flatMap((label, place) =>
    wanted.some(([from, to = from]) => Number(label) >= from && Number(label) <= to) ? [place] : []);
}

let variable, over, lines, seeds, seedText, logX, logY, rest;

/** The controls that the chosen variable needs; others' choices are kept where they still fit. */
function build(name, kept = {}) {
  form.replaceChildren();
  const dims = data.variables[name].dims;
  const several = dims.filter((dim) => size(dim) > 1);
  const plain = several.filter((dim) => dim !== "seed");
  variable = choice("what", Object.keys(data.variables).map((each) => [each, each]), name);
  variable.addEventListener("input", () => { build(variable.value, state()); draw(); });
  const axis = several.includes(kept.over) ? kept.over
    : plain.includes("step") ? "step" : plain.find(isNumeric) ?? plain[0] ?? several[0] ?? "";
  over = choice("over", several.map((dim) => [dim, dim]), axis);
  over.addEventListener("input", () => { build(name, state()); draw(); });
  const others = plain.filter((dim) => dim !== axis);
  const first = kept.lines === "" || others.includes(kept.lines) ? kept.lines
    : others.find((dim) => size(dim) <= MOST_LINES && dim !== "step") ?? "";
  lines = choice("a line for each", [["", "nothing"], ...others.map((dim) => [dim, dim])], first);
  lines.addEventListener("input", () => { build(name, state()); draw(); });
  rest = {};
  for (const dim of others.filter((each) => each !== lines.value)) {
    const last = size(dim) - 1;
    rest[dim] = dim === "step"
      ? box(dim, "range", { min: 0, max: last, step: 1, value: kept.rest?.[dim] ?? last })
      : choice(dim, data.dimensions[dim].map((label, place) => [String(place), String(label)]), kept.rest?.[dim] ?? "0");
  }
  const hasSeeds = several.includes("seed") && axis !== "seed";
  seeds = hasSeeds ? choice("seeds as", [["band", "median, 5 to 95 %"], ["each", "one line each"]], kept.seeds) : null;
  seedText = hasSeeds ? box("which seeds", "text", { placeholder: "all, or 0-15, 20", value: kept.seedText ?? "" }) : null;
  logX = box("log x", "checkbox", { checked: kept.over === axis ? kept.logX : spans(data.dimensions[axis] ?? []) });
  logY = box("log y", "checkbox", { checked: kept.name === name ? kept.logY : spans(data.variables[name].values) });
}

function state() {
  return {
    name: variable.value, over: over.value, lines: lines.value, seeds: seeds?.value, seedText: seedText?.value,
    logX: logX.checked, logY: logY.checked,
    rest: Object.fromEntries(Object.entries(rest).map(([dim, element]) => [dim, element.value])),
  };
}

/** Whether all numbers are above zero and span more than two decades. */
function spans(values) {
  const numbers = values.filter((value) => typeof value === "number");
  let [low, high] = [Infinity, -Infinity];
  for (const value of numbers) { low = Math.min(low, value); high = Math.max(high, value); }
  return low > 0 && high > 100 * low;
}

/** The number at these places, by dimension. */
function at(name, places) {
  const { dims, values } = data.variables[name];
  return values[dims.reduce((sum, dim) => sum * size(dim) + (places[dim] ?? 0), 0)];
}

/** One line of the chart: its label, and for each place on the axis the numbers of the seeds. */
function series() {
  const fixed = Object.fromEntries(Object.entries(rest).map(([dim, element]) => [dim, Number(element.value)]));
  const places = (seeds ? chosenSeeds(seedText.value) : [0]).slice();
  const labels = lines.value ? data.dimensions[lines.value] : [variable.value];
  return labels.slice(0, MOST_LINES).map((label, line) => ({
    label: String(label),
    numbers: (data.dimensions[over.value] ?? [""]).map((_, x) => places.map((seed) => at(variable.value, {
      ...fixed, ...(seeds ? { seed } : {}), ...(lines.value ? { [lines.value]: line } : {}), [over.value]: x,
    }))),
    places,
  }));
}

const shown = (value) => (value === null ? "not finite" : value.toPrecision(4));

function traces() {
  const x = data.dimensions[over.value] ?? [""];
  return series().flatMap(({ label, numbers, places }, line) => {
    const color = COLORS[line % COLORS.length];
    const style = { x, mode: "lines+markers", line: { color }, marker: { size: 4 }, name: label, legendgroup: label };
    if (!seeds || seeds.value === "each") {
      return places.map((place, number) => ({
        ...style, y: numbers.map((each) => each[number]), showlegend: number === 0, opacity: seeds ? 0.6 : 1,
        hovertemplate: `%{y:.4g}<extra>${seeds ? `seed ${data.dimensions.seed[place]}` : "%{fullData.name}"}</extra>`,
      }));
    }
    const sorted = numbers.map((each) => each.filter((value) => value !== null).sort((a, b) => a - b));
    const of = (share) => sorted.map((each) => (each.length ? quantile(each, share) : null));
    const [low, middle, high] = [of(0.05), of(0.5), of(0.95)];
    const text = middle.map((value, n) => `${shown(value)} [${shown(low[n])}, ${shown(high[n])}], ${sorted[n].length} seeds`);
    const edge = { ...style, mode: "lines", line: { width: 0, color }, hoverinfo: "skip", showlegend: false };
    return [
      { ...edge, y: low },
      { ...edge, y: high, fill: "tonexty", fillcolor: `${color}33` },
      { ...style, y: middle, customdata: text, hovertemplate: "%{customdata}<extra>%{fullData.name}</extra>" },
    ];
  });
}

function draw() {
  const css = getComputedStyle(document.documentElement);
  const [ink, soft] = ["--ink", "--line"].map((name) => css.getPropertyValue(name));
  const axis = { gridcolor: soft, zerolinecolor: soft, color: ink, automargin: true };
  // A label is text, and nothing of it markup: plotly reads tags.
  const plain = (text) => text.replaceAll("<", "‹");
  Plotly.react(chart, traces().map((trace) => ({ ...trace, name: plain(trace.name) })), {
    xaxis: { ...axis, title: { text: plain(over.value) }, type: logX.checked ? "log" : over.value && !isNumeric(over.value) ? "category" : "linear" },
    yaxis: { ...axis, title: { text: plain(variable.value) }, type: logY.checked ? "log" : "linear" },
    legend: { title: { text: plain(lines.value) }, font: { color: ink }, orientation: "h", y: -0.2 },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: ink, activecolor: COLORS[1] },
    showlegend: Boolean(lines.value), hovermode: "x unified", hoverlabel: { bgcolor: css.getPropertyValue("--paper"), font: { color: ink } },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { t: 20, r: 10 }, uirevision: over.value + variable.value,
  }, { responsive: true, displaylogo: false });
  const fixed = Object.entries(rest).map(([dim, element]) => `${dim} ${data.dimensions[dim][Number(element.value)]}`);
  const many = lines.value && size(lines.value) > MOST_LINES ? [`the first ${MOST_LINES} of ${size(lines.value)} lines`] : [];
  document.getElementById("said").textContent = [...fixed, data.note, ...many].filter(Boolean).join("; ");
}

form.addEventListener("submit", (event) => event.preventDefault());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
build(Object.keys(data.variables).find((name) => name === "loss") ?? Object.keys(data.variables)[0]);
draw();
