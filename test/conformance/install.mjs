// The other runtimes, which are npm packages of a folder apart.
import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(`../runtimes/${name}`, import.meta.url));

/** Why a program cannot be used, in words; undefined if it answers `--version`. */
export function unusable(program) {
  if (!existsSync(program)) return `${program} is no file`;
  try {
    execFileSync(program, ['--version'], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `${program} does not run: ${String(error.message).split('\n')[0]}`;
  }
}

/** The path of a file of a package there. */
export const installed = (name) => path(`node_modules/${name}`);

/** npm leaves out what is optional and not made for this machine. The rest it installs also where a package's own script fails. */
function install() {
  const args = ['ci', '--prefix', path(''), '--no-audit', '--no-fund'];
  try {
    execFileSync('npm', args, { stdio: 'inherit' });
  } catch {
    execFileSync('npm', [...args, '--ignore-scripts'], { stdio: 'inherit' });
  }
}

/**
 * Installs them when they are missing or not those of the lockfile. If that cannot be, without a network say, it is a failure where
 * everything must be, and elsewhere the hosts name what they miss.
 */
export function installRuntimes() {
  const name = 'install runtimes';
  const done = installed('.package-lock.json');
  if (existsSync(done) && statSync(done).mtimeMs >= statSync(path('package-lock.json')).mtimeMs) return [];
  try {
    install();
  } catch (error) {
    if (process.env.CI === 'true') return [{ name, error: String(error) }];
    console.log(`test/runtimes could not be installed: ${error.message}`);
    return [];
  }
  return [{ name }];
}
