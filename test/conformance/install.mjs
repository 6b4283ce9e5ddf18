// The other runtimes, which are npm packages of a folder apart.
import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(`../runtimes/${name}`, import.meta.url));

/** The path of a file of a package there. */
export const installed = (name) => path(`node_modules/${name}`);

/**
 * Installs them when they are missing or not those of the lockfile. What is not made for this machine npm leaves out; if it cannot install
 * at all, without a network say, that is a failure where everything must be, and elsewhere the hosts name what they miss.
 */
export function installRuntimes() {
  const name = 'install runtimes';
  const done = installed('.package-lock.json');
  if (existsSync(done) && statSync(done).mtimeMs >= statSync(path('package-lock.json')).mtimeMs) return [];
  try {
    execFileSync('npm', ['ci', '--prefix', path(''), '--no-audit', '--no-fund'], { stdio: 'inherit' });
  } catch (error) {
    if (process.env.CI === 'true') return [{ name, error: String(error) }];
    console.log(`test/runtimes could not be installed: ${error.message}`);
    return [];
  }
  return [{ name }];
}
