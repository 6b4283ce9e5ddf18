// A process of its own that serves a folder of modules by Miniflare: `miniflare.mjs <path of the package> <folder> <date> <flag,flag,…>`
// prints the address. The first module is worker.mjs.
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';

const [, , path, folder, compatibilityDate, flags] = process.argv;
const { Miniflare } = createRequire(path)('miniflare');

const types = { '.mjs': 'ESModule', '.wasm': 'CompiledWasm' };
const modules = readdirSync(folder)
  .filter((name) => name === 'worker.mjs' || name.endsWith('.wasm'))
  .sort((a, b) => Number(b === 'worker.mjs') - Number(a === 'worker.mjs'))
  .map((name) => ({ type: types[name.slice(name.lastIndexOf('.'))], path: join(folder, name), contents: readFileSync(join(folder, name)) }));

const server = new Miniflare({
  modules,
  modulesRoot: folder,
  compatibilityDate,
  compatibilityFlags: flags ? flags.split(',') : [],
  host: '127.0.0.1',
  port: 0,
  cf: false, // else it asks the network where on earth this machine is
});
console.log(`listening: ${(await server.ready).origin}`);
// Its own workerd ends with it.
process.on('SIGTERM', () => server.dispose().then(() => process.exit(0)));
