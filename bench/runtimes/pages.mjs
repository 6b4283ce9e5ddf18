// A server of one isolated page that has the packed library, without a bundler.
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';

const TYPES = { '.mjs': 'text/javascript', '.js': 'text/javascript' };
const HEADERS = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };
const IMPORTS = { 'relpos/bench': '/node_modules/relpos/dist/bench/index.js' };
const PAGE = `<!doctype html><meta charset="utf-8"><title>relpos bench</title>
<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>
<script type="module" src="/page.mjs"></script>`;

/** Serves `folder` on the loopback interface. */
export function servePage(folder) {
  const server = createServer(({ url }, response) => {
    const reply = (type, body) => response.writeHead(200, { 'Content-Type': type, ...HEADERS }).end(body);
    if (url === '/') return reply('text/html', PAGE);
    const path = join(folder, url);
    if (!existsSync(path)) return response.writeHead(404).end();
    return reply(TYPES[extname(path)] ?? 'text/plain', readFileSync(path));
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}
