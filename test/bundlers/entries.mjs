// Bundlers that do not follow `new Worker(new URL(…))`: the worker is an entry of its own, whose file the page names.
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { findingsIn } from './pages.mjs';

const WORKER = "new Worker('/worker-entry.js', { type: 'module' })";

export const ENTRIES = ['page.js', 'strict.js', 'worker-entry.js'];

/** The findings of the pages whose scripts `bundle(folder)` makes of `ENTRIES`, in `dist`. */
export async function findingsOfEntries(name, { make, browser }, bundle) {
  const folder = make(name, { 'worker.js': `export const worker = () => ${WORKER};\n` });
  await bundle(folder);
  for (const page of ['index.html', 'strict.html']) copyFileSync(join(folder, page), join(folder, 'dist', page));
  return findingsIn(join(folder, 'dist'), browser);
}
