/** Values on hover, and on focus for those who use the keyboard. */
import { h } from "./dom.js";

const bubble = h("div", { class: "tip", id: "tip", role: "tooltip", hidden: true });
const sources = new WeakMap();
let shown = null;

/** Puts the bubble into the page. */
export function connectTips() {
  document.body.append(bubble);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hideTip();
  });
}

/**
 * Shows a text while the pointer is over an element, or the focus on it.
 * @param {Element} element
 * @param {(event?: PointerEvent) => string} text asked at each move; "" shows nothing
 */
export function tip(element, text) {
  sources.set(element, text);
  element.addEventListener("pointermove", (event) => showTip(element, event));
  element.addEventListener("pointerleave", hideTip);
  element.addEventListener("focus", () => {
    if (element.matches(":focus-visible")) showTip(element);
  });
  element.addEventListener("blur", hideTip);
}

/** Shows an element's text beside it, or beside the pointer. */
export function showTip(element, event) {
  const source = sources.get(element);
  const text = source ? source(event) : "";
  if (!text) return hideTip();
  shown = element;
  bubble.textContent = text;
  bubble.hidden = false;
  element.setAttribute("aria-describedby", "tip");
  const box = element.getBoundingClientRect();
  const [x, y] = event ? [event.clientX, event.clientY] : [box.right, box.top];
  const { offsetWidth, offsetHeight } = bubble;
  const left = x + 14 + offsetWidth > innerWidth ? x - 14 - offsetWidth : x + 14;
  bubble.style.left = `${Math.max(left, 4)}px`;
  bubble.style.top = `${Math.max(Math.min(y + 14, innerHeight - offsetHeight - 4), 4)}px`;
  return undefined;
}

/** Hides what is shown. */
export function hideTip() {
  bubble.hidden = true;
  if (shown) shown.removeAttribute("aria-describedby");
  shown = null;
}
