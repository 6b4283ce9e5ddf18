// `npm run mutants`: changes the sources in one place at a time and expects the tests to notice. Each mutation of list.mjs is applied to a
// copy of the working tree, what is built of its file is built anew, and the suites that it names must fail. `--help` has the rest.
import { execFile, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { mutants } from './list.mjs';
import { verdict } from './verdict.mjs';

const HELP = `npm run mutants [-- [words] [options]]

Applies the mutations of test/mutants/list.mjs whose name or file contains one of the words (default: all) one by one, and runs the suites
that each names. First the same suites must pass without a mutation. Of each mutation it says:

  killed    a test failed, not counting those that ran out of time
  survived  all tests passed: a test is missing, or the mutation changes nothing and does not belong in the list
  broken    it did not build, or no test failed but something else did, such as an import: the mutation is not fit for the list
  hung      it was stopped after ten times as long as the suites take without it, and a minute, or its failures are timeouts

Fails unless all are killed: on a host with relaxed SIMD, since some are in kernels that no other runs. Takes 15 to 25 minutes on two cores.

  --list     names only
  --jobs n   so many at a time, each in a copy of its own (default: one a core)
  --help     this
`;

const root = fileURLToPath(new URL('../..', import.meta.url));
const builder = fileURLToPath(new URL('builder.mjs', import.meta.url));
/** Milliseconds for a build, and for the suites without a mutation. */
const PATIENCE = 1_800_000;

/** A command; whether it succeeded, whether it was stopped, and what it printed. */
function run(cwd, file, args, timeout = PATIENCE) {
  return new Promise((resolve) => {
    const options = { cwd, maxBuffer: 2 ** 28, timeout, killSignal: 'SIGKILL', env: { ...process.env, CI: 'true' } };
    execFile(file, args, options, (error, stdout, stderr) => {
      resolve({ ok: !error, stopped: Boolean(error?.killed), output: `${stdout}${stderr}` });
    });
  });
}

/** A copy of the tracked and new files, with the same packages, built. */
async function copyTree(to) {
  const list = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { cwd: root, encoding: 'utf8' });
  for (const file of list.split('\0').filter((name) => name && existsSync(join(root, name)))) {
    mkdirSync(dirname(join(to, file)), { recursive: true });
    cpSync(join(root, file), join(to, file));
  }
  for (const folder of ['node_modules', 'test/runtimes/node_modules']) {
    if (existsSync(join(root, folder))) symlinkSync(join(root, folder), join(to, folder));
  }
  const { ok, output } = await run(to, process.execPath, ['scripts/build.mjs']);
  if (!ok) throw new Error(`the copy does not build:\n${output.slice(-2000)}`);
}

/** The text with the mutation in it. @throws if what it replaces is not there, or there twice */
function mutate(text, { name, file, find, replace }) {
  const places = text.split(find).length - 1;
  if (places !== 1) throw new Error(`mutation "${name}" expects its text once in ${file}, and it is there ${places} times`);
  return text.replace(find, () => replace);
}

/** Runs suites to the first failure; what vitest reports, and how it ended. */
async function vitest(tree, suites, timeout) {
  const file = join(tree, 'report.json');
  rmSync(file, { force: true });
  const args = ['run', '--bail=1', '--reporter=json', `--outputFile=${file}`, ...suites];
  const ended = await run(tree, 'node_modules/.bin/vitest', args, timeout);
  return { ...ended, report: existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined };
}

/** The parts of the build: the kernels of a target, the workers' script. */
const PARTS = {
  baseline: ['kernels', 'baseline'],
  relaxed: ['kernels', 'relaxed'],
  int16: ['kernels', 'int16'],
  // Which of the two a host runs is its choice.
  nn: ['kernels', 'nn', 'nn-relaxed'],
  worker: ['worker'],
};

/** What the build makes of a mutant's file: the kernels that its suites run, the workers' script, or nothing that a test reads. */
function builtOf({ file, target = 'baseline' }) {
  if (file.startsWith('assembly/')) return target;
  return file.startsWith('src/threads/') || file.startsWith('src/platform/') ? 'worker' : undefined;
}

/** Milliseconds that the suites took without a mutation. */
function spent(control, suites) {
  const times = control.report.testResults.map(({ name, startTime, endTime }) => ({
    name: name.replaceAll('\\', '/'),
    ms: endTime - startTime,
  }));
  return times.filter(({ name }) => suites.some((suite) => name.includes(suite))).reduce((sum, { ms }) => sum + ms, 0);
}

/** A copy of the tree, in which one mutation after another is judged. */
class Lane {
  #tree;
  #builder;
  #ended;
  /** What the builder has printed since it was asked. */
  #printed = [];
  /** What is built of the last mutation. */
  #stale;

  constructor(tree) {
    this.#tree = tree;
    this.#builder = fork(builder, [join(tree, 'scripts/build.mjs')], { cwd: tree, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    this.#ended = once(this.#builder, 'exit').then(([code]) => [{ error: `the builder ended with code ${code}` }]);
    for (const stream of [this.#builder.stdout, this.#builder.stderr]) stream.on('data', (text) => this.#printed.push(text));
  }

  end() {
    this.#builder.kill();
  }

  /** The suites without a mutation. @throws if they fail: they would kill everything */
  async control(suites) {
    const result = await vitest(this.#tree, suites, PATIENCE);
    if (result.ok && result.report) return result;
    const failures = result.report?.testResults.flatMap(({ assertionResults: tests, message }) => [
      message ?? '',
      ...tests
        .filter(({ status }) => status === 'failed')
        .map(({ fullName, failureMessages }) => `${fullName}\n${failureMessages.join('\n')}`),
    ]);
    throw new Error(`the suites fail without a mutation:\n${(failures?.join('\n') || result.output).slice(-4000)}`);
  }

  async judge(mutant, patience) {
    const path = join(this.#tree, mutant.file);
    const before = readFileSync(path, 'utf8');
    const built = builtOf(mutant);
    // What is stale is built of sources that are as they were; what the mutation needs built is built of the mutation.
    if (this.#stale && this.#stale !== built) await this.#build(this.#stale);
    writeFileSync(path, mutate(before, mutant));
    try {
      this.#stale = built;
      const failure = built && (await this.#build(built, true));
      if (failure) return { outcome: 'broken', why: failure };
      return verdict(await vitest(this.#tree, mutant.suites, patience));
    } finally {
      writeFileSync(path, before);
    }
  }

  async #build(what, tolerant = false) {
    this.#printed.length = 0;
    const answer = Promise.race([once(this.#builder, 'message'), this.#ended]);
    this.#builder.send(PARTS[what]);
    const [{ error }] = await answer;
    if (error === undefined) return undefined;
    const output = `${this.#printed.join('').slice(-2000)}\n${error}`;
    if (tolerant) return `it does not build:\n${output}`;
    throw new Error(`the copy no longer builds:\n${output}`);
  }
}

const { values, positionals: words } = parseArgs({
  allowPositionals: true,
  options: { list: { type: 'boolean' }, help: { type: 'boolean' }, jobs: { type: 'string', default: String(availableParallelism()) } },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit();
}
const chosen = mutants.filter(({ name, file }) => !words.length || words.some((word) => name.includes(word) || file.includes(word)));
if (!chosen.length) throw new Error(`no mutation has a name or file with ${words.join(' or ')}; --list shows all`);
for (const mutant of chosen) mutate(readFileSync(join(root, mutant.file), 'utf8'), mutant);
if (values.list) {
  for (const { name, file } of chosen) console.log(`${file.padEnd(36)} ${name}`);
  process.exit();
}
const jobs = Number(values.jobs);
if (!Number.isInteger(jobs) || jobs < 1) throw new Error(`--jobs expected a whole number of at least 1, got ${values.jobs}`);

const began = performance.now();
const secondsSince = (start) => `${((performance.now() - start) / 1000).toFixed(0)} s`;
const work = mkdtempSync(join(tmpdir(), 'relpos-mutants-'));
const results = [];
const lanes = [];
try {
  const trees = Array.from({ length: Math.min(jobs, chosen.length) }, (_, n) => join(work, String(n)));
  await Promise.all(trees.map(copyTree));
  lanes.push(...trees.map((tree) => new Lane(tree)));
  const suites = [...new Set(chosen.flatMap((mutant) => mutant.suites))].sort();
  const control = await lanes[0].control(suites);
  const { numPassedTests } = control.report;
  console.log(`${chosen.length} mutations; without one ${numPassedTests} tests pass in ${suites.length} suites  ${secondsSince(began)}`);
  const queue = [...chosen];
  const serve = async (lane) => {
    for (let mutant = queue.shift(); mutant; mutant = queue.shift()) {
      const start = performance.now();
      const { outcome, why } = await lane.judge(mutant, Math.ceil(10 * spent(control, mutant.suites)) + 60_000);
      results.push({ ...mutant, outcome, why });
      const place = `${String(results.length).padStart(3)}/${chosen.length}`;
      console.log(`${place} ${outcome.padEnd(8)} ${secondsSince(start).padStart(5)}  ${mutant.file}: ${mutant.name}`);
      if (why) console.log(`             ${why}`);
    }
  };
  await Promise.all(lanes.map(serve));
} finally {
  for (const lane of lanes) lane.end();
  rmSync(work, { recursive: true, force: true });
}
const count = (outcome) => results.filter((result) => result.outcome === outcome).length;
for (const { name, file, outcome } of results) if (outcome !== 'killed') console.log(`${outcome.toUpperCase()} ${file}: ${name}`);
const outcomes = ['killed', 'survived', 'broken', 'hung'];
console.log(`${outcomes.map((outcome) => `${count(outcome)} ${outcome}`).join(', ')}  ${secondsSince(began)}`);
process.exitCode = count('killed') === results.length ? 0 : 1;
