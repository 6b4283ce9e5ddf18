/** relpos as a peer, in a program and in a page alike: `library` is the package's module. */
import { sliceRows } from './inputs.mjs';

/** The tensors live in the engine's memory, as those of an application do; the output is read through a view, uncopied. */
const tensors = (engine, { H, G, L, S, D }, { q, k, v }) => ({
  q: engine.tensor([1, H, L, D], q),
  k: engine.tensor([1, G, S, D], k),
  v: engine.tensor([1, G, S, D], v),
  out: engine.tensor([1, H, L, D]),
});

const entry = (parts) => ({ layout: 'bhld', repeat: 1, ...parts });

const disposeAll = (...resources) => {
  for (const resource of resources) resource.dispose();
};

const rotation = ({ rotary }, { D, rotary: { theta } }) => rotary({ dim: D, theta, layout: 'halves' });

/** A call that is prepared once runs without a promise where there is one thread. */
async function prepared(engine, q, k, v, options) {
  const call = await engine.prepare(q, k, v, options);
  return engine.capabilities.threads === 1 ? () => call.runSync() : () => call.run();
}

/** Longest square that is also run as a prepared call: what that saves is microseconds. */
const LONGEST_PREPARED = 128;

async function attendPrepared(engine, testCase, inputs) {
  const { q, k, v, out } = tensors(engine, testCase, inputs);
  const call = await prepared(engine, q, k, v, { causal: testCase.causal, out });
  const run = async () => {
    await call();
    return out.view();
  };
  return entry({ variant: 'prepared attention', run, dispose: () => disposeAll(q, k, v, out) });
}

function attend(engine, testCase, inputs, { variant = 'attention', encoding, differs } = {}) {
  const { q, k, v, out } = tensors(engine, testCase, inputs);
  const options = { causal: testCase.causal, out, ...(encoding && { encoding }) };
  const run = async () => {
    await engine.attention(q, k, v, options);
    return out.view();
  };
  return entry({ variant, differs, run, dispose: () => disposeAll(q, k, v, out) });
}

function attentionVariants(library, testCase, { table }) {
  if (testCase.rotary) return [{ variant: 'attention with rotary', encoding: rotation(library, testCase) }];
  if (!testCase.t5) return [{}];
  return [
    { variant: 'attention with t5', encoding: library.t5({ heads: testCase.H, ...testCase.t5, table }) },
    { variant: 'attention without bias', differs: { t5: undefined } },
  ];
}

/** What a cache may store its rows as; f32 is what the other packages have. */
const STORAGES = ['f32', 'i16', 'i8'];

const cacheOf = (engine, { G, S, D }, dtype) => engine.kvCache({ batch: 1, heads: G, headDim: D, capacity: S, dtype });

/** Why there is no such cache, in words; undefined if there is. */
function noCache(engine, dtype) {
  try {
    cacheOf(engine, { G: 1, S: 1, D: 8 }, dtype).dispose();
    return undefined;
  } catch (error) {
    return error.message;
  }
}

/** Each run of a prepared call appends one token to a cache that holds all others and attends; then the token is taken back. */
async function decodeWithCache(engine, testCase, { q, k, v }, storage) {
  const { H, G, S, D } = testCase;
  const part = (data, from, to) => engine.tensor([1, G, to - from, D], sliceRows(data, G, S, D, from, to));
  const cache = cacheOf(engine, testCase, storage);
  const past = [part(k, 0, S - 1), part(v, 0, S - 1)];
  cache.append(...past);
  disposeAll(...past);
  const query = engine.tensor([1, H, 1, D], q);
  const newest = [part(k, S - 1, S), part(v, S - 1, S)];
  const out = engine.tensor([1, H, 1, D]);
  const step = await prepared(engine, query, ...newest, { cache, out });
  const run = async () => {
    await step();
    cache.truncate(S - 1);
    return out.view();
  };
  return entry({ variant: `prepared step, ${storage} cache`, storage, run, dispose: () => disposeAll(cache, query, ...newest, out) });
}

function rotate(engine, testCase, { x }, encoding) {
  const { H, L, D } = testCase;
  const input = engine.tensor([1, H, L, D], x);
  const out = engine.tensor([1, H, L, D]);
  const run = async () => {
    await engine.rotate(input, encoding, { out });
    return out.view();
  };
  return entry({ variant: 'rotate', run, dispose: () => disposeAll(input, out) });
}

const PREPARE = {
  attention({ library, engine }, testCase, inputs) {
    const variants = attentionVariants(library, testCase, inputs);
    const builders = variants.map((variant) => () => attend(engine, testCase, inputs, variant));
    const short = testCase.L <= LONGEST_PREPARED && !testCase.rotary && !testCase.t5;
    return { builders: [...builders, ...(short ? [() => attendPrepared(engine, testCase, inputs)] : [])] };
  },
  decode({ engine }, testCase, inputs) {
    const reasons = STORAGES.map((storage) => noCache(engine, storage));
    const caches = STORAGES.filter((_, n) => reasons[n] === undefined);
    return {
      builders: [
        ...caches.map((storage) => () => decodeWithCache(engine, testCase, inputs, storage)),
        () => attend(engine, testCase, inputs, { variant: 'attention, keys and values given' }),
      ],
      skip: reasons.filter(Boolean).join('; '),
    };
  },
  // The arithmetic of a rotation is the same in every precision.
  rotary: ({ library, engine, precision }, testCase, inputs) =>
    precision === 'reproducible'
      ? { builders: [() => rotate(engine, testCase, inputs, rotation(library, testCase))] }
      : { skip: 'a rotation is the same in every precision' },
};

/** @throws Error if the build or this host has no such precision */
export async function relposPeer(library, version, { threads, precision }) {
  const engine = await library.createEngine({ threads, precision });
  if (precision === 'relaxed' && !engine.capabilities.relaxedSimd) throw new Error('this host has no fused relaxed SIMD');
  return {
    name: precision === 'reproducible' ? 'relpos' : `relpos ${precision}`,
    precision,
    version,
    threads: engine.capabilities.threads,
    prepare: (testCase, inputs) => PREPARE[testCase.kind]({ library, engine, precision }, testCase, inputs),
  };
}
