// A process of its own that serves a folder of modules by Miniflare: `miniflare.mjs <path of the package> <folder> <date> <flag,flag,…>`
// prints the address.
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import process from 'node:process';

const [, , path, folder, compatibilityDate, flags] = process.argv;
const { Miniflare } = createRequire(path)('miniflare');

const types = { '.mjs': 'esm', '.wasm': 'wasm' };
const names = readdirSync(folder).filter((name) => name === 'worker.mjs' || name.endsWith('.wasm'));
const modules = Object.fromEntries(names.map((name) => [name, { type: types[extname(name)], contents: readFileSync(join(folder, name)) }]));

const server = new Miniflare({
  workers: [
    {
      config: {
        name: 'relpos',
        compatibilityDate,
        compatibilityFlags: flags ? flags.split(',') : [],
        manifest: { mainModule: 'worker.mjs', modulesRoot: folder, modules },
      },
    },
  ],
  host: '127.0.0.1',
  port: 0,
  cf: false, // else it asks the network where on earth this machine is
  enableDevRegistry: false, // else it writes beside the user's other workers
});
console.log(`listening: ${(await server.ready).origin}`);
// Its own workerd ends with it.
process.on('SIGTERM', () => server.dispose().then(() => process.exit(0)));
