/** The gallery: starts that are good or bad, with the reason of each. */
import { GALLERY } from "../lab/gallery.js";
import { h } from "./dom.js";

/**
 * @param {(entry: object) => void} open
 * @returns {{element: Element, mark: (name: string|null) => void}}
 */
export function createCards(open) {
  const buttons = GALLERY.map((entry) => {
    const attributes = { type: "button", class: "entry", "data-name": entry.name, "aria-pressed": "false", click: () => open(entry) };
    return h("button", attributes, h("strong", {}, entry.title), h("span", {}, entry.sentence));
  });
  const element = h("ul", { class: "cards" }, ...buttons.map((each) => h("li", {}, each)));
  return {
    element,
    mark(name) {
      buttons.forEach((each) => each.setAttribute("aria-pressed", String(each.dataset.name === name)));
    },
  };
}
