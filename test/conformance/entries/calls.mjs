// What the requests of a server do with the engine that they share. Each gives the hash of its outputs, which depends on `seed` alone: a server
// answers with it, and the Node that asks knows it from an engine of its own. `pause(ms)` waits, by the request's own timer where there are
// requests; `signal` is the request's, if there is one.
import { hashBits, numbers } from './conform.mjs';

/** A tensor [1, heads, rows, width] of numbers that follow from the seed. */
const tensor = (engine, seed, rows = 70, heads = 2, width = 32) =>
  engine.tensor([1, heads, rows, width], numbers(heads * rows * width, seed));

/** Runs `use` with q, k and v, and gives their memory back. */
async function withInputs(engine, seed, use, rows, heads, width) {
  const inputs = [0, 1, 2].map((n) => tensor(engine, seed + n, rows, heads, width));
  try {
    return await use(...inputs);
  } finally {
    for (const input of inputs) input.dispose();
  }
}

/** The hash of tensors that are not needed any more. */
function hashOf(...outputs) {
  const hash = hashBits(...outputs.map((output) => output.toArray()));
  for (const output of outputs) output.dispose();
  return hash;
}

const plain = ({ engine, seed }) => withInputs(engine, seed, async (q, k, v) => hashOf(await engine.attention(q, k, v, { causal: true })));

/** A call that is refused must be refused as what it is. */
async function refused(call, name) {
  try {
    await call;
  } catch (error) {
    if (error.name === name || error.message === name) return;
    throw error;
  }
  throw new Error(`expected ${name}`);
}

const shared = new Map();

export const calls = {
  plain,

  /** Seconds, beside those of others, which take less than one millisecond. */
  long: ({ engine, seed, signal }) =>
    withInputs(engine, seed, async (q, k, v) => hashOf(await engine.attention(q, k, v, { causal: true, signal })), 3000, 8, 64),

  /** Several calls at once. */
  together: async (given) => {
    const hashes = await Promise.all([0, 1, 2, 3].map((n) => plain({ ...given, seed: given.seed + n })));
    return hashes.join();
  },

  /** Waits of the request's own between calls that stand on one another. */
  waits: ({ relpos, engine, seed, pause }) =>
    withInputs(engine, seed, async (q, k, v) => {
      const first = await engine.attention(q, k, v);
      await pause(seed % 7);
      const second = await engine.attention(first, k, v);
      await pause(1);
      return hashOf(first, second, await engine.rotate(second, relpos.rotary({ dim: 32, theta: 10000, layout: 'pairs' })));
    }),

  /** A signal that fires too late, one that has fired, one of a timer, the request's own. */
  signal: ({ engine, seed, signal }) =>
    withInputs(engine, seed, async (q, k, v) => {
      const controller = new AbortController();
      const one = await engine.attention(q, k, v, { signal: controller.signal });
      controller.abort();
      await refused(engine.attention(q, k, v, { signal: controller.signal }), 'AbortError');
      const two = await engine.attention(q, k, v, { causal: true, signal: AbortSignal.timeout(60_000) });
      return hashOf(one, two, await engine.attention(q, k, v, { signal }));
    }),

  /** Progress that is told to its end, and a listener that throws. */
  progress: ({ engine, seed }) =>
    withInputs(engine, seed, async (q, k, v) => {
      const told = [];
      const out = await engine.attention(q, k, v, { onProgress: (progress) => told.push(progress) });
      const { done, total } = told.at(-1);
      if (done !== total) throw new Error(`progress ended at ${done} of ${total}`);
      const fails = () => {
        throw new Error('mine');
      };
      await refused(engine.attention(q, k, v, { onProgress: fails }), 'mine');
      return hashOf(out);
    }),

  /** Decoding, token by token. */
  decode: async ({ engine, seed }) => {
    const cache = engine.kvCache({ batch: 1, heads: 2, headDim: 32, capacity: 16 });
    const hashes = [];
    for (let token = 0; token < 6; token++) {
      hashes.push(await withInputs(engine, seed + token, async (q, k, v) => hashOf(await engine.attention(q, k, v, { cache })), 1));
    }
    cache.dispose();
    return hashes.join();
  },

  /** A result that is computed once and kept, as a promise, for all who ask. */
  memo: (given) => {
    const seed = given.seed % 5;
    if (!shared.has(seed)) shared.set(seed, plain({ ...given, seed }));
    return shared.get(seed);
  },

  /** Refusals, between which the engine goes on. */
  wrong: async (given) => {
    await withInputs(given.engine, given.seed, (q, k, v) => refused(given.engine.attention(q, k, v, { scale: 'x' }), 'TypeError'));
    return plain(given);
  },
};
