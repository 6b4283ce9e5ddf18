// The other runtimes, and what else of the tests is npm packages of a folder apart.
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, statSync } from 'node:fs';
import { join } from 'node:path';
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
function install(folder) {
  const args = ['ci', '--prefix', folder, '--no-audit', '--no-fund'];
  try {
    execFileSync('npm', args, { stdio: 'inherit' });
  } catch {
    execFileSync('npm', [...args, '--ignore-scripts'], { stdio: 'inherit' });
  }
}

/** Why nothing can be installed in a folder, in words: an install through a link empties the folder that it leads to. Else undefined. */
export function linked(folder) {
  const modules = join(folder, 'node_modules');
  const isLink = lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink();
  return isLink ? `${modules} is a link, and an install would empty what it leads to: remove the link` : undefined;
}

/**
 * Installs the packages of a folder when they are missing or not those of its lockfile. If that cannot be, without a network say, it is a
 * failure where everything must be, and elsewhere the tests name what they miss.
 */
export function installFolder(what, folder) {
  const name = `install ${what}`;
  const link = linked(folder);
  if (link) return [{ name, error: link }];
  const done = join(folder, 'node_modules/.package-lock.json');
  if (existsSync(done) && statSync(done).mtimeMs >= statSync(join(folder, 'package-lock.json')).mtimeMs) return [];
  try {
    install(folder);
  } catch (error) {
    if (process.env.CI === 'true') return [{ name, error: String(error) }];
    console.log(`${folder} could not be installed: ${error.message}`);
    return [];
  }
  return [{ name }];
}

/** The other runtimes. */
export const installRuntimes = () => installFolder('runtimes', path(''));

/** The trained encoder and the runtime it was published with. */
export const installTrained = () => installFolder('trained encoder', fileURLToPath(new URL('../models/trained/', import.meta.url)));

/** What Position Lab is built of. */
export const installLab = () => installFolder('lab', fileURLToPath(new URL('../../web/', import.meta.url)));

/** What relpos-bullmq stands on. */
export const installAdapters = () => installFolder('adapters', fileURLToPath(new URL('../../adapters/bullmq/', import.meta.url)));
