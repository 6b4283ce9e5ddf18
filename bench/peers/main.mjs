/**
 * Compares relpos with other CPU attention packages; `--help` lists the options, README.md explains the method.
 *
 * A peer is `{ name, version, threads, prepare(case, inputs) }`. `prepare` returns `{ skip: reason }` or `{ builders }`, a function
 * for each way the peer can do the case, which returns or resolves to an entry `{ variant, layout, repeat, run, dispose }`. `run` computes the case once (or
 * `repeat` times) and resolves to its output as a Float32Array laid out as `layout` says; `differs` marks an entry that
 * deliberately computes something else, shown for comparison within the peer.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { peaksOf } from '../peaks.mjs';
import { CASES } from './lib/cases.mjs';
import { environment } from './lib/environment.mjs';
import { BUDGETS } from './lib/measure.mjs';
import { caseLines, header, summaryLines } from './lib/report.mjs';
import { runCase } from './lib/run-case.mjs';
import { UsageError } from './lib/usage.mjs';

const HELP = `Usage: npm run bench:peers -- [options]

  --threads <n>     threads of every peer that can thread in Node (default 1)
  --only <pattern>  only cases whose name matches this regular expression
  --peers <list>    only these peers, comma-separated
  --scaling         relpos on one thread against relpos on --threads (default 2), attention cases only
  --precisions <list>  precisions of relpos, each a peer of its own, or all: those that the build and the runtime have (default reproducible)
  --relaxed         the same as --precisions relaxed
  --nine            nine samples of each at least, however slow
  --quick           shorter, noisier samples
  --json <file>     also write the results as JSON

  --table           the table of aims: relpos in every precision over onnxruntime-web in Node 24, Node 20, Chromium and Firefox, nine samples
                    of each at least, some eight minutes; with --quick three; --only takes some cases
  --on <list>       some of node24, node20, chromium, firefox
  --record          with --table: write bench/results/<date>-table.json

  --list            print the cases and peers
  --help            print this
`;

const OPTIONS = {
  threads: { type: 'string' },
  only: { type: 'string', default: '' },
  peers: { type: 'string' },
  scaling: { type: 'boolean', default: false },
  precisions: { type: 'string' },
  relaxed: { type: 'boolean', default: false },
  nine: { type: 'boolean', default: false },
  table: { type: 'boolean', default: false },
  on: { type: 'string' },
  record: { type: 'boolean', default: false },
  quick: { type: 'boolean', default: false },
  json: { type: 'string' },
  list: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
};

/** Loaded on demand: a peer that is not asked for costs nothing. In the order in which they take turns. */
const PEERS = {
  relpos: () => import('./peers/relpos.mjs'),
  'onnxruntime-web': () => import('./peers/onnxruntime-web.mjs'),
  'onnxruntime-node': () => import('./peers/onnxruntime-node.mjs'),
  'jax-js': () => import('./peers/jax-js.mjs'),
  'tfjs-wasm': () => import('./peers/tfjs-wasm.mjs'),
};
const BASELINE = 'onnxruntime-web';

const PRECISIONS = ['reproducible', 'relaxed', 'int16', 'int8'];

function parsePrecisions({ precisions, relaxed }) {
  if (precisions === 'all') return PRECISIONS;
  const names = precisions?.split(',') ?? [relaxed ? 'relaxed' : 'reproducible'];
  const unknown = names.find((name) => !PRECISIONS.includes(name));
  if (unknown !== undefined) throw new UsageError(`--precisions: no precision "${unknown}"; there are ${PRECISIONS.join(', ')}`);
  return names;
}

function parseThreads(text, fallback) {
  const threads = Number(text ?? fallback);
  if (!Number.isInteger(threads) || threads < 1) throw new UsageError(`--threads expected a positive integer, got ${text}`);
  return threads;
}

function peerNames(list) {
  const names = list?.split(',') ?? Object.keys(PEERS);
  const unknown = names.find((name) => !(name in PEERS));
  if (unknown !== undefined) throw new UsageError(`--peers: no peer "${unknown}"; there are ${Object.keys(PEERS).join(', ')}`);
  return names;
}

function parseOptions() {
  try {
    const { values } = parseArgs({ options: OPTIONS });
    return {
      ...values,
      names: peerNames(values.peers),
      precisions: parsePrecisions(values),
      threads: parseThreads(values.threads, values.scaling ? 2 : 1),
      cases: CASES.filter(({ id }) => new RegExp(values.only).test(id)),
    };
  } catch (error) {
    throw new UsageError(error.message);
  }
}

/** relpos once for each precision; those that the build or the runtime lacks are named and left out. */
async function createRelpos(createPeer, { threads, precisions }) {
  const peers = [];
  for (const precision of precisions) {
    try {
      peers.push(await createPeer({ threads, precision }));
    } catch (error) {
      if (precisions.length === 1) throw error;
      console.log(`relpos ${precision}: left out, ${error.message}`);
    }
  }
  return peers;
}

async function createPeers({ names, threads, precisions }) {
  const peers = [];
  for (const name of names) {
    const { createPeer } = await PEERS[name]();
    if (name === 'relpos') peers.push(...(await createRelpos(createPeer, { threads, precisions })));
    else peers.push(await createPeer({ threads }));
  }
  return peers;
}

/** One thread against several, interleaved like any two peers; the names tell the two apart. */
async function createScalingPeers({ threads, precisions: [precision] }) {
  const { createPeer } = await PEERS.relpos();
  const one = await createPeer({ threads: 1, precision });
  const many = await createPeer({ threads, precision });
  return [
    { ...one, name: `${one.name}, 1 thread` },
    { ...many, name: `${many.name}, ${threads} threads` },
  ];
}

const wasm = (name) => () => readFileSync(new URL(`../../dist/wasm/${name}.wasm`, import.meta.url));

async function comparison(options) {
  const { scaling, cases } = options;
  if (!scaling) return { peers: await createPeers(options), baseline: BASELINE, cases };
  const peers = await createScalingPeers(options);
  return { peers, baseline: peers[0].name, cases: cases.filter(({ kind }) => kind === 'attention') };
}

function printEnvironment({ node, cpu, cpus, load, threads, baseline, peers }) {
  const versions = Object.entries(peers).map(([name, version]) => `${name} ${version}`);
  console.log(`Node ${node}, ${cpus} x ${cpu}, load ${load.toFixed(1)}, ${threads} thread(s)\n${versions.join(', ')}`);
  console.log(`speed: times the fastest row of ${baseline}, from interleaved medians\n\n${header()}`);
}

const isMissing = (path) => !existsSync(new URL(path, import.meta.url));

function requireInstalled({ scaling, names }) {
  if ((scaling || names.includes('relpos')) && isMissing('../../dist/index.js')) {
    throw new UsageError('relpos is not built; run: npm run build');
  }
  if (isMissing('node_modules')) throw new UsageError('the peers are not installed; run: npm ci --prefix bench/peers');
}

async function main() {
  const options = parseOptions();
  if (options.help) return console.log(HELP);
  if (options.list) {
    return console.log([...options.cases.map(({ id }) => id), '', ...Object.keys(PEERS)].join('\n'));
  }
  requireInstalled(options);
  if (options.table) return (await import('./table.mjs')).runTable(options);
  const { peers, baseline, cases } = await comparison(options);
  const versions = Object.fromEntries(peers.map(({ name, version }) => [name, version]));
  const about = { ...environment(), threads: options.threads, baseline, peers: versions };
  printEnvironment(about);
  const peaks = await peaksOf({ plain: wasm('peak'), fused: wasm('peak-fused') });
  const budget = BUDGETS[options.nine ? (options.quick ? 'quick-table' : 'table') : options.quick ? 'quick' : 'full'];
  const results = [];
  for (const testCase of cases) {
    const result = await runCase(testCase, { peers, baseline, budget, peaks });
    results.push(result);
    console.log(caseLines(result).join('\n'));
  }
  console.log(summaryLines(results, Object.keys(about.peers)).join('\n'));
  if (options.json) writeFileSync(options.json, `${JSON.stringify({ ...about, peak: peaks.found, results }, null, 2)}\n`);
}

try {
  await main();
  // Worker threads of some peers would keep the process alive.
  process.exit(0);
} catch (error) {
  console.error(error instanceof UsageError ? error.message : error);
  process.exit(error instanceof UsageError ? 2 : 1);
}
