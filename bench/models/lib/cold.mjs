/** Cold starts: fresh processes that take turns, from import to the first vector of the int8 MiniLM shape, from files on disk. */
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { pack } from '../../../dist/models/index.js';
import { startAll, summaryOf } from '../../peers/lib/cold.mjs';
import { encodeModel } from '../../peers/lib/onnx-model.mjs';
import { bertGraph } from './bert-graph.mjs';
import { CACHE, checkpoint, weightsOf } from './checkpoints.mjs';
import { textOf } from './texts.mjs';

const CHILD = fileURLToPath(new URL('../cold-child.mjs', import.meta.url));

/** `node` does nothing: its memory is what the other two start from. */
const CONTENDERS = ['node', 'relpos', 'onnxruntime-web'];

const TOKENS = 64;

/** The same weights for each: packed in i8 by relpos, and as an int8 graph beside its tokenizer. Written anew each time: formats change with the code. */
async function files(model, folder) {
  const [packed, graph] = ['packed', 'graph'].map((name) => `${CACHE}${model.name}-${name}-${process.pid}`);
  await pack(folder, packed, { weights: 'i8', threads: 1 });
  mkdirSync(graph);
  const weights = bertGraph(model.config, weightsOf(folder), { kind: 'int8', attention: 'whole', masked: false });
  writeFileSync(`${graph}/model.onnx`, encodeModel(weights));
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) copyFileSync(`${folder}/${name}`, `${graph}/${name}`);
  return { packed, graph };
}

export async function runRows(model, [{ id }], { minSamples }, report) {
  const folder = checkpoint(model);
  const { packed, graph } = await files(model, folder);
  const processes = Math.max(5, minSamples);
  try {
    const words = [packed, graph, textOf(model, TOKENS)];
    report({ id, processes, cold: summaryOf(await startAll(process.execPath, CHILD, CONTENDERS, { processes, words })) });
  } finally {
    for (const path of [packed, graph]) rmSync(path, { recursive: true, force: true });
  }
}
