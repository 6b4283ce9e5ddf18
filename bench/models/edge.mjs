// What a model takes of a worker's 128 MB: the embedding worker's way of loading in workerd, with seeded weights in the shapes of known models.
//   node bench/models/edge.mjs [--record]     bench/results/<date>-edge.json
// Measured after a text of 256 tokens: the engine's memory, and by the inspector the heap of the script and its buffers, nothing collected. Larger models
// are estimated from their headers.
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { estimate } from '../../dist/models/index.js';
import { installed } from '../../test/conformance/install.mjs';
import { CACHE, checkpoint } from './lib/checkpoints.mjs';
import { bert, modelOf } from './lib/shapes.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const ROWS = ['minilm', 'bge-small'].flatMap((model) => ['i8', 'i4'].map((weights) => ({ model, weights })));
const LARGE = [modelOf('minilm'), modelOf('bge-small'), bert('bge-base', 12, 768, 12)];
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
const PROBE = `
import { createEngineSync } from 'relpos';
import { loadEncoder } from 'relpos/models';
const store = (disk, folder) => ({
  async get(name, range) {
    const headers = range ? { range: \`bytes=\${range.offset}-\${range.offset + range.length - 1}\` } : {};
    const { status, headers: got, body } = await disk.fetch(\`http://disk/\${folder}/\${name}\`, { headers });
    if (status === 404) return null;
    return { size: Number(got.get('content-range')?.split('/')[1] ?? got.get('content-length')), body };
  },
});
let kept;
export default {
  async fetch({ url }, { DISK }) {
    const { searchParams } = new URL(url);
    const engine = createEngineSync();
    kept = { engine, encoder: await loadEncoder(store(DISK, searchParams.get('folder')), { engine, weights: searchParams.get('weights') }) };
    await kept.encoder.embed('w200 '.repeat(254));
    return Response.json(engine.memoryUsage());
  },
};`;

const config = (kernels) => `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .worker), (name = "models", disk = (path = "${CACHE}"))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  compatibilityDate = "2026-05-01",
  bindings = [(name = "DISK", service = "models")],
  modules = [
    (name = "bundle.mjs", esModule = embed "bundle.mjs"),
    ${kernels.map((name) => `(name = "${name}", wasm = embed "${name}"),`).join('\n    ')}
  ],
);
`;

/** Puts a bundle of code and its kernels into the folder, as wrangler does; their names. */
async function bundle(folder, options) {
  const kernels = new Set();
  const setup = ({ onResolve }) => {
    onResolve({ filter: /\.wasm$/ }, ({ path, resolveDir }) => {
      kernels.add(basename(path));
      copyFileSync(join(resolveDir, path), join(folder, basename(path)));
      return { path: `./${basename(path)}`, external: true };
    });
  };
  await build({
    ...options,
    bundle: true,
    minify: true,
    outfile: join(folder, 'bundle.mjs'),
    format: 'esm',
    target: 'es2022',
    conditions: ['workerd', 'worker', 'browser'],
    logLevel: 'error',
    plugins: [{ name: 'kernels', setup }],
  });
  return [...kernels];
}

/** The first match of what a process prints. */
const heard = (server, patterns) =>
  new Promise((resolve, reject) => {
    let printed = '';
    const hear = (text) => {
      printed += text;
      const found = patterns.map((pattern) => pattern.exec(printed)?.[1]);
      if (found.every(Boolean)) resolve(found);
    };
    for (const stream of [server.stdout, server.stderr]) stream.setEncoding('utf8').on('data', hear);
    server.on('exit', (code) => reject(new Error(`workerd ended with ${code}: ${printed}`)));
  });

/** The isolate's heap. */
async function heapOf(inspector) {
  const { WebSocket } = createRequire(installed('ws/package.json'))('ws');
  const socket = new WebSocket(`ws://127.0.0.1:${inspector}/main`);
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
  try {
    const answer = new Promise((resolve) => socket.once('message', resolve));
    socket.send(JSON.stringify({ id: 1, method: 'Runtime.getHeapUsage' }));
    return JSON.parse(String(await answer)).result;
  } finally {
    socket.close();
  }
}

/** What a model takes by `estimate`, of whose weights there is the header alone. */
async function estimated({ name, config, tensors }, weights) {
  let end = 0;
  const header = Object.fromEntries(
    tensors.map(([key, shape]) => {
      const begin = end;
      end += 2 * shape.reduce((product, n) => product * n, 1);
      return [key, { dtype: 'BF16', shape, data_offsets: [begin, end] }];
    }),
  );
  const text = Buffer.from(JSON.stringify(header));
  const file = Buffer.concat([Buffer.alloc(8), text]);
  file.writeBigUInt64LE(BigInt(text.length));
  const size = file.length + end;
  const files = { 'config.json': Buffer.from(JSON.stringify(config)), 'model.safetensors': file };
  const get = (path, range) => {
    const whole = files[path];
    if (!whole) return undefined;
    const length = path === 'model.safetensors' ? size : whole.length;
    const part = Buffer.alloc(range ? Math.min(range.length, length - range.offset) : length);
    whole.copy(part, 0, range?.offset ?? 0);
    return { size: length, body: part };
  };
  const { total } = await estimate({ get }, { weights });
  return { model: name, weights, total };
}

async function measure(folder, { model, weights }) {
  const args = ['serve', '--control-fd=1', '--inspector-addr=127.0.0.1:0', join(folder, 'config.capnp')];
  const server = spawn(installed('workerd/bin/workerd'), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    const [port, inspector] = await heard(server, [/"socket":"http","port":(\d+)/, /"event":"listen-inspector","port":(\d+)/]);
    const own = basename(checkpoint(modelOf(model)));
    const began = performance.now();
    const response = await fetch(`http://127.0.0.1:${port}/?folder=${own}&weights=${weights}`);
    const text = await response.text();
    if (!response.ok) throw new Error(text);
    const ms = performance.now() - began;
    return { model, weights, ms, engine: JSON.parse(text), heap: await heapOf(inspector) };
  } finally {
    server.removeAllListeners('exit');
    server.kill();
  }
}

const folder = mkdtempSync(join(tmpdir(), 'relpos-edge-'));
try {
  const { environment } = await import('../peers/lib/environment.mjs');
  const about = environment();
  const example = await bundle(folder, { entryPoints: [join(root, 'examples/embedding-worker/worker.mjs')] });
  const files = ['bundle.mjs', ...example].map((name) => readFileSync(join(folder, name)));
  const script = { bytes: files.reduce((sum, { length }) => sum + length, 0), gzip: gzipSync(Buffer.concat(files), { level: 9 }).length };
  const kernels = await bundle(folder, { stdin: { contents: PROBE, resolveDir: root } });
  writeFileSync(join(folder, 'config.capnp'), config(kernels));
  for (const { model } of ROWS) checkpoint(modelOf(model));
  const rows = [];
  for (const row of ROWS) rows.push(await measure(folder, row));
  for (const { model, weights, ms, engine, heap } of rows) {
    const script = heap.totalSize + heap.backingStorageSize;
    console.log(
      `${model} ${weights}: engine ${megabytes(engine.reserved)}, script ${megabytes(script)}, ${ms.toFixed(0)} ms to the first vector`,
    );
  }
  const estimates = [];
  for (const weights of ['f32', 'i8', 'i4']) for (const model of LARGE) estimates.push(await estimated(model, weights));
  for (const { model, weights, total } of estimates) console.log(`${model} ${weights}: ${megabytes(total)} by estimate`);
  console.log(`script: ${script.bytes} bytes, ${script.gzip} gzip`);
  const workerd = execFileSync(installed('workerd/bin/workerd'), ['--version'], { encoding: 'utf8' }).trim();
  const text = `${JSON.stringify({ format: 'relpos-bench-edge', ...about, command: 'node bench/models/edge.mjs --record', workerd, script, rows, estimates }, null, 2)}\n`;
  if (process.argv.includes('--record')) writeFileSync(join(root, `bench/results/${about.date.slice(0, 10)}-edge.json`), text);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
