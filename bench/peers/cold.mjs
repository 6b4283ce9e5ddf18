/**
 * Cold start of relpos against onnxruntime-web: the median of fresh processes, alternating, each on one thread.
 * `--json <file>` also writes every start as JSON.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { COLD_CASE } from './lib/cases.mjs';
import { coldTable, startAll, summaryOf } from './lib/cold.mjs';
import { environment } from './lib/environment.mjs';
import { makeInputs } from './lib/inputs.mjs';
import { onnxGraphs } from './lib/onnx-graphs.mjs';
import { encodeModel } from './lib/onnx-model.mjs';

const CHILD = fileURLToPath(new URL('cold-child.mjs', import.meta.url));
const PROCESSES = 7;

/** `node` does nothing: its memory is what the other two start from. */
const CONTENDERS = ['node', 'relpos', 'onnxruntime-web'];

function model() {
  const [graph] = onnxGraphs(COLD_CASE, makeInputs(COLD_CASE));
  return Buffer.from(encodeModel(graph)).toString('base64');
}

const { values: options } = parseArgs({ options: { json: { type: 'string' } } });
const results = await startAll(process.execPath, CHILD, CONTENDERS, { processes: PROCESSES, words: [model()] });
const summary = summaryOf(results);
console.log(`Node ${process.version}, median of ${PROCESSES} processes, first attention ${COLD_CASE.id}\n`);
console.log(coldTable(summary).join('\n'));
if (options.json) {
  writeFileSync(options.json, `${JSON.stringify({ ...environment(), processes: PROCESSES, summary, results }, null, 2)}\n`);
}
