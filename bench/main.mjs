// Times the built package; `--help` lists the topics and options. Every output is checked against a plain f64 evaluation before it is timed.
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { numbers, wrongness } from '../build/bench-kit.mjs';
import { KERNELS, OPS, THREADS } from './cases.mjs';
import { compare, FULL, QUICK, samplesOf, samplesOfSync, summarize } from './measure.mjs';
import { BOUNDS, lengthOf, RECIPES } from './schemes.mjs';
import { sizes } from './sizes.mjs';

const HELP = `Usage: npm run bench [-- <topic> ... [options]]

Topics:
  kernels      one tile of work, synchronous, one thread
  ops          attention, decoding and rotation, one thread
  encodings    every scheme's cost over no encoding, by turns in one run
  threads      one thread against two, by turns
  sizes        bytes of the package, the kernels and what a bundler makes of an import

Options:
  --only <pattern>  cases whose name matches this regular expression
  --relaxed         precision 'relaxed': fused multiply-add where the host has it
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
      ['only', { type: 'string', default: '' }],
    ]),
);

/** Runs a case once and checks it. @throws if the output is off */
async function checked(name, { run, error }, precision) {
  await run();
  const deviation = error();
  const wrong = wrongness(precision, deviation);
  if (wrong) throw new Error(`${name}: WRONG RESULT, ${wrong}`);
  return deviation.error;
}

const rateOf = ({ work }, ms) => work / ms / 1e6;
const show = (x, digits = 3) => Number(x.toPrecision(digits)).toString();

function line(name, { median, mad, samples }, rest) {
  console.log(
    `  ${name.padEnd(42)}${`${show(median)} ms`.padStart(12)}${`± ${show(mad, 2)}`.padStart(11)}${`n ${samples}`.padStart(7)}  ${rest}`,
  );
}

/** Cases one after the other on an engine of one thread. */
async function inTurn(relpos, cases, { budget, precision, sync }) {
  const engine = await relpos.createEngine({ threads: 1, precision });
  const results = [];
  for (const one of cases) {
    const prepared = await one.prepare(engine);
    const error = await checked(one.id, prepared, precision);
    const times = summarize(sync ? samplesOfSync(prepared.runSync, budget) : await samplesOf(prepared.run, budget));
    prepared.dispose();
    const rate = rateOf(one, times.median);
    results.push({ name: one.id, ...times, rate, unit: one.unit, error });
    line(one.id, times, `${show(rate)} ${one.unit}`);
  }
  engine.dispose();
  return results;
}

/** One thread and two, by turns. */
async function threads(relpos, cases, { budget, precision }) {
  const engines = [await relpos.createEngine({ threads: 1, precision }), await relpos.createEngine({ threads: 2, precision })];
  const { threads: found, reason } = engines[1].capabilities;
  if (found !== 2) throw new Error(`two threads cannot be had: ${reason}`);
  const results = [];
  for (const one of cases) {
    const prepared = [];
    for (const engine of engines) prepared.push(await one.prepare(engine));
    const errors = [];
    for (const each of prepared) errors.push(await checked(one.id, each, precision));
    const times = await compare(
      prepared.map(({ run }) => run),
      budget,
    );
    for (const { dispose } of prepared) dispose();
    const rows = times.map(({ ratio, ...own }, n) => ({ threads: n + 1, ...own, rate: rateOf(one, own.median), error: errors[n] }));
    const speedup = 1 / times[1].ratio;
    results.push({ name: one.id, unit: one.unit, rows, speedup });
    for (const row of rows) line(`${one.id}, ${row.threads} thread(s)`, row, `${show(row.rate)} ${one.unit}`);
    console.log(`  ${''.padEnd(42)}  ${show(speedup)} times as fast`);
  }
  for (const engine of engines) engine.dispose();
  return results;
}

/** Makers of numbers for a recipe: random, small, the same every time. */
function makers(engine) {
  let seed = 100;
  const make = (shape) =>
    numbers(
      shape.reduce((a, b) => a * b, 1),
      seed++,
    ).map((x) => 0.3 * x);
  return { engine, table: make, weights: make };
}

/** Each scheme against no encoding at the same sizes and options, by turns. */
async function encodings(relpos, registry, { budget, precision, only }) {
  const results = [];
  for (const length of [512, 2048]) {
    for (const { name, make } of registry) {
      if (!only.test(name)) continue;
      const recipe = RECIPES[name];
      if (!recipe) {
        results.push({ name, missing: true });
        console.log(`  ${name}: no recipe`);
        continue;
      }
      // An engine for each, so that its memory is this scheme's alone.
      const engine = await relpos.createEngine({ threads: 1, precision });
      const [H, L, D] = [12, lengthOf(recipe, length), 64];
      const inputs = [1, 2, 3].map((n) => engine.tensor([1, H, L, D], numbers(H * L * D, n)));
      const out = engine.tensor([1, H, L, D]);
      const before = engine.memoryUsage().reserved;
      const run = (options) => () => engine.attention(...inputs, { ...recipe.attention, ...options, out });
      await run({})();
      const plain = engine.memoryUsage().reserved;
      const encoding = make(recipe.options({ H, L, D }, makers(engine)), ...(recipe.arguments ?? []));
      const [base, own] = await compare([run({}), run({ encoding })], budget);
      const { reserved } = engine.memoryUsage();
      const cost = 100 * (own.ratio - 1);
      const bound = BOUNDS[recipe.kind];
      const { ratio: _, ...times } = own;
      results.push({ name, kind: recipe.kind, L, H, D, base: base.median, ...times, cost, bound, reserved, plain, inputs: before });
      const verdict = bound === undefined ? '' : cost <= bound ? ` (bound ${bound} %)` : ` OVER its bound of ${bound} %`;
      line(
        `${name} ${L}×${H}×${D}, ${recipe.kind}`,
        times,
        `${cost >= 0 ? '+' : ''}${cost.toFixed(1)} %${verdict}, ${show(reserved / 2 ** 20)} MiB`,
      );
      engine.dispose();
    }
  }
  return results;
}

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
  const precision = values.relaxed ? 'relaxed' : 'reproducible';
  const options = { budget: values.quick ? QUICK : FULL, precision, only };
  const topics = {
    kernels: () => inTurn(relpos, chosen(KERNELS), { ...options, sync: true }),
    ops: () => inTurn(relpos, chosen(OPS), options),
    encodings: () => encodings(relpos, registry, options),
    threads: () => threads(relpos, chosen(THREADS), options),
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
    const text = `${JSON.stringify({ ...about, results }, null, 2)}\n`;
    if (values.json) writeFileSync(values.json, text);
    const day = about.date.slice(0, 10);
    const file = `results/${day}-${topic}${values.relaxed ? '-relaxed' : ''}.json`;
    if (values.record) writeFileSync(fileURLToPath(new URL(file, import.meta.url)), text);
  }
}

try {
  await main();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
