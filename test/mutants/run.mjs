// `npm run mutants`: changes the sources in one place at a time and expects the suites to notice. Each mutation of list.mjs is applied to a
// copy of the working tree, the kernels are built anew if it is one of theirs, and the suites that it names must fail; a mutation that
// they let pass has survived, and the command fails. Takes about half an hour on two cores.
//   npm run mutants                     all of them
//   npm run mutants -- fold mask        those whose name or file contains one of these words
//   npm run mutants -- --list           names only
//   npm run mutants -- --jobs 1         one at a time (default: one a core)
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { mutants } from './list.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Milliseconds after which suites that do not end count as failed: a mutation may loop for ever. */
const PATIENCE = 600_000;

/** A copy of the tracked and new files, with the same packages and what the build makes. */
function copyTree(to) {
  const list = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { cwd: root, encoding: 'utf8' });
  for (const file of list.split('\0').filter(Boolean)) {
    mkdirSync(dirname(join(to, file)), { recursive: true });
    cpSync(join(root, file), join(to, file));
  }
  for (const folder of ['node_modules', 'test/runtimes/node_modules']) symlinkSync(join(root, folder), join(to, folder));
  return run(to, process.execPath, ['scripts/build.mjs']);
}

/** Runs a command; whether it succeeded, and what it printed. */
function run(cwd, file, args) {
  return new Promise((resolve) => {
    const options = { cwd, maxBuffer: 2 ** 28, timeout: PATIENCE, killSignal: 'SIGKILL', env: { ...process.env, CI: 'true' } };
    execFile(file, args, options, (error, stdout, stderr) => resolve({ ok: !error, output: `${stdout}${stderr}` }));
  });
}

/** The text with the mutation in it. @throws if what it replaces is not there, or there twice */
function mutate(text, { name, file, find, replace }) {
  const places = text.split(find).length - 1;
  if (places !== 1) throw new Error(`mutation "${name}" expects its text once in ${file}, and it is there ${places} times`);
  return text.replace(find, () => replace);
}

const vitest = (tree, suites) => run(tree, 'node_modules/.bin/vitest', ['run', '--bail=1', '--reporter=json', ...suites]);

/** What became of a mutation: 'killed' or 'survived'. */
async function judge(tree, mutant) {
  const path = join(tree, mutant.file);
  const before = readFileSync(path, 'utf8');
  const kernels = mutant.file.startsWith('assembly/') || mutant.file.startsWith('scripts/');
  writeFileSync(path, mutate(before, mutant));
  try {
    if (kernels) {
      const { ok, output } = await run(tree, process.execPath, ['scripts/build.mjs', 'kernels']);
      if (!ok) throw new Error(`mutation "${mutant.name}" does not build:\n${output.slice(-2000)}`);
    }
    const { ok, output } = await vitest(tree, mutant.suites);
    if (!ok && !/"numFailed(Tests|TestSuites)":\s*[1-9]/.test(output) && !output.includes('Error')) {
      throw new Error(`mutation "${mutant.name}": the suites did not run:\n${output.slice(-2000)}`);
    }
    return ok ? 'survived' : 'killed';
  } finally {
    writeFileSync(path, before);
    // Built again only when the next mutation is not of the kernels.
    if (kernels) await run(tree, process.execPath, ['scripts/build.mjs', 'kernels']);
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { list: { type: 'boolean' }, jobs: { type: 'string', default: String(availableParallelism()) } },
});
const chosen = mutants.filter(
  ({ name, file }) => !positionals.length || positionals.some((word) => name.includes(word) || file.includes(word)),
);
for (const mutant of chosen) mutate(readFileSync(join(root, mutant.file), 'utf8'), mutant);
if (values.list) {
  for (const { name, file } of chosen) console.log(`${file.padEnd(36)} ${name}`);
  process.exit();
}

const work = mkdtempSync(join(tmpdir(), 'relpos-mutants-'));
const queue = [...chosen];
const results = [];
async function lane(n) {
  const tree = join(work, String(n));
  const { ok, output } = await copyTree(tree);
  if (!ok) throw new Error(`the copy does not build:\n${output.slice(-2000)}`);
  for (let mutant = queue.shift(); mutant; mutant = queue.shift()) {
    const began = performance.now();
    const outcome = await judge(tree, mutant);
    results.push({ ...mutant, outcome });
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    console.log(
      `${String(results.length).padStart(3)}/${chosen.length} ${outcome.padEnd(8)} ${seconds.padStart(4)} s  ${mutant.file}: ${mutant.name}`,
    );
  }
}
try {
  // The suites must pass without any mutation: else they would kill everything.
  const jobs = Math.max(1, Math.min(Number(values.jobs), chosen.length));
  await Promise.all(Array.from({ length: jobs }, (_, n) => lane(n)));
  const control = await vitest(join(work, '0'), [...new Set(chosen.flatMap(({ suites }) => suites))]);
  if (!control.ok) throw new Error(`the suites fail without a mutation:\n${control.output.slice(-4000)}`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
const survived = results.filter(({ outcome }) => outcome === 'survived');
for (const { name, file } of survived) console.log(`SURVIVED ${file}: ${name}`);
console.log(`${results.length - survived.length} killed, ${survived.length} survived`);
process.exitCode = survived.length ? 1 : 0;
