/** The rows of one model, in a process of its own: `node model.mjs '{ "ids": […], "quick": true, "file": "…" }'`; run by main.mjs. */
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { BUDGETS } from '../peers/lib/measure.mjs';
import { resultLines } from './lib/report.mjs';
import { ROWS } from './lib/rows.mjs';
import { modelOf } from './lib/shapes.mjs';

const KINDS = {
  encoder: () => import('./lib/encoders.mjs'),
  decoder: () => import('./lib/decoders.mjs'),
  seq2seq: () => import('./lib/seq2seq.mjs'),
  threads: () => import('./lib/threads.mjs'),
  cold: () => import('./lib/cold.mjs'),
  bytes: () => import('./lib/shipped.mjs'),
};

const { ids, quick, file } = JSON.parse(process.argv[2]);
const rows = ids.map((id) => ROWS.find((row) => row.id === id));
const model = modelOf(rows[0].model);
const { runRows } = await KINDS[rows[0].part ?? model.kind]();
const results = [];
console.log(`\n${[model.name, rows[0].part].filter(Boolean).join(', ')}, Node ${process.version}`);
await runRows(model, rows, BUDGETS[quick ? 'quick-table' : 'table'], (result) => {
  results.push(result);
  console.log(resultLines(result).join('\n'));
});
const versions = results.flatMap(({ rows: own = [] }) => own.map(({ peer, version }) => [peer, version]));
writeFileSync(file, JSON.stringify({ node: process.version, peers: Object.fromEntries(versions), results }));
// Threads of some peers never end.
process.exit(0);
