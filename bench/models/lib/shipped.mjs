/** Bytes that a page fetches before it has the first vector: the bundled package with its kernels and its tokenizer, and other packages' files. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { CACHE, checkpoint } from './checkpoints.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const CODE = `import { loadEncoder } from '${here('../../../dist/models/index.js')}';
export async function first(files, weights) {
  const encoder = await loadEncoder(files, { weights, threads: 1 });
  const [vector] = await encoder.embed(['w100 w200']);
  encoder.dispose();
  return vector;
}`;

const FILES = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors'];

/** Every chunk of a bundle says its own name when it is executed: those that do so are those that are fetched. */
const FOOTER = '(globalThis.relposChunks??=[]).push(import.meta.url)';

/** The chunks that the first vector of a folder's model takes, as `{ name, bytes, gzip }`. */
async function chunksOf(model) {
  const folder = mkdtempSync(join(CACHE, 'bundle-'));
  try {
    await build({
      stdin: { contents: CODE, resolveDir: here('../../..'), sourcefile: 'page.js' },
      bundle: true,
      splitting: true,
      outdir: folder,
      outExtension: { '.js': '.mjs' },
      minify: true,
      format: 'esm',
      target: 'es2022',
      platform: 'browser',
      external: ['*.wasm', '*.wasm?module', '@huggingface/jinja'],
      footer: { js: FOOTER },
      logLevel: 'error',
    });
    globalThis.relposChunks = [];
    const { first } = await import(pathToFileURL(join(folder, 'stdin.mjs')).href);
    await first(Object.fromEntries(FILES.map((name) => [name, readFileSync(join(model, name))])), 'i8');
    return globalThis.relposChunks.map((url) => {
      const code = readFileSync(fileURLToPath(url));
      const bytes = code.subarray(0, code.lastIndexOf(FOOTER));
      return { name: basename(url), bytes: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length };
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const sized = (paths) => {
  const files = paths.map((path) => readFileSync(here(path)));
  return {
    bytes: files.reduce((sum, { length }) => sum + length, 0),
    gzip: files.reduce((sum, file) => sum + gzipSync(file, { level: 9 }).length, 0),
  };
};

const MODULES = '../node_modules';
const WASM = 'ort-wasm-simd-threaded';

/** What a page fetches of others: their smallest code and the kernels that it asks for. The first has no tokenizer. */
const OTHERS = {
  'onnxruntime-web': ['ort.wasm.min.mjs', `${WASM}.mjs`, `${WASM}.wasm`].map(
    (file) => `../../peers/node_modules/onnxruntime-web/dist/${file}`,
  ),
  'transformers.js': [
    `${MODULES}/@huggingface/transformers/dist/transformers.web.min.js`,
    ...['mjs', 'wasm'].map((end) => `${MODULES}/onnxruntime-web/dist/${WASM}.asyncify.${end}`),
  ],
  wllama: ['index.min.js', 'wasm/wllama.wasm'].map((file) => `${MODULES}/@wllama/wllama/esm/${file}`),
};

export async function runRows(model, [{ id }], _, report) {
  const chunks = await chunksOf(checkpoint(model));
  const sum = (field) => chunks.reduce((total, chunk) => total + chunk[field], 0);
  const own = { name: 'relpos', bytes: sum('bytes'), gzip: sum('gzip'), chunks };
  const others = Object.entries(OTHERS).map(([name, paths]) => ({ name, ...sized(paths) }));
  report({ id, shipped: [own, ...others] });
}
