// Times the built package; `--help` lists the topics and options. Every output is checked against a plain f64 evaluation before it is timed.
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { KERNELS, OPS, THREADS } from './cases.mjs';
import { encodings } from './encodings.mjs';
import { inTurn } from './in-turn.mjs';
import { FULL, QUICK } from './measure.mjs';
import { peaksOf } from './peaks.mjs';
import { sizes } from './sizes.mjs';
import { small } from './small.mjs';
import { threads } from './threads.mjs';

const HELP = `Usage: npm run bench [-- <topic> ... [options]]

Topics:
  kernels      one tile of work, synchronous, one thread
  ops          attention, decoding and rotation, one thread
  encodings    every scheme's cost over no encoding, by turns in one run, beside its own arithmetic
  small        calls of 1 to 128 queries, heads of 32 to 128 channels, batches of short rows: where is a cliff?
  threads      one thread against two, four … as many as there are cores, by turns
  sizes        bytes of the package, the kernels and what a bundler makes of an import

Options:
  --only <pattern>  cases whose name matches this regular expression
  --precision <p>   reproducible, relaxed (fused multiply-add where the host has it) or int16 (default reproducible)
  --relaxed         the same as --precision relaxed
  --quick           few, short samples
  --json <file>     write the results of one topic as JSON
  --record          write bench/results/<date>-<topic>.json for each topic; scripts/docs.mjs takes its numbers from there
  --help            print this

All topics run if none is named. Exit code 1 if an output is wrong. Schemes whose file has no recipe are named.
`;

const OPTIONS = Object.fromEntries(
  ['relaxed', 'quick', 'record', 'help']
    .map((name) => [name, { type: 'boolean', default: false }])
    .concat([
      ['json', { type: 'string' }],
      ['precision', { type: 'string' }],
      ['only', { type: 'string', default: '' }],
    ]),
);

/** What a reader needs to judge or repeat a run. */
function environment(topic, precision) {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return {
    topic,
    date: new Date().toISOString(),
    command: ['npm run bench --', ...process.argv.slice(2)].join(' '),
    precision,
    relpos: version,
    node: process.version,
    v8: process.versions.v8,
    platform: `${process.platform}-${process.arch}`,
    cpu: cpus()[0]?.model,
    cpus: cpus().length,
    load: loadavg()[0],
  };
}

async function main() {
  const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
  if (values.help) return console.log(HELP);
  const relpos = await import('../dist/index.js');
  const { registry } = await import('../dist/encodings/registry.js');
  const only = new RegExp(values.only);
  const chosen = (cases) => cases.filter(({ id }) => only.test(id));
  const precision = values.precision ?? (values.relaxed ? 'relaxed' : 'reproducible');
  const wasm = (name) => () => readFileSync(new URL(`../dist/wasm/${name}.wasm`, import.meta.url));
  const peaks = await peaksOf({ plain: wasm('peak'), fused: wasm('peak-fused') });
  const options = { budget: values.quick ? QUICK : FULL, quick: values.quick, precision, only, peaks };
  const topics = {
    kernels: () => inTurn(relpos, chosen(KERNELS), { ...options, sync: true }),
    ops: () => inTurn(relpos, chosen(OPS), options),
    encodings: () => encodings(relpos, registry, options),
    small: () => small(relpos, options),
    threads: () => threads(relpos, chosen(THREADS), { ...options, cores: cpus().length }),
    sizes,
  };
  const unknown = positionals.find((name) => !Object.hasOwn(topics, name));
  if (unknown !== undefined) throw new Error(`no topic "${unknown}"; there are ${Object.keys(topics).join(', ')}`);
  const asked = positionals.length ? positionals : Object.keys(topics);
  if (values.json && asked.length !== 1) throw new Error('--json takes the results of one topic; name it');
  for (const topic of asked) {
    const about = environment(topic, precision);
    console.log(`\n${topic}: Node ${about.node}, ${about.cpus} × ${about.cpu}, load ${about.load.toFixed(1)}, ${precision}`);
    if (about.load > 0.7) console.log('  the machine is busy: absolute times mean little, and those of two threads nothing');
    const results = await topics[topic]();
    const text = `${JSON.stringify({ ...about, peak: peaks.found, results }, null, 2)}\n`;
    if (values.json) writeFileSync(values.json, text);
    const day = about.date.slice(0, 10);
    const file = `results/${day}-${topic}${precision === 'reproducible' ? '' : `-${precision}`}.json`;
    if (values.record) writeFileSync(fileURLToPath(new URL(file, import.meta.url)), text);
  }
}

try {
  await main();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
