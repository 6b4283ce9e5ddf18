// A process of its own that serves a function by Vercel's edge runtime: `edge-runtime.mjs <path of the package> <folder>` prints the address.
// The folder has function.js and the modules of WebAssembly that it finds as `wasmModules`; they are compiled here, in another realm than the
// function's, as Next and Vercel do it.
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';

const [, , path, folder] = process.argv;
const { EdgeRuntime, runServer } = createRequire(path)('edge-runtime');

const names = readdirSync(folder).filter((name) => name.endsWith('.wasm'));
const wasmModules = Object.fromEntries(names.map((name) => [name, new WebAssembly.Module(readFileSync(join(folder, name)))]));
const runtime = new EdgeRuntime({
  initialCode: readFileSync(join(folder, 'function.js'), 'utf8'),
  extend: (context) => Object.assign(context, { wasmModules }),
});
const { url } = await runServer({ runtime, host: '127.0.0.1', port: 0 });
console.log(`listening: ${new URL(url).origin}`);
