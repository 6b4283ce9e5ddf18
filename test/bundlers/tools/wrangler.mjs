// wrangler: what `deploy` would send, run in workerd.
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import { root, run, tool, versionOf } from '../program.mjs';

export const name = 'wrangler';
export const version = () => versionOf('wrangler');

const DATE = '2026-04-01';
const FILES = {
  'wrangler.json': JSON.stringify({ name: 'relpos', main: 'handler.js', compatibility_date: DATE, minify: true }),
  'handler.js': "import { attend } from './attend.js';\n\nexport default { fetch: async () => Response.json(await attend()) };\n",
};
const TYPES = { '.js': 'ESModule', '.wasm': 'CompiledWasm' };

export async function findings({ make }) {
  const folder = make(name, FILES);
  await run(tool('wrangler'), ['deploy', '--dry-run', '--outdir', 'dist'], folder);
  const dist = join(folder, 'dist');
  const files = readdirSync(dist).filter((file) => extname(file) in TYPES);
  const main = join(dist, 'handler.js');
  const modules = [main, ...files.map((file) => join(dist, file)).filter((path) => path !== main)].map((path) => ({
    type: TYPES[extname(path)],
    path,
  }));
  const { Miniflare } = createRequire(join(root, 'node_modules/wrangler/package.json'))('miniflare');
  const worker = new Miniflare({ modules, modulesRoot: dist, compatibilityDate: DATE, telemetry: { enabled: false } });
  try {
    const response = await worker.dispatchFetch('http://localhost/');
    if (!response.ok) throw new Error(`workerd answers ${response.status}: ${await response.text()}`);
    return [{ way: 'worker in workerd', threads: 1, result: await response.json(), files: modules.map(({ path }) => path) }];
  } finally {
    await worker.dispose();
  }
}
