// `npm run conformance`: the packed library in every host, and the table of what was found.
//   node test/conformance/main.mjs                    all hosts
//   node test/conformance/main.mjs workerd firefox    these, against the bits of the Node that runs this
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { commandLine } from '../words.mjs';
import { conformance } from './checks.mjs';
import { hosts } from './hosts.mjs';
import { installRuntimes } from './install.mjs';
import { pack } from './project.mjs';

const names = hosts.map(({ name }) => name);
const { positionals: asked } = commandLine({
  usage: `npm run conformance [-- host ...]

Runs the packed library in every host, compares the bits, and prints a table of what was found.

  (no host)  all of them: ${names.join(', ')}
  host ...   these, against the bits of ${names[0]}
  --help     this`,
  kind: 'hosts',
  names,
});
const work = mkdtempSync(join(tmpdir(), 'relpos-conformance-'));
try {
  const checks = [...installRuntimes(), ...(await conformance(pack(work), asked.length ? asked : undefined))];
  const failed = checks.filter(({ error }) => error);
  for (const { name, error } of failed) console.log(`FAILED ${name}\n${error}\n`);
  console.log(`${checks.length - failed.length} passed, ${failed.length} failed`);
  process.exitCode = failed.length ? 1 : 0;
} finally {
  rmSync(work, { recursive: true, force: true });
}
