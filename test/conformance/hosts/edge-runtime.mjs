// Vercel's edge runtime. The kernels come from the `edge-light` entry: a module that was compiled in another realm.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { installed } from '../install.mjs';
import { bundleFor } from './bundle.mjs';
import { listening, ONE_THREAD, tryServer, withServer } from './serving.mjs';

const packageFile = installed('edge-runtime/package.json');
const server = fileURLToPath(new URL('../servers/edge-runtime.mjs', import.meta.url));

const missing = () => (existsSync(packageFile) ? undefined : `${packageFile} is no file`);

async function run(project) {
  const folder = join(project.folder, 'edge-runtime');
  mkdirSync(folder, { recursive: true });
  const { text, wasm } = await bundleFor(project, 'edge-function.mjs', {
    conditions: ['edge-light', 'worker', 'browser'],
    format: 'iife',
    moduleOf: (name) => `globalThis.wasmModules[${JSON.stringify(name)}]`,
  });
  writeFileSync(join(folder, 'function.js'), text);
  for (const [name, bytes] of wasm) writeFileSync(join(folder, name), bytes);
  const { version } = JSON.parse(readFileSync(packageFile, 'utf8'));
  const row = { host: 'edge-runtime', version, context: 'function', asked: 2, expected: { threads: 1, reason: ONE_THREAD } };
  const args = [server, packageFile, folder];
  return withServer({ program: process.execPath, args, listening }, (address) => tryServer(address, project, row));
}

export const edgeRuntime = { name: 'edge-runtime', runtime: 'edge-light', missing, run };
