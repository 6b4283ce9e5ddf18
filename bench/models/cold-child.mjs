/**
 * One cold start in a fresh process: import, load, the first vector of a text of 64 tokens. Prints its times and memory; run by lib/cold.mjs.
 *
 * Arguments: the contender, the folder of each, and the text. Nothing but what is measured is imported before.
 */
import { start } from '../peers/lib/cold.mjs';

const [contender, packed, graph, text] = process.argv.slice(2);

const CONTENDERS = {
  node: async () => ({ create: () => undefined, use: () => undefined }),

  relpos: async () => {
    const { loadEncoder } = await import('../../dist/models/index.js');
    return {
      create: () => loadEncoder(packed, { threads: 1 }),
      use: (encoder) => encoder.embed(text),
    };
  },

  'onnxruntime-web': async () => {
    const { ort } = await import('../peers/lib/web.mjs');
    const { Tokenizer } = await import('@huggingface/tokenizers');
    const { readFile } = await import('node:fs/promises');
    return {
      create: async () => {
        ort.env.wasm.numThreads = 1;
        const [bytes, ...files] = await Promise.all(
          ['model.onnx', 'tokenizer.json', 'tokenizer_config.json'].map((name) => readFile(`${graph}/${name}`)),
        );
        const session = await ort.InferenceSession.create(bytes, { executionProviders: ['wasm'] });
        return { session, tokenizer: new Tokenizer(...files.map((file) => JSON.parse(file))) };
      },
      use: async ({ session, tokenizer }) => {
        const ids = Int32Array.from(tokenizer.encode(text).ids);
        const tensor = (data) => new ort.Tensor('int32', data, [1, ids.length]);
        const { vector } = await session.run({ ids: tensor(ids), types: tensor(new Int32Array(ids.length)) }, ['vector']);
        return vector.data;
      },
    };
  },
};

await start(CONTENDERS[contender]);
