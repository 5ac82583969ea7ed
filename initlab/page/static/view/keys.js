/** Single keys for the training's buttons, which a reader can switch off. */
import { h } from "./dom.js";

// Speech and switch control write letters that nobody meant as commands (WCAG 2.1.4).
const STORED = "initlab-keys";

/** What the reader chose at an earlier visit; a browser that keeps nothing of a page from a disk throws. */
function read() {
  try {
    return localStorage.getItem(STORED) !== "off";
  } catch {
    return true;
  }
}

function write(isOn) {
  try {
    localStorage.setItem(STORED, isOn ? "on" : "off");
  } catch {
    // It holds for this visit.
  }
}

/**
 * @param {Record<string, HTMLButtonElement>} buttons by the key that presses each
 * @returns {Element} the switch
 */
export function createKeys(buttons) {
  const names = Object.entries(buttons).map(([key, button]) => [key === " " ? "Space" : key, button]);
  const box = h("input", { type: "checkbox", checked: read(), change: () => {
    write(box.checked);
    mark();
  } });

  function mark() {
    for (const [name, button] of names) {
      if (box.checked) button.setAttribute("aria-keyshortcuts", name);
      else button.removeAttribute("aria-keyshortcuts");
    }
  }
  mark();

  document.addEventListener("keydown", (event) => {
    if (!box.checked || event.ctrlKey || event.metaKey || event.altKey) return;
    const button = buttons[event.key === "=" ? "+" : event.key];
    const isWritten = event.target.matches?.("input:not([type=checkbox], [type=radio]), select, textarea");
    // Space is what presses a control that has the focus.
    const isPressed = event.key === " " && event.target.closest?.("input, button, summary, a, label");
    if (!button || isWritten || isPressed) return;
    event.preventDefault();
    button.click();
  });

  const keys = [["space", "play or pause"], ["s", "one step"], ["r", "rewind"], ["n", "new seed"], ["+", "faster"], ["−", "slower"]];
  const list = keys.flatMap(([key, what], index) => [index ? ", " : "", h("kbd", {}, key), ` ${what}`]);
  return h("p", { class: "keys" }, h("label", { class: "check" }, box, "Single keys"), ...list, ".");
}
