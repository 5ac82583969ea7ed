/** Light or dark: the system's choice, until the reader makes one. */

const listeners = [];
let cached = null;

/** Whether the page is dark now. */
export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Whether the reader has asked the system for less motion. */
export function isStill() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** Calls when light and dark change places. */
export function onTheme(listener) {
  listeners.push(listener);
}

/**
 * The style sheet's colours, for canvases and charts.
 * @returns {{ink: string, soft: string, line: string, card: string, low: string, high: string,
 *   middle: string, sides: string[], classes: string[]}} low and high: of negative and positive
 *   values, as CSS colours
 */
export function colors() {
  if (cached) return cached;
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  cached = {
    ink: read("ink"),
    soft: read("soft"),
    line: read("line"),
    card: read("card"),
    low: read("low"),
    high: read("high"),
    middle: read("middle"),
    sides: [read("side-a"), read("side-b")],
    classes: [1, 2, 3, 4, 5, 6].map((number) => read(`class-${number}`)),
  };
  return cached;
}

function changed() {
  cached = null;
  listeners.forEach((listener) => listener());
}

/** Makes a button switch between light and dark. */
export function connectTheme(button) {
  const show = () => {
    button.setAttribute("aria-pressed", String(isDark()));
  };
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    show();
    changed();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    show();
    changed();
  });
  show();
}
