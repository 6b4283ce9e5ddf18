/** A server of one isolated page: the built library, onnxruntime-web and a bundle of the page's own modules. */
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const FOLDERS = { '/dist/': here('../../../dist/'), '/ort/': here('../node_modules/onnxruntime-web/dist/') };
const IMPORTS = { relpos: '/dist/index.js', 'onnxruntime-web': '/ort/ort.wasm.min.mjs' };
const TYPES = { '.mjs': 'text/javascript', '.js': 'text/javascript', '.wasm': 'application/wasm' };
/** Isolated: clocks with fine steps, and shared memory for whoever wants it. */
const HEADERS = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };
const PAGE = `<!doctype html><meta charset="utf-8"><title>relpos and its peers</title>
<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>
<script type="module" src="/page.mjs"></script>`;

const bundle = async () => {
  const { outputFiles } = await build({
    entryPoints: [here('../page.mjs')],
    bundle: true,
    format: 'esm',
    write: false,
    external: Object.keys(IMPORTS),
    logLevel: 'error',
  });
  return outputFiles[0].text;
};

/** The file of an address below one of the folders. */
function fileOf(url) {
  const prefix = Object.keys(FOLDERS).find((one) => url.startsWith(one));
  const path = prefix && FOLDERS[prefix] + url.slice(prefix.length);
  return path && !url.includes('..') && existsSync(path) ? path : undefined;
}

/** Serves the page on the loopback interface. */
export async function servePage() {
  const script = await bundle();
  const server = createServer(({ url }, response) => {
    const reply = (type, body) => response.writeHead(200, { 'Content-Type': type, ...HEADERS }).end(body);
    if (url === '/') return reply('text/html', PAGE);
    if (url === '/page.mjs') return reply('text/javascript', script);
    const path = fileOf(url);
    if (path === undefined) return response.writeHead(404).end();
    return reply(TYPES[extname(path)] ?? 'text/plain', readFileSync(path));
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}
