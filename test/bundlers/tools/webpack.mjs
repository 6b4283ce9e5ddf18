// webpack, and Rspack, which takes the same configuration.
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { findingsIn } from '../pages.mjs';
import { versionOf } from '../program.mjs';

export const name = 'webpack';
export const version = () => versionOf('webpack');
export const findings = async (host) => findingsOf((await import('webpack')).default, name, host);

const WORKER = "new Worker(new URL('relpos/worker', import.meta.url), { type: 'module' })";

export async function findingsOf(bundle, project, { make, browser }) {
  const context = make(project, { 'worker.js': `export const worker = () => ${WORKER};\n` });
  const path = join(context, 'dist');
  const options = { context, mode: 'production', devtool: false, entry: { page: './page.js', strict: './strict.js' }, output: { path } };
  const stats = await new Promise((resolve, reject) => bundle(options, (error, stats) => (error ? reject(error) : resolve(stats))));
  if (stats.hasErrors()) throw new Error(stats.toString());
  for (const page of ['index.html', 'strict.html']) copyFileSync(join(context, page), join(path, page));
  return findingsIn(path, browser);
}
