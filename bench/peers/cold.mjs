/**
 * Cold start of relpos against onnxruntime-web: the median of fresh processes, alternating, each on one thread.
 * `--json <file>` also writes every start as JSON.
 */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { COLD_CASE } from './lib/cases.mjs';
import { environment } from './lib/environment.mjs';
import { makeInputs } from './lib/inputs.mjs';
import { onnxGraphs } from './lib/onnx-graphs.mjs';
import { encodeModel } from './lib/onnx-model.mjs';
import { median } from './lib/statistics.mjs';

const CHILD = fileURLToPath(new URL('cold-child.mjs', import.meta.url));
const PROCESSES = 7;

/** `node` does nothing: its memory is what the other two start from. */
const CONTENDERS = ['node', 'relpos', 'onnxruntime-web'];

const run = promisify(execFile);

function model() {
  const [graph] = onnxGraphs(COLD_CASE, makeInputs(COLD_CASE));
  return Buffer.from(encodeModel(graph)).toString('base64');
}

async function startAll(contenders) {
  const encoded = model();
  const results = Object.fromEntries(contenders.map((name) => [name, []]));
  for (let n = 0; n < PROCESSES; n++) {
    for (const name of contenders) {
      const { stdout } = await run(process.execPath, [CHILD, name, encoded]);
      results[name].push(JSON.parse(stdout));
    }
  }
  return results;
}

const medians = (results) =>
  Object.fromEntries(Object.keys(results[0]).map((field) => [field, median(results.map((result) => result[field]))]));

function print(name, { importMs, createMs, firstRunMs, totalMs, residentMB }) {
  const cells = [importMs, createMs, firstRunMs, totalMs].map((ms) => `${ms.toFixed(1)} ms`.padStart(12));
  console.log(`${name.padEnd(18)}${cells.join('')}${`${residentMB.toFixed(0)} MB`.padStart(12)}`);
}

const { values: options } = parseArgs({ options: { json: { type: 'string' } } });
const results = await startAll(CONTENDERS);
const summary = Object.fromEntries(Object.entries(results).map(([name, starts]) => [name, medians(starts)]));
console.log(`Node ${process.version}, median of ${PROCESSES} processes, first attention ${COLD_CASE.id}\n`);
console.log(`${''.padEnd(18)}${['import', 'create', 'first run', 'total', 'resident'].map((t) => t.padStart(12)).join('')}`);
for (const [name, starts] of Object.entries(summary)) print(name, starts);
if (options.json) {
  writeFileSync(options.json, `${JSON.stringify({ ...environment(), processes: PROCESSES, summary, results }, null, 2)}\n`);
}
