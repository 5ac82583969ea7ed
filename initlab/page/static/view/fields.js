/** Labelled fields: choices, counts and sliders on a logarithmic scale. */
import { h } from "./dom.js";
import { rounded, short } from "./format.js";

let count = 0;

function labelled(label, control, extra) {
  count += 1;
  control.id = `field-${count}`;
  return h("div", { class: "field" }, h("label", { for: control.id }, label), h("div", { class: "control" }, control, extra));
}

/**
 * @param {string} label
 * @param {Record<string, {title: string, sentence?: string}>} choices by value
 * @param {(value: string) => void} change
 * @returns {{element: Element, set: (value: string) => void}}
 */
export function choice(label, choices, change) {
  const options = Object.entries(choices).map(([value, { title, sentence }]) => h("option", { value, title: sentence }, title));
  const select = h("select", { change: () => change(select.value) }, ...options);
  return {
    element: labelled(label, select),
    set(value) {
      select.value = value;
    },
  };
}

/**
 * A whole number by a slider that says its value.
 * @returns {{element: Element, set: (value: number) => void}}
 */
export function whole(label, [least, most], change) {
  // The slider itself says it to a screen reader.
  const output = h("span", { class: "value", "aria-hidden": "true" });
  const show = () => {
    output.textContent = slider.value;
  };
  const slider = h("input", { type: "range", min: least, max: most, step: 1, input: show, change: () => change(Number(slider.value)) });
  return {
    element: labelled(label, slider, output),
    set(value) {
      slider.value = value;
      show();
    },
  };
}

/**
 * A number by a slider on a logarithmic scale, and by a box where it can be written.
 * @param {string} label
 * @param {{decades: [number, number], zero?: boolean, sign?: boolean}} scale zero: whether the
 *   slider's left end is 0; sign: whether the box takes negative numbers, whose sign the slider keeps
 * @param {(value: number) => void} change while it is dragged, too
 * @returns {{element: Element, set: (value: number) => void, show: (isShown: boolean) => void}}
 */
export function logarithmic(label, { decades: [least, most], zero = false, sign = false }, change) {
  const steps = 20;
  const end = zero ? least * steps - 1 : least * steps;
  let [value, isNegative] = [1, false];
  const slider = h("input", { type: "range", min: end, max: most * steps, step: 1 });
  const box = h("input", { type: "number", step: "any", min: sign ? null : 0, "aria-label": `${label}, written`, class: "number" });
  const show = () => {
    slider.value = value === 0 ? end : Math.round(Math.log10(Math.abs(value)) * steps);
    slider.setAttribute("aria-valuetext", short(value));
    if (document.activeElement !== box) box.value = String(rounded(value, 6));
  };
  // `set` answers what is taken; what is refused leaves the value of before.
  const take = (next) => {
    if (Number.isFinite(next) && next !== value) change(next);
    show();
  };
  slider.addEventListener("input", () => {
    const place = Number(slider.value);
    const size = zero && place === end ? 0 : rounded(10 ** (place / steps));
    take(isNegative && size ? -size : size);
  });
  box.addEventListener("change", () => {
    if (box.value !== "") take(Number(box.value));
  });
  box.addEventListener("blur", show);
  const element = labelled(label, slider, box);
  element.classList.add("log");
  return {
    element,
    set(next) {
      // At 0 a slider is on its way from one size to another.
      isNegative = sign && (next < 0 || (isNegative && next === 0));
      value = next;
      show();
    },
    show(isShown) {
      element.hidden = !isShown;
    },
  };
}

/** A button. */
export function button(text, click, attributes = {}) {
  return h("button", { type: "button", ...attributes, click }, text);
}
