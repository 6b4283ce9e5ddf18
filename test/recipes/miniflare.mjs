// A process of its own that serves the embedding worker by Miniflare, with a bucket of R2 that has checkpoints in it:
//   miniflare.mjs <package.json of miniflare> <folder of modules> <settings, as JSON> <name=folder,name=folder,…>
// prints the address.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import process from 'node:process';

const [, , path, folder, settings, models] = process.argv;
const { Miniflare } = createRequire(path)('miniflare');
const { compatibility_date: compatibilityDate, compatibility_flags: compatibilityFlags, vars } = JSON.parse(settings);

const types = { '.mjs': 'esm', '.wasm': 'wasm' };
const names = readdirSync(folder).filter((name) => Object.hasOwn(types, extname(name)));
const modules = Object.fromEntries(names.map((name) => [name, { type: types[extname(name)], contents: readFileSync(join(folder, name)) }]));
const texts = Object.entries(vars).map(([name, value]) => [name, { type: 'text', value }]);

const server = new Miniflare({
  workers: [
    {
      config: {
        name: 'embeddings',
        compatibilityDate,
        compatibilityFlags,
        manifest: { mainModule: 'bundle.mjs', modulesRoot: folder, modules },
        env: { MODELS: { type: 'r2', name: 'models' }, ...Object.fromEntries(texts) },
      },
    },
  ],
  host: '127.0.0.1',
  port: 0,
  cf: false, // else it asks the network where on earth this machine is
  enableDevRegistry: false, // else it writes beside the user's other workers
});
const bucket = await server.getR2Bucket('MODELS');
const FILES = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors'];
for (const pair of models.split(',')) {
  const [name, from] = pair.split('=');
  for (const file of FILES) if (existsSync(join(from, file))) await bucket.put(`${name}/${file}`, readFileSync(join(from, file)));
}
console.log(`listening: ${(await server.ready).origin}`);
// Its own workerd ends with it.
process.on('SIGTERM', () => server.dispose().then(() => process.exit(0)));
