/**
 * The table of cases. Letters as everywhere in relpos: B batch (always 1 here), H query heads, G key/value heads, L queries,
 * S keys, D head width.
 */

const SHAPES = [
  { L: 128, H: 12, D: 64 },
  { L: 512, H: 12, D: 64 },
  { L: 1024, H: 8, D: 64 },
  { L: 2048, H: 8, D: 128 },
];

const name = ({ L, H, D }) => `${L}x${H}x${D}`;

const attention = (shape, extra) => ({ kind: 'attention', G: shape.H, S: shape.L, causal: false, ...shape, ...extra });

const full = SHAPES.map((shape) => attention(shape, { id: `attention/${name(shape)}` }));

const causal = SHAPES.map((shape) => attention(shape, { id: `causal/${name(shape)}`, causal: true }));

/** The peers get the bias as a dense tensor, relpos gets the table; it also runs without bias, for the cost of the bias. */
const t5Bias = attention(SHAPES[1], {
  id: `t5-bias/${name(SHAPES[1])}`,
  t5: { buckets: 32, maxDistance: 128, bidirectional: true },
});

const prefill = attention({ L: 512, H: 32, D: 64 }, { id: 'prefill/512xH32G8x64', G: 8, causal: true, rotary: { theta: 10000 } });

const decode = [
  { past: 511, D: 64 },
  { past: 2047, D: 64 },
  { past: 4095, D: 128 },
].map(({ past, D }) => ({
  id: `decode/${past}xH32G8x${D}`,
  kind: 'decode',
  H: 32,
  G: 8,
  L: 1,
  S: past + 1,
  D,
  causal: false,
}));

const rotation = [
  { L: 512, H: 32, D: 64 },
  { L: 2048, H: 32, D: 128 },
].map((shape) => ({ id: `rotary/${name(shape)}`, kind: 'rotary', ...shape, rotary: { theta: 10000 } }));

export const CASES = [...full, ...causal, t5Bias, prefill, ...decode, ...rotation];

/** The case for measuring cold starts: small enough that the start dominates. */
export const COLD_CASE = attention({ L: 16, H: 12, D: 64 }, { id: 'cold/16x12x64' });

const BYTES = { f32: 4, i16: 2, i8: 1 };

/**
 * What one run of a case amounts to. Attention counts 4·L·S·H·D whatever the mask, decode the keys and values it must
 * read, as they are stored, a rotation one read and one write of its tensor. `part` of it has to be done: visible pairs.
 */
export function work({ kind, L, S, H, G, D, causal }, storage = 'f32') {
  if (kind === 'decode') return { amount: 2 * S * G * D * BYTES[storage], unit: 'GB/s', traffic: 'read', part: 1 };
  if (kind === 'rotary') return { amount: 2 * L * H * D * BYTES.f32, unit: 'GB/s', traffic: 'copy', part: 1 };
  return { amount: 4 * L * S * H * D, unit: 'GFLOP/s', part: causal ? (2 * S - L + 1) / (2 * S) : 1 };
}
