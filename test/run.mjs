// `npm test`: lint, types, the vitest suites, the package, the bundlers, Position Lab, and the conformance of every runtime. The last line counts what passed and failed.
//   node test/run.mjs                        all of it, on what `npm run build` made
//   node test/run.mjs package conformance    some steps
//   node test/run.mjs quick                  what is worth a minute between two edits: lint, types, the contract, the same bits on this Node
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { commandLine } from './words.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

/** A script of package.json as one check; with `--prefix folder` that of another. */
function script(name, ...words) {
  const { status } = spawnSync('npm', ['run', '--silent', name, ...words], { stdio: 'inherit' });
  return [status === 0 ? { name } : { name, error: `exit code ${status}` }];
}

/** A script of ours that exits with 0 if all is well, as one check. */
function command(name, args) {
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  return [status === 0 ? { name } : { name, error: `exit code ${status}` }];
}

/** Tests that ran. One that was skipped, since a browser or runtime is missing here, is named; where everything must be, it stays and fails. */
function ranOrNamed(checks) {
  if (process.env.CI === 'true') return checks.map((check) => (check.status === 'skipped' ? { ...check, error: 'skipped' } : check));
  const skipped = checks.filter(({ status }) => status === 'skipped');
  for (const { name } of skipped) console.log(`vitest: ${name} was skipped: something that it needs is not installed here`);
  return checks.filter(({ status }) => status !== 'skipped');
}

/** The vitest suites, or those of some folders, or those of another configuration; each test is a check. */
function vitest(...words) {
  const report = join(work, 'vitest.json');
  rmSync(report, { force: true });
  const args = ['run', ...words, `--reporter=${join(root, 'test/vitest-checks.mjs')}`];
  const { status } = spawnSync('node_modules/.bin/vitest', args, { stdio: 'inherit', env: { ...process.env, RELPOS_CHECKS: report } });
  if (!existsSync(report)) return [{ name: 'vitest', error: `no report, exit code ${status}` }];
  const checks = ranOrNamed(JSON.parse(readFileSync(report, 'utf8')));
  return status !== 0 && checks.every(({ error }) => !error) ? [...checks, { name: 'vitest', error: `exit code ${status}` }] : checks;
}

let work;
let tarball;
async function packed() {
  tarball ??= (await import('./conformance/project.mjs')).pack(work);
  return tarball;
}

const conformance = async (...hosts) => (await import('./conformance/checks.mjs')).conformance(await packed(), ...hosts);

/** Position Lab: its types, its unit tests, its build, the package that it becomes, and the page driven in browsers. */
async function lab() {
  const { installLab, installTrained } = await import('./conformance/install.mjs');
  const installs = [...installLab(), ...installTrained()];
  const needed = ['web/node_modules/sirv', 'test/models/trained/node_modules'].filter((path) => !existsSync(path));
  if (needed.length) {
    console.log(`lab: left out, for ${needed.join(' and ')} could not be installed`);
    return installs;
  }
  const built = [
    ...command('types of the page', ['node_modules/typescript/bin/tsc', '--noEmit', '-p', 'web/tsconfig.json']),
    ...script('build', '--prefix', 'web'),
  ];
  if (built.some(({ error }) => error)) return [...installs, ...built];
  const tests = vitest('--root', 'web');
  const { pageChecks } = await import('../web/test/checks.mjs');
  return [...installs, ...built, ...tests, ...(await pageChecks(await packed()))];
}

/** relpos-bullmq: its build, its tests with real processes and a Redis of their own, and the package that it becomes. */
async function adapters() {
  const { installAdapters } = await import('./conformance/install.mjs');
  const installs = installAdapters();
  if (!existsSync('adapters/bullmq/node_modules/bullmq')) {
    console.log('adapters: left out, for the packages of adapters/bullmq could not be installed');
    return installs;
  }
  const built = [...script('build', '--prefix', 'adapters/bullmq'), ...script('types', '--prefix', 'adapters/bullmq')];
  if (built.some(({ error }) => error)) return [...installs, ...built];
  const tests = vitest('--root', 'adapters/bullmq');
  const { packageChecks } = await import('../adapters/bullmq/test/package.mjs');
  return [...installs, ...built, ...tests, ...packageChecks(await packed())];
}

const steps = {
  runtimes: async () => {
    const { installRuntimes, installTrained } = await import('./conformance/install.mjs');
    return [...installRuntimes(), ...installTrained()];
  },
  lint: () => script('lint'),
  types: () => script('types'),
  vitest: () => vitest(),
  docs: () => command('docs', ['scripts/docs.mjs', '--check']),
  package: async () => (await import('./package/checks.mjs')).packageChecks(await packed()),
  bench: async () => (await import('./bench/checks.mjs')).benchChecks(await packed()),
  bundlers: async () => {
    const [{ installTools }, { bundlers }] = await Promise.all([import('./bundlers/install.mjs'), import('./bundlers/checks.mjs')]);
    return [...installTools(), ...(await bundlers(await packed())).checks];
  },
  lab,
  adapters,
  conformance: () => conformance(),
};

const quick = {
  lint: steps.lint,
  types: steps.types,
  vitest: () => vitest('test/contract', 'test/platform', 'test/conformance', 'test/golden.test.ts'),
  conformance: () => conformance([]),
};

const { positionals: words } = commandLine({
  usage: `npm test [-- [quick] [step ...]]

Lint, types and all tests, on what the build made; the last line counts what passed and failed.

  (no step)  all of them: ${Object.keys(steps).join(', ')}
  step ...   these alone
  quick      what is worth a minute between two edits: ${Object.keys(quick).join(', ')}
  --help     this`,
  kind: 'steps',
  names: ([first]) => (first === 'quick' ? ['quick', ...Object.keys(quick)] : Object.keys(steps)),
});
const chosen = words[0] === 'quick' ? quick : steps;
const asked = words.filter((word) => word !== 'quick');
work = mkdtempSync(join(tmpdir(), 'relpos-test-'));

/** Bundlers say "production" to the whole process, which npm then takes for a wish to leave out what development needs. */
const { NODE_ENV } = process.env;
function restoreEnvironment() {
  if (NODE_ENV === undefined) delete process.env.NODE_ENV;
  else process.env.NODE_ENV = NODE_ENV;
}

const lines = [];
const failures = [];
let passed = 0;
for (const [name, run] of Object.entries(chosen)) {
  if (asked.length && !asked.includes(name)) continue;
  const began = performance.now();
  let checks;
  try {
    checks = await run();
  } catch (error) {
    checks = [{ name, error: String(error.stack ?? error) }];
  }
  restoreEnvironment();
  const failed = checks.filter(({ error }) => error);
  failures.push(...failed.map((check) => `${name}: ${check.name}\n${check.error}`));
  passed += checks.length - failed.length;
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  lines.push(`${name.padEnd(12)} ${checks.length - failed.length} passed, ${failed.length} failed  ${seconds} s`);
}
rmSync(work, { recursive: true, force: true });
for (const failure of failures) console.log(`\nFAILED ${failure}`);
console.log(`\n${lines.join('\n')}\n\n${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length ? 1 : 0;
