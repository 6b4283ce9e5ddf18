// `npm run bundlers`: an app of ten lines, built from the packed library by each tool and run where it belongs.
//   node test/bundlers/main.mjs                    all tools
//   node test/bundlers/main.mjs vite next          these
//   node test/bundlers/main.mjs --record           writes bench/results/<date>-bundlers.json as well; scripts/docs.mjs makes docs/bundlers.md of it
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { installRuntimes } from '../conformance/install.mjs';
import { pack } from '../conformance/project.mjs';
import { commandLine } from '../words.mjs';
import { bundlers, NAMES } from './checks.mjs';
import { installTools } from './install.mjs';

const { values, positionals } = commandLine({
  usage: `npm run bundlers [-- [tool ...] [--record]]

Builds an app of ten lines from the packed library with each tool, and runs it where it belongs.

  (no tool)  all of them: ${NAMES.join(', ')}
  tool ...   these alone
  --record   writes bench/results/<date>-bundlers.json as well, of which scripts/docs.mjs makes docs/bundlers.md
  --help     this`,
  kind: 'tools',
  names: NAMES,
  options: { record: { type: 'boolean' } },
});

const date = new Date().toISOString().slice(0, 10);
const about = { date, node: process.versions.node, cpus: cpus().length, cpu: cpus()[0].model, load: loadavg()[0] };
const work = mkdtempSync(join(tmpdir(), 'relpos-bundlers-'));
try {
  const installed = [...installRuntimes(), ...installTools()];
  const { rows, checks } = await bundlers(pack(work), positionals.length ? positionals : NAMES);
  const all = [...installed, ...checks];
  const failed = all.filter(({ error }) => error);
  for (const { name, error } of failed) console.log(`FAILED ${name}\n${error}\n`);
  console.log(`${all.length - failed.length} passed, ${failed.length} failed`);
  process.exitCode = failed.length ? 1 : 0;
  if (values.record && !failed.length) {
    const path = fileURLToPath(new URL(`../../bench/results/${date}-bundlers.json`, import.meta.url));
    writeFileSync(path, `${JSON.stringify({ ...about, command: 'npm run bundlers -- --record', rows }, null, 1)}\n`);
    console.log(path);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
