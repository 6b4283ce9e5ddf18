// The tools are npm packages of this folder, with a lockfile of its own.
import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { linked } from '../conformance/install.mjs';
import { ENVIRONMENT, root, runtime } from './program.mjs';

const fresh = (done, lock) => existsSync(done) && statSync(done).mtimeMs >= statSync(lock).mtimeMs;

/** Installs the tools when they are missing or not those of the lockfile. After this nothing needs the network. */
export function installTools() {
  const name = 'install bundlers';
  const link = linked(root);
  if (link) return [{ name, error: link }];
  try {
    if (!fresh(join(root, 'node_modules/.package-lock.json'), join(root, 'package-lock.json'))) {
      execFileSync('npm', ['ci', '--prefix', root, '--no-audit', '--no-fund'], { stdio: 'inherit' });
    }
    installDenoBundle();
    return [{ name }];
  } catch (error) {
    if (process.env.CI === 'true') return [{ name, error: String(error) }];
    console.log(`test/bundlers could not be installed: ${error.message}`);
    return [];
  }
}

/** `deno bundle` downloads what it works with at its first use; that use is here. */
function installDenoBundle() {
  if (!existsSync(runtime('deno')) || existsSync(join(ENVIRONMENT.DENO_DIR, 'dl'))) return;
  const words = [
    'bundle',
    '--quiet',
    '--external',
    'relpos/worker',
    '--output',
    join(ENVIRONMENT.DENO_DIR, 'first.js'),
    'app/worker-entry.js',
  ];
  execFileSync(runtime('deno'), words, { cwd: root, env: ENVIRONMENT, stdio: 'inherit' });
}
