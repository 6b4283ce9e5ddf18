// The cases: each makes its inputs, says how to run and how to check it, and how much work one run is.
import { attentionError, numbers, t5Bucket, turned } from './reference.mjs';

/** The halves and brains nearest to a number, as the engine stores it: it converts, and this reads back. */
const storedAs = (engine, data, dtype) => {
  const tensor = engine.tensor([data.length], data, dtype);
  const read = tensor.toArray();
  tensor.dispose();
  return read;
};

/**
 * A case of attention. `work` counts 4·L·S·H·D operations whatever the mask, and for a single query the keys and values that it has to read.
 */
function attention(name, { H = 12, G = H, L = 1, S = L, D = 64, dtype = 'f32', options = {}, expect = {} }) {
  const decode = L === 1;
  const bytes = dtype === 'f32' ? 4 : 2;
  return {
    name,
    work: decode ? 2 * S * G * D * bytes : 4 * L * S * H * D,
    unit: decode ? 'GB/s' : 'GFLOP/s',
    async prepare(relpos, engine) {
      const given = { q: numbers(H * L * D, 1), k: numbers(G * S * D, 2), v: numbers(G * S * D, 3) };
      const shapes = { q: [1, H, L, D], k: [1, G, S, D], v: [1, G, S, D] };
      const [q, k, v] = ['q', 'k', 'v'].map((x) => engine.tensor(shapes[x], given[x], dtype));
      const inputs =
        dtype === 'f32' ? given : Object.fromEntries(Object.entries(given).map(([x, data]) => [x, storedAs(engine, data, dtype)]));
      const out = engine.tensor([1, H, L, D]);
      const call = { ...(typeof options === 'function' ? options(relpos, { H, D }) : options), out };
      return {
        run: () => engine.attention(q, k, v, call),
        runSync: () => engine.attentionSync(q, k, v, call),
        error: () =>
          attentionError({ H, G, L, S, D, ...(typeof expect === 'function' ? expect({ H, L, S }) : expect) }, inputs, out.toArray()),
        dispose: () => {
          for (const tensor of [q, k, v, out]) tensor.dispose();
        },
      };
    },
  };
}

const causal = { options: { causal: true }, expect: ({ L, S }) => ({ visible: (i, j) => j <= i + S - L }) };
const window = {
  options: { causal: true, window: { left: 255 } },
  expect: ({ L, S }) => ({ visible: (i, j) => j <= i + S - L && j >= i + S - L - 255 }),
};
const rotary = {
  options: ({ rotary: make }, { D }) => ({ encoding: make({ dim: D, theta: 10000, layout: 'halves' }) }),
  expect: { theta: 10000 },
};
const grouped = {
  options: ({ rotary: make }, { D }) => ({ encoding: make({ dim: D, theta: 10000, layout: 'halves' }), causal: true }),
  expect: ({ L, S }) => ({ theta: 10000, visible: (i, j) => j <= i + S - L }),
};
const alibi = {
  options: ({ alibi: make }, { H }) => ({ encoding: make({ heads: H }) }),
  // Twelve heads: the slopes of eight, then every other of sixteen.
  expect: ({ H }) => ({ bias: (h, offset) => -Math.abs(offset) * 2 ** (h < 8 ? (-8 * (h + 1)) / 8 : (-4 * (2 * (h - 8) + 1)) / 8), H }),
};
const table = (H) => numbers(32 * H, 4);
const t5 = {
  options: ({ t5: make }, { H }) => ({ encoding: make({ heads: H, buckets: 32, maxDistance: 128, bidirectional: true, table: table(H) }) }),
  expect: ({ H }) => ({ bias: (h, offset) => table(H)[t5Bucket(offset, 32, 128) * H + h] }),
};

/** A rotation of x [1, H, L, D]; counts one read and one write. */
function rotation(name, { H, L, D }) {
  return {
    name,
    work: 2 * L * H * D * 4,
    unit: 'GB/s',
    async prepare(relpos, engine) {
      const data = numbers(H * L * D, 1);
      const x = engine.tensor([1, H, L, D], data);
      const out = engine.tensor([1, H, L, D]);
      const encoding = relpos.rotary({ dim: D, theta: 10000, layout: 'halves' });
      return {
        run: () => engine.rotate(x, encoding, { out }),
        runSync: () => engine.rotateSync(x, encoding, { out }),
        error() {
          const got = out.toArray();
          let worst = 0;
          for (const [h, i] of [
            [0, 0],
            [0, L - 1],
            [H - 1, L >> 1],
            [H - 1, L - 1],
          ]) {
            const at = (h * L + i) * D;
            turned(Float64Array.from(data.subarray(at, at + D)), i, 10000).forEach((value, d) => {
              const error = Math.abs(got[at + d] - value);
              if (!(error <= worst)) worst = error;
            });
          }
          return worst;
        },
        dispose: () => {
          for (const tensor of [x, out]) tensor.dispose();
        },
      };
    },
  };
}

const squares = (label, more) => [128, 512, 1024].map((L) => attention(`${label} ${L}×12×64`, { L, ...more }));

/** One step with a cache of f32 or f16 keys and values: append, attend, take back. */
function cachedStep(past, dtype) {
  const [H, G, S, D] = [32, 8, past + 1, 64];
  return {
    name: `step ${dtype} cache, 1 of ${S}, ${H}/${G}×${D}`,
    work: 2 * S * G * D * (dtype === 'f32' ? 4 : 2),
    unit: 'GB/s',
    async prepare(_, engine) {
      const given = { q: numbers(H * D, 1), k: numbers(G * S * D, 2), v: numbers(G * S * D, 3) };
      const q = engine.tensor([1, H, 1, D], given.q);
      const [k, v] = [given.k, given.v].map((data) => engine.tensor([1, G, S, D], data));
      const part = (x, from, to) => x.slice(null, null, [from, to]);
      const cache = engine.kvCache({ batch: 1, heads: G, headDim: D, capacity: S, dtype });
      cache.append(part(k, 0, past), part(v, 0, past));
      const [last, value] = [part(k, past, S), part(v, past, S)];
      const out = engine.tensor([1, H, 1, D]);
      const stored = dtype === 'f32' ? given : { q: given.q, k: storedAs(engine, given.k, dtype), v: storedAs(engine, given.v, dtype) };
      return {
        run: async () => {
          await engine.attention(q, last, value, { cache, out });
          cache.truncate(past);
        },
        error: () => attentionError({ H, G, L: 1, S, D }, stored, out.toArray()),
        dispose: () => {
          for (const one of [cache, q, k, v, last, value, out]) one.dispose();
        },
      };
    },
  };
}

const decode = [511, 2047, 4095].map((past) => attention(`decode 1 of ${past + 1}, 32/8×64`, { H: 32, G: 8, S: past + 1 }));

export const OPS = [
  ...squares('none', {}),
  attention('none 2048×8×128', { L: 2048, H: 8, D: 128 }),
  ...squares('causal', causal),
  attention('causal 2048×8×128', { L: 2048, H: 8, D: 128, ...causal }),
  ...squares('window 256', window).slice(1),
  ...squares('t5', t5),
  ...squares('alibi', alibi),
  ...squares('rotary', rotary),
  attention('rotary causal 512×32/8×64', { L: 512, H: 32, G: 8, ...grouped }),
  attention('none f16 512×12×64', { L: 512, dtype: 'f16' }),
  attention('none bf16 512×12×64', { L: 512, dtype: 'bf16' }),
  ...decode,
  ...[511, 2047, 4095].map((past) => cachedStep(past, 'f32')),
  cachedStep(4095, 'f16'),
  attention('decode 1 of 4096 f16, 32/8×64', { H: 32, G: 8, S: 4096, dtype: 'f16' }),
  rotation('rotate 512×32×64', { L: 512, H: 32, D: 64 }),
  rotation('rotate 2048×32×128', { L: 2048, H: 32, D: 128 }),
];

/** One tile each, called synchronously on one thread: the kernel without the pool. */
export const KERNELS = [
  attention('attend 128 queries, 96 keys, D 64', { H: 1, L: 128, S: 96 }),
  attention('attend 128 queries, 960 keys, D 64', { H: 1, L: 128, S: 960 }),
  attention('attend 128 queries, 960 keys, D 128', { H: 1, L: 128, S: 960, D: 128 }),
  attention('attend 128 queries, 960 keys, D 64, f16', { H: 1, L: 128, S: 960, dtype: 'f16' }),
  rotation('rotate 64 rows of 64', { H: 1, L: 64, D: 64 }),
  rotation('rotate 64 rows of 128', { H: 1, L: 64, D: 128 }),
];

export const THREADS = OPS.filter(({ name }) =>
  ['none 512×12×64', 'none 1024×12×64', 'causal 1024×12×64', 'none 2048×8×128', 'causal 2048×8×128', 'rotate 2048×32×128'].includes(name),
);
