// `npm run lab`: builds the library and Position Lab, the page of web/, serves it on this computer and opens it. Takes what relpos-lab takes.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { installLab } from '../test/conformance/install.mjs';
import { readOptions } from '../web/bin/options.mjs';

readOptions(); // Help, or what is wrong in the words, before a minute of building.
const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs a script of a package.json; what it says went wrong is on the screen. */
function run(script, folder) {
  try {
    execFileSync('npm', ['run', '--silent', script], { cwd: folder, stdio: 'inherit' });
  } catch {
    process.stderr.write(`npm run lab: "npm run ${script}" in ${folder} failed\n`);
    process.exit(1);
  }
}

if (!existsSync(`${root}/node_modules`)) {
  process.stderr.write('npm run lab: the packages of this folder are not installed; "npm ci" does that\n');
  process.exit(1);
}
run('build', root);
const failed = installLab().find(({ error }) => error);
if (failed || !existsSync(`${root}/web/node_modules/sirv`)) {
  process.stderr.write(`npm run lab: the packages of web/ could not be installed${failed ? `: ${failed.error}` : ''}\n`);
  process.exit(1);
}
run('build', `${root}/web`);
await import('../web/bin/relpos-lab.mjs');
