/** relpos itself, as built into dist/. */
import { readFileSync } from 'node:fs';
import { createEngine, rotary, t5 } from '../../../dist/index.js';
import { sliceRows } from '../lib/inputs.mjs';

const version = () => JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')).version;

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

const rotation = ({ D, rotary: { theta } }) => rotary({ dim: D, theta, layout: 'halves' });

function attend(engine, testCase, inputs, { variant = 'attention', encoding, differs } = {}) {
  const { q, k, v, out } = tensors(engine, testCase, inputs);
  const options = { causal: testCase.causal, out, ...(encoding && { encoding }) };
  const run = async () => {
    await engine.attention(q, k, v, options);
    return out.view();
  };
  return entry({ variant, differs, run, dispose: () => disposeAll(q, k, v, out) });
}

function attentionVariants(testCase, { table }) {
  if (testCase.rotary) return [{ variant: 'attention with rotary', encoding: rotation(testCase) }];
  if (!testCase.t5) return [{}];
  return [
    { variant: 'attention with t5', encoding: t5({ heads: testCase.H, ...testCase.t5, table }) },
    { variant: 'attention without bias', differs: { t5: undefined } },
  ];
}

/** Each run appends one token to a cache that holds all others and attends; then the token is taken back. */
function decodeWithCache(engine, testCase, { q, k, v }) {
  const { H, G, S, D } = testCase;
  const part = (data, from, to) => engine.tensor([1, G, to - from, D], sliceRows(data, G, S, D, from, to));
  const cache = engine.kvCache({ batch: 1, heads: G, headDim: D, capacity: S });
  const past = [part(k, 0, S - 1), part(v, 0, S - 1)];
  cache.append(...past);
  disposeAll(...past);
  const query = engine.tensor([1, H, 1, D], q);
  const newest = [part(k, S - 1, S), part(v, S - 1, S)];
  const out = engine.tensor([1, H, 1, D]);
  const run = async () => {
    await engine.attention(query, ...newest, { cache, out });
    cache.truncate(S - 1);
    return out.view();
  };
  return entry({ variant: 'attention with cache', run, dispose: () => disposeAll(cache, query, ...newest, out) });
}

function rotate(engine, testCase, { x }) {
  const { H, L, D } = testCase;
  const input = engine.tensor([1, H, L, D], x);
  const encoding = rotation(testCase);
  const out = engine.tensor([1, H, L, D]);
  const run = async () => {
    await engine.rotate(input, encoding, { out });
    return out.view();
  };
  return entry({ variant: 'rotate', run, dispose: () => disposeAll(input, out) });
}

const BUILDERS = {
  attention: (engine, testCase, inputs) =>
    attentionVariants(testCase, inputs).map((variant) => () => attend(engine, testCase, inputs, variant)),
  decode: (engine, testCase, inputs) => [() => decodeWithCache(engine, testCase, inputs), () => attend(engine, testCase, inputs)],
  rotary: (engine, testCase, inputs) => [() => rotate(engine, testCase, inputs)],
};

export async function createPeer({ threads, relaxed }) {
  const engine = await createEngine({ threads, precision: relaxed ? 'relaxed' : 'reproducible' });
  if (relaxed && !engine.capabilities.relaxedSimd) throw new Error('relpos: this runtime has no relaxed SIMD');
  return {
    name: relaxed ? 'relpos relaxed' : 'relpos',
    version: version(),
    threads: engine.capabilities.threads,
    prepare: (testCase, inputs) => ({ builders: BUILDERS[testCase.kind](engine, testCase, inputs) }),
  };
}
