/**
 * Compares whole models with other packages; `--help` lists the options, README.md explains the method. Every model of every Node runs in a process
 * of its own, since not every peer gives memory back.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { installFolder } from '../../test/conformance/install.mjs';
import { nodeOf } from '../peers/lib/nodes.mjs';
import { UsageError } from '../peers/lib/usage.mjs';
import { ROWS, rowsOf } from './lib/rows.mjs';

const HELP = `Usage: npm run bench:models -- [rows … options]

Rows are regular expressions over the names that --list prints; all of them without one.

  --on <list>     some of node24, node20; without it those that are here: this Node, and those of test/runtimes
  --quick         fewer samples: all rows in less than ten minutes
  --record        write bench/results/<date>-models.json, which scripts/docs.mjs makes a table of
  --json <file>   write the results there too
  --list          print the rows
  --help          print this
`;

const OPTIONS = {
  on: { type: 'string' },
  quick: { type: 'boolean', default: false },
  record: { type: 'boolean', default: false },
  json: { type: 'string' },
  list: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
};

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const HOSTS = { node24: 24, node20: 20 };

function hostsOf(on) {
  const asked = on?.split(',');
  const unknown = asked?.find((name) => !Object.hasOwn(HOSTS, name));
  if (unknown !== undefined) throw new UsageError(`--on: no host "${unknown}"; there are ${Object.keys(HOSTS).join(', ')}`);
  const programs = (asked ?? Object.keys(HOSTS)).map((host) => ({ host, program: nodeOf(HOSTS[host]) }));
  return programs.filter(({ host, program }) => {
    if (existsSync(program)) return true;
    if (asked) throw new UsageError(`--on: there is no ${host} here; npm ci --prefix test/runtimes brings one`);
    console.log(`${host}: left out, there is none here`);
    return false;
  });
}

/** One model under one Node. */
function runModel(program, ids, quick) {
  const folder = mkdtempSync(join(tmpdir(), 'relpos-models-'));
  const file = join(folder, 'part.json');
  try {
    const { status } = spawnSync(program, [here('model.mjs'), JSON.stringify({ ids, quick, file })], { stdio: 'inherit' });
    if (status !== 0) throw new Error(`${ids.join(', ')}: the process ended with ${status}`);
    return JSON.parse(readFileSync(file, 'utf8'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function runHost({ host, program }, rows, quick) {
  const start = performance.now();
  const processOf = ({ model, part }) => `${model} ${part}`;
  const parts = [...new Set(rows.map(processOf))].map((one) => {
    const ids = rows.filter((row) => processOf(row) === one).map(({ id }) => id);
    return runModel(program, ids, quick);
  });
  const [{ node }] = parts;
  console.log(`\n${host} took ${((performance.now() - start) / 1000).toFixed(0)} s`);
  return {
    host,
    label: `Node ${node.slice(1)}`,
    peers: Object.assign({}, ...parts.map(({ peers }) => peers)),
    results: parts.flatMap(({ results }) => results),
  };
}

async function main() {
  const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
  if (values.help) return console.log(HELP);
  if (values.list) return console.log(ROWS.map(({ id }) => id).join('\n'));
  const rows = rowsOf(positionals);
  if (rows.length === 0) throw new UsageError(`no row fits ${positionals.join(' ')}; --list prints them`);
  if (!existsSync(here('../../dist/models/index.js'))) throw new UsageError('relpos is not built; run: npm run build');
  const [failed] = ['../peers/', './'].flatMap((folder) => installFolder('peers', here(folder)).filter(({ error }) => error));
  if (failed) throw new UsageError(`${failed.name}: ${failed.error}`);
  // Read when the peers are there.
  const { environment } = await import('../peers/lib/environment.mjs');
  const { tableLines, limitLines } = await import('./lib/report.mjs');
  const about = environment();
  if (about.load > 0.7) console.log(`load ${about.load.toFixed(1)}: the machine is busy; absolute times mean little`);
  const runs = hostsOf(values.on).map((host) => runHost(host, rows, values.quick));
  console.log(`\n${tableLines(runs).join('\n')}`);
  console.log('\nms of relpos to ms of onnxruntime-web, their ratio, and after "of" the aim; "!" marks what is below it');
  console.log(`\nthe same of the least times, which other work on the machine moves less:\n${tableLines(runs, 'minMs').join('\n')}`);
  console.log(`\n${limitLines(runs).join('\n')}`);
  const text = `${JSON.stringify({ format: 'relpos-bench-models', ...about, runs }, null, 2)}\n`;
  const files = [values.json, values.record && here(`../results/${about.date.slice(0, 10)}-models.json`)].filter(Boolean);
  for (const file of files) writeFileSync(file, text);
}

try {
  await main();
} catch (error) {
  console.error(error instanceof UsageError || error.code?.startsWith('ERR_PARSE_ARGS') ? error.message : error);
  process.exitCode = 1;
}
