/**
 * One cold start in a fresh process: import, create, first attention. Prints its times and memory as JSON; run by cold.mjs.
 *
 * Arguments: the contender, and for onnxruntime-web the model in base64, so that building it is not part of the start.
 */
import { COLD_CASE } from './lib/cases.mjs';
import { start } from './lib/cold.mjs';
import { makeInputs } from './lib/inputs.mjs';

const { H, L, S, D } = COLD_CASE;
const inputs = makeInputs(COLD_CASE);
const [contender, model] = process.argv.slice(2);

/** Each returns `{ create, use }`, called in turn between the readings of the clock. */
const CONTENDERS = {
  node: async () => ({ create: () => undefined, use: () => undefined }),

  relpos: async () => {
    const { createEngine } = await import('../../dist/index.js');
    return {
      create: () => createEngine({ threads: 1 }),
      use: async (engine) => {
        const q = engine.tensor([1, H, L, D], inputs.q);
        const k = engine.tensor([1, H, S, D], inputs.k);
        const v = engine.tensor([1, H, S, D], inputs.v);
        return (await engine.attention(q, k, v, {})).toArray();
      },
    };
  },

  'onnxruntime-web': async () => {
    const ort = await import('onnxruntime-web');
    return {
      create: () => {
        ort.env.wasm.numThreads = 1;
        return ort.InferenceSession.create(Buffer.from(model, 'base64'), { executionProviders: ['wasm'] });
      },
      use: async (session) => {
        const feed = (data, length) => new ort.Tensor('float32', data, [1, H, length, D]);
        const feeds = { q: feed(inputs.q, L), k: feed(inputs.k, S), v: feed(inputs.v, S) };
        return (await session.run(feeds)).out.data;
      },
    };
  },
};

await start(CONTENDERS[contender]);
