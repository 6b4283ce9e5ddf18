// One benchmark, one tarball, every runtime: packs the built library, installs it in a fresh project, runs `relpos bench` in each, and writes
// bench/results/<date>-runtimes.json, from which scripts/docs.mjs takes its table.
//   npm run bench:runtimes                         all runtimes, --quick
//   npm run bench:runtimes -- bun firefox          some; writes nothing unless --out says where
//   npm run bench:runtimes -- --out r.json --only swin --full
//   npm run bench:runtimes -- --precision int16    bench/results/<date>-runtimes-int16.json
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { installRuntimes } from '../../test/conformance/install.mjs';
import { pack } from '../../test/conformance/project.mjs';
import { commandLine } from '../../test/words.mjs';
import { hosts } from './hosts.mjs';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const TRIES = 2;

/** A fresh project with the tarball and the entries. */
function makeProject() {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'relpos-bench-')));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'bench', private: true, type: 'module' }));
  execFileSync('npm', ['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', pack(folder)], { cwd: folder });
  for (const name of ['worker.mjs', 'page.mjs', 'options.mjs']) copyFileSync(here(name), join(folder, name));
  return folder;
}

/** The result of one runtime, or what went wrong, in words. */
async function attempt(host, folder, options) {
  const missing = host.missing();
  if (missing) return { wrong: `it is not here: ${missing}` };
  for (let left = TRIES - 1; ; left--) {
    try {
      const result = await host.run(folder, options);
      const failed = result.rows.filter(({ failure }) => failure).map((row) => `${row.case}, ${row.threads} thread(s): ${row.failure}`);
      return failed.length ? { wrong: failed.join('\n') } : { result };
    } catch (error) {
      if (left === 0) return { wrong: String(error.stack ?? error) };
      console.log(`${host.name}: ${error.message.split('\n')[0]}; once more`);
    }
  }
}

/** Runs them one after the other; nothing else shall run beside a measurement. */
async function runAll(chosen, options) {
  const folder = makeProject();
  const results = [];
  const wrong = [];
  try {
    for (const host of chosen) {
      const began = performance.now();
      const found = await attempt(host, folder, options);
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      if (found.wrong) wrong.push(`${host.name}: ${found.wrong}`);
      else results.push(found.result);
      console.log(found.wrong ? `${host.name}: FAILED` : `${found.result.host.label}: ${found.result.hash}, ${seconds} s`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const hashes = new Set(results.map(({ hash }) => hash));
  // Relaxed bits are each host's own.
  if (hashes.size > 1 && options.precision !== 'relaxed')
    wrong.push(`the bits differ: ${results.map(({ host, hash }) => `${host.label} ${hash}`).join(', ')}`);
  return { results, wrong };
}

const names = hosts.map(({ name }) => name);
const { values, positionals } = commandLine({
  usage: `npm run bench:runtimes [-- [runtime ...] [options]]

Runs relpos bench --quick from one tarball in every runtime, one after the other, and writes bench/results/<date>-runtimes.json.

  (no runtime)      all of them: ${names.join(', ')}
  runtime ...       these alone; writes nothing unless --out says where
  --out <file>      writes the results there
  --only <pattern>  of all cases, those whose name fits; writes nothing unless --out says where
  --full            all cases and longer samples
  --precision <p>   reproducible, relaxed or int16 (default reproducible)
  --help            this`,
  kind: 'runtimes',
  names,
  options: {
    out: { type: 'string' },
    only: { type: 'string' },
    full: { type: 'boolean', default: false },
    precision: { type: 'string', default: 'reproducible' },
  },
});
const missing = installRuntimes().flatMap(({ name, error }) => (error ? [`${name}: ${error}`] : []));
for (const one of missing) console.error(`FAILED ${one}`);
const about = {
  format: 'relpos-bench-runtimes',
  date: new Date().toISOString(),
  command: ['npm run bench:runtimes', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' '),
  node: process.version,
  cpu: cpus()[0]?.model,
  cpus: cpus().length,
  load: loadavg()[0],
};
// What built and packed the library counts in the load too.
if (about.load > about.cpus) console.log(`load ${about.load.toFixed(1)}: the machine is busy, and the times mean little`);
const chosen = positionals.length ? hosts.filter(({ name }) => positionals.includes(name)) : hosts;
const { results, wrong: found } = await runAll(chosen, {
  threads: [1, cpus().length],
  precision: values.precision,
  quick: !values.full,
  ...(values.only && { only: values.only }),
});
const wrong = [...missing, ...found];
const whole = chosen.length === hosts.length && !values.only;
const out =
  values.out ??
  (whole && wrong.length === 0
    ? here(`../results/${about.date.slice(0, 10)}-runtimes${values.precision === 'reproducible' ? '' : `-${values.precision}`}.json`)
    : undefined);
if (out !== undefined) {
  writeFileSync(out, `${JSON.stringify({ ...about, results }, null, 2)}\n`);
  console.log(`written: ${out}\n`);
  if (results.length > 1) spawnSync(process.execPath, [here('../../dist/cli/main.js'), 'bench', '--compare', out], { stdio: 'inherit' });
}
for (const one of wrong) console.error(`FAILED ${one}`);
process.exitCode = wrong.length ? 1 : 0;
