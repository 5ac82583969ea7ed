/** Numbers as a reader wants them. */

/**
 * Three significant digits, and one less beside an exponent: 0.693, 12.4, 3.2e-7, 1.5e+6.
 * @param {number} value
 * @param {number} [digits]
 * @returns {string} "not finite" for NaN and infinity
 */
export function short(value, digits = 3) {
  if (!Number.isFinite(value)) return "not finite";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e4 || size < 1e-3) {
    return value.toExponential(Math.max(digits - 2, 0)).replace(/\.0e/, "e");
  }
  return String(Number(value.toPrecision(digits)));
}

/** A share as a percentage: "25 %"; what is not all or none is never shown as such: "99.8 %". */
export function percent(share) {
  if (!Number.isFinite(share)) return "–";
  const points = 100 * share;
  if (points > 0 && points < 1) return `${Number(points.toPrecision(1))} %`;
  if (points > 99 && points < 100) return `${100 - Number((100 - points).toPrecision(1))} %`;
  return `${Math.round(points)} %`;
}

/** A whole number with thin spaces between thousands: "12 000". */
export function count(value) {
  return String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** A number with as many digits as a slider can tell: 0.012, 1.2, 350. */
export function rounded(value, digits = 2) {
  return value === 0 ? 0 : Number(value.toPrecision(digits));
}
