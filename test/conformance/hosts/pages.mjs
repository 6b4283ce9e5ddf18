// What hosts with pages share: a server of pages that load the packed library.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { goldenFolder } from '../project.mjs';

const TYPES = {
  '.mjs': 'text/javascript',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
  '.safetensors': 'application/octet-stream',
};
/** The headers that let pages share memory. */
const ISOLATION = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };
const IMPORTS = {
  relpos: '/node_modules/relpos/dist/index.js',
  'relpos/safetensors': '/node_modules/relpos/dist/safetensors/index.js',
};
const PAGE = `<!doctype html><title>relpos</title>
<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>
<script type="module" src="/page.mjs"></script>`;

/** What a page without the headers is told. */
export const NOT_ISOLATED = /Cross-Origin-Embedder-Policy/;

/** Answers `/isolated`, `/plain`, `/golden/…` and the project's files on the loopback interface. */
export function servePages(project) {
  const server = createServer(({ url }, response) => {
    const reply = (type, body, headers = ISOLATION) => response.writeHead(200, { 'Content-Type': type, ...headers }).end(body);
    if (url === '/isolated') return reply('text/html', PAGE);
    if (url === '/plain') return reply('text/html', PAGE, {});
    if (url === '/golden/') {
      return reply('application/json', JSON.stringify(readdirSync(goldenFolder).filter((name) => name.endsWith('.safetensors'))));
    }
    const path = url.startsWith('/golden/') ? join(goldenFolder, url.slice(8)) : join(project.folder, url);
    if (!existsSync(path)) return response.writeHead(404).end();
    return reply(TYPES[extname(path)] ?? 'text/plain', readFileSync(path));
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}
