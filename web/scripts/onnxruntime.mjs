// The files of onnxruntime-web that the panel Speed loads when it is asked to, in public/onnxruntime: its module, its WebAssembly build for
// processors, and what they are.
import { cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const from = here('node_modules/onnxruntime-web');
const to = here('public/onnxruntime');
const WASM = 'ort-wasm-simd-threaded.wasm';

mkdirSync(to, { recursive: true });
for (const file of ['ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', WASM]) cpSync(`${from}/dist/${file}`, `${to}/${file}`);
const { version, license } = JSON.parse(readFileSync(`${from}/package.json`, 'utf8'));
const bytes = statSync(`${from}/dist/${WASM}`).size;
writeFileSync(`${to}/manifest.json`, `${JSON.stringify({ version, license, wasm: WASM, bytes })}\n`);
