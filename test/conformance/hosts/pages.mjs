// What hosts with pages share: a server of pages that load the packed library.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { build } from 'esbuild';
import { goldenFolder } from '../project.mjs';

const TYPES = {
  '.mjs': 'text/javascript',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
  '.safetensors': 'application/octet-stream',
};
/** The headers that let pages share memory. */
const ISOLATION = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };
const policy = (text) => ({ ...ISOLATION, 'Content-Security-Policy': text });

const IMPORTS = {
  relpos: '/node_modules/relpos/dist/index.js',
  'relpos/models': '/node_modules/relpos/dist/models/index.js',
  '@huggingface/tokenizers': '/node_modules/@huggingface/tokenizers/dist/tokenizers.mjs',
  'relpos/nn': '/node_modules/relpos/dist/nn/index.js',
  'relpos/safetensors': '/node_modules/relpos/dist/safetensors/index.js',
};
/** A page without a bundler. */
const MAPPED = `<!doctype html><title>relpos</title>
<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>
<script type="module" src="/page.mjs"></script>`;
/** A page whose policy allows no script in it, an import map neither. */
const BUNDLED = '<!doctype html><title>relpos</title><script type="module" src="/bundled.js"></script>';

const PAGES = {
  '/isolated': { html: MAPPED, headers: ISOLATION },
  '/plain': { html: MAPPED, headers: {} },
  '/strict': { html: BUNDLED, headers: policy("script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'") },
  '/forbidden': { html: BUNDLED, headers: policy("script-src 'self'; worker-src 'self'") },
};

/** An entry of the project as one file. */
async function bundle(project, entry, format) {
  const { outputFiles } = await build({
    entryPoints: [join(project.folder, entry)],
    bundle: true,
    write: false,
    format,
    target: 'es2022',
    logLevel: 'error',
  });
  return outputFiles[0].text;
}

/** Answers the pages above, `/golden/…`, the bundles and the project's files on the loopback interface. */
export async function servePages(project) {
  const scripts = {
    '/bundled.js': await bundle(project, 'page.mjs', 'esm'),
    '/in-worker.js': await bundle(project, 'in-worker.mjs', 'iife'),
  };
  const server = createServer(({ url }, response) => {
    const reply = (type, body, headers = ISOLATION) => response.writeHead(200, { 'Content-Type': type, ...headers }).end(body);
    if (Object.hasOwn(PAGES, url)) return reply('text/html', PAGES[url].html, PAGES[url].headers);
    if (Object.hasOwn(scripts, url)) return reply('text/javascript', scripts[url]);
    if (url === '/golden/') {
      return reply('application/json', JSON.stringify(readdirSync(goldenFolder).filter((name) => name.endsWith('.safetensors'))));
    }
    const path = url.startsWith('/golden/') ? join(goldenFolder, url.slice(8)) : join(project.folder, url);
    if (!existsSync(path)) return response.writeHead(404).end();
    return reply(TYPES[extname(path)] ?? 'text/plain', readFileSync(path));
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}
