/** A plain float64 evaluation of a few rows of a case, from the formula; every peer is checked against it before timing. */
import { rotaryAngle, t5Bucket } from './positions.mjs';

const MAX_ROWS = 12;

/** Up to MAX_ROWS query rows, always with the first and the last. */
function checkedRows(L) {
  const count = Math.min(L, MAX_ROWS);
  return Array.from({ length: count }, (_, n) => (count === 1 ? 0 : Math.round((n * (L - 1)) / (count - 1))));
}

const row = (data, index, D) => Float64Array.from(data.subarray(index * D, (index + 1) * D));

const dot = (a, b) => a.reduce((sum, x, d) => sum + x * b[d], 0);

/** Rotates one row, channel i with channel i + D/2. */
function rotate(x, position, testCase) {
  const half = x.length / 2;
  const rotated = new Float64Array(x.length);
  for (let i = 0; i < half; i++) {
    const angle = rotaryAngle(position, i, testCase);
    rotated[i] = x[i] * Math.cos(angle) - x[i + half] * Math.sin(angle);
    rotated[i + half] = x[i + half] * Math.cos(angle) + x[i] * Math.sin(angle);
  }
  return rotated;
}

/** The keys of one head, rotated if the case says so. */
function keysOfHead({ k }, g, testCase) {
  const { S, D, rotary } = testCase;
  return Array.from({ length: S }, (_, j) => {
    const key = row(k, g * S + j, D);
    return rotary ? rotate(key, j, testCase) : key;
  });
}

function attendRow(testCase, inputs, keys, h, i) {
  const { H, G, L, S, D, causal, t5, rotary } = testCase;
  const raw = row(inputs.q, h * L + i, D);
  const query = rotary ? rotate(raw, i + S - L, testCase) : raw;
  const visible = causal ? i + S - L + 1 : S;
  const scores = Float64Array.from({ length: visible }, (_, j) => {
    const bias = t5 ? inputs.table[t5Bucket(j - i, t5) * H + h] : 0;
    return dot(query, keys[j]) / Math.sqrt(D) + bias;
  });
  const max = scores.reduce((a, b) => Math.max(a, b));
  const weights = scores.map((score) => Math.exp(score - max));
  const sum = weights.reduce((a, b) => a + b);
  const out = new Float64Array(D);
  const g = Math.floor(h / (H / G));
  for (let j = 0; j < visible; j++) {
    for (let d = 0; d < D; d++) out[d] += (weights[j] / sum) * inputs.v[(g * S + j) * D + d];
  }
  return out;
}

function attentionRows(testCase, inputs) {
  const { H, G, L } = testCase;
  const rows = [];
  for (let g = 0; g < G; g++) {
    const keys = keysOfHead(inputs, g, testCase);
    for (let h = (g * H) / G; h < ((g + 1) * H) / G; h++) {
      for (const i of checkedRows(L)) rows.push({ h, i, expected: attendRow(testCase, inputs, keys, h, i) });
    }
  }
  return rows;
}

/** `repeat` rotations one after the other, as the chained graphs do, are one rotation by `repeat` times the angle. */
function rotaryRows(testCase, { x }, repeat) {
  const { H, L, D } = testCase;
  const rows = [];
  for (let h = 0; h < H; h++) {
    for (const i of checkedRows(L)) rows.push({ h, i, expected: rotate(row(x, h * L + i, D), i * repeat, testCase) });
  }
  return rows;
}

const rms = (x) => Math.sqrt(dot(x, x) / x.length);

const larger = (a, b) => (b <= a ? a : b); // takes a NaN, which then stays

/**
 * How far an output is from the float64 evaluation of its checked rows: `absolute`, the largest difference, and `relative`, the largest of a row
 * over the row's root mean square.
 *
 * @param output as `layout` says: `bhld` is [H, L, D], `blhd` is [L, H, D]
 * @param repeat how often a rotation was applied
 */
export function deviation(testCase, inputs, output, layout, repeat) {
  const { kind, H, L, D } = testCase;
  if (output.length !== H * L * D) return { absolute: Number.POSITIVE_INFINITY, relative: Number.POSITIVE_INFINITY };
  const rows = kind === 'rotary' ? rotaryRows(testCase, inputs, repeat) : attentionRows(testCase, inputs);
  let [absolute, relative] = [0, 0];
  for (const { h, i, expected } of rows) {
    const start = (layout === 'bhld' ? h * L + i : i * H + h) * D;
    const error = expected.reduce((worst, value, d) => larger(worst, Math.abs(output[start + d] - value)), 0);
    absolute = larger(absolute, error);
    relative = larger(relative, error / rms(expected));
  }
  return { absolute, relative };
}
