// Parcel reads a package's "exports" only if it is told to, and takes a package's file in `new URL` only with `npm:` before it.
import { join } from 'node:path';
import { findingsIn } from '../pages.mjs';
import { run, tool, versionOf } from '../program.mjs';

export const name = 'parcel';
export const version = () => versionOf('parcel');

const WORKER = "new Worker(new URL('npm:relpos/worker', import.meta.url), { type: 'module' })";

export async function findings({ make, browser }) {
  const folder = make(name, {
    'package.json': JSON.stringify({ name, private: true, '@parcel/resolver-default': { packageExports: true } }),
    'worker.js': `export const worker = () => ${WORKER};\n`,
  });
  await run(tool('parcel'), ['build', 'index.html', 'strict.html', '--no-source-maps', '--no-cache', '--dist-dir', 'dist'], folder);
  return findingsIn(join(folder, 'dist'), browser);
}
