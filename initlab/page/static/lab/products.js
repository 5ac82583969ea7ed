/**
 * The three products of a dense layer over rows of examples: its output and its two gradients.
 *
 * Sums run in float64 and are stored in float32. Each unit's sum runs in one order, which depends on
 * the number of terms alone, so that equal units stay equal to the last bit; which sums are computed
 * side by side, to read the rows less often, changes none of them.
 */

/**
 * `z[j] = sum_i weight[i, j] h[i] + bias[j]`.
 * @param {Float32Array} params - of the network.
 * @param {object} layer - of `layoutOf`.
 * @param {Float32Array} h - inputs [fan_in, examples].
 * @param {Float32Array} z - [units, examples], written.
 * @param {number} examples - how many.
 * @returns {void}
 */
export function sumInputs(params, { fanIn, units, weight, bias }, h, z, examples) {
  for (let unit = 0; unit < units; unit += 2) {
    sumRows(params, weight + unit, units, fanIn, 1, h, z, unit, Math.min(2, units - unit), examples);
  }
  for (let unit = 0; unit < units; unit++) {
    const [offset, from] = [params[bias + unit], unit * examples];
    if (offset !== 0) for (let p = 0; p < examples; p++) z[from + p] += offset;
  }
}

/**
 * `before[i] = slope[i] sum_j weight[i, j] delta[j]`.
 * @param {Float32Array} params - of the network.
 * @param {object} layer - of `layoutOf`.
 * @param {Float32Array} delta - dL/dz of the layer [units, examples].
 * @param {Float32Array} slope - phi'(z) of the layer before [fan_in, examples].
 * @param {Float32Array} before - dL/dz of the layer before, written.
 * @param {number} examples - how many.
 * @returns {void}
 */
export function sumOutputs(params, { fanIn, units, weight }, delta, slope, before, examples) {
  for (let input = 0; input < fanIn; input += 2) {
    const pair = Math.min(2, fanIn - input);
    sumRows(params, weight + input * units, 1, units, units, delta, before, input, pair, examples);
  }
  for (let place = 0; place < before.length; place++) before[place] *= slope[place];
}

/**
 * `into[i, j] = sum_b h[i, b] delta[j, b]`, and the bias as the weight of an input of 1.
 * @param {object} layer - of `layoutOf`.
 * @param {Float32Array} h - inputs [fan_in, examples].
 * @param {Float32Array} delta - dL/dz of the layer [units, examples].
 * @param {number} examples - how many.
 * @param {Float32Array} into - the gradient of all params, of which the layer's is written.
 * @returns {void}
 */
export function sumExamples({ fanIn, units, weight, bias }, h, delta, examples, into) {
  for (let unit = 0; unit < units; unit += 2) {
    // Of an odd number the last one is its own neighbour, and written twice.
    const other = Math.min(unit + 1, units - 1);
    const [d0, d1] = [unit * examples, other * examples];
    let total0 = 0;
    let total1 = 0;
    for (let p = 0; p < examples; p++) {
      total0 += delta[d0 + p];
      total1 += delta[d1 + p];
    }
    into[bias + unit] = total0;
    into[bias + other] = total1;
    for (let input = 0; input < fanIn; input += 2) {
      const next = Math.min(input + 1, fanIn - 1);
      const [r0, r1] = [input * examples, next * examples];
      let sum00 = 0;
      let sum01 = 0;
      let sum10 = 0;
      let sum11 = 0;
      for (let p = 0; p < examples; p++) {
        const h0 = h[r0 + p];
        const h1 = h[r1 + p];
        const e0 = delta[d0 + p];
        const e1 = delta[d1 + p];
        sum00 += h0 * e0;
        sum01 += h0 * e1;
        sum10 += h1 * e0;
        sum11 += h1 * e1;
      }
      into[weight + input * units + unit] = sum00;
      into[weight + input * units + other] = sum01;
      into[weight + next * units + unit] = sum10;
      into[weight + next * units + other] = sum11;
    }
  }
}

/** `into[row] = sum_k params[at + k stride] terms[k]`; the weights of the row after it lie `apart`. */
function sumRows(params, at, stride, terms, apart, h, into, row, pair, examples) {
  const [i0, i1] = [row * examples, (row + pair - 1) * examples];
  const beside = pair === 2 ? apart : 0;
  for (let term = 0; term < terms; term += 4) {
    const count = Math.min(4, terms - term);
    // Weights of 0 for what is beyond the last term: they add exactly nothing to a finite sum.
    const weightAt = (place, k) => (k < count ? params[place + (term + k) * stride] : 0);
    const rowAt = (k) => (term + Math.min(k, count - 1)) * examples;
    const v0 = weightAt(at, 0);
    const v1 = weightAt(at, 1);
    const v2 = weightAt(at, 2);
    const v3 = weightAt(at, 3);
    const w0 = weightAt(at + beside, 0);
    const w1 = weightAt(at + beside, 1);
    const w2 = weightAt(at + beside, 2);
    const w3 = weightAt(at + beside, 3);
    const r0 = rowAt(0);
    const r1 = rowAt(1);
    const r2 = rowAt(2);
    const r3 = rowAt(3);
    if (term === 0) {
      for (let p = 0; p < examples; p++) {
        const h0 = h[r0 + p];
        const h1 = h[r1 + p];
        const h2 = h[r2 + p];
        const h3 = h[r3 + p];
        into[i0 + p] = v0 * h0 + v1 * h1 + v2 * h2 + v3 * h3;
        into[i1 + p] = w0 * h0 + w1 * h1 + w2 * h2 + w3 * h3;
      }
    } else {
      for (let p = 0; p < examples; p++) {
        const h0 = h[r0 + p];
        const h1 = h[r1 + p];
        const h2 = h[r2 + p];
        const h3 = h[r3 + p];
        const first = into[i0 + p] + v0 * h0 + v1 * h1 + v2 * h2 + v3 * h3;
        const second = into[i1 + p] + w0 * h0 + w1 * h1 + w2 * h2 + w3 * h3;
        into[i0 + p] = first;
        into[i1 + p] = second;
      }
    }
  }
}
