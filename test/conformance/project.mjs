// A fresh project with the packed library installed, as a user has it.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Where the golden files are. */
export const goldenFolder = fileURLToPath(new URL('../golden/', import.meta.url));
const here = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Packs the built library into `folder`; returns the tarball's path. */
export function pack(folder) {
  const [{ filename }] = JSON.parse(
    execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], { cwd: root, encoding: 'utf8' }),
  );
  return join(folder, filename);
}

/** Makes the project: the library from the tarball, the bundle of the cases and the entries beside it. */
export async function makeProject(tarball) {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'relpos-conformance-')));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'conformance', private: true, type: 'module' }));
  execFileSync('npm', ['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', tarball], { cwd: folder });
  await build({
    entryPoints: [here('conform.ts')],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    outfile: join(folder, 'conform.mjs'),
    logLevel: 'error',
  });
  for (const name of readdirSync(here('entries'))) copyFileSync(here(`entries/${name}`), join(folder, name));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
