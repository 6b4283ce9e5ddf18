// Serves this folder and the built package with the two headers that let a page share memory with workers.
//   npm run build && node examples/browser/server.mjs [port]
//   node examples/browser/server.mjs --check      starts, asks itself for every file, stops
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' };
const HEADERS = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  // The least that a page with relpos needs: its own scripts, WebAssembly, and workers from a blob.
  'Content-Security-Policy': "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src blob:; style-src 'unsafe-inline'",
};

/** Only these two folders are served. */
const fileOf = (path) => {
  if (path === '/') return 'examples/browser/index.html';
  if (/^\/dist\/[\w/-]+\.(js|wasm)$/.test(path)) return path.slice(1);
  return path === '/page.js' ? 'examples/browser/page.js' : undefined;
};

const server = createServer(async ({ url }, response) => {
  const file = fileOf(new URL(url, 'http://localhost').pathname);
  try {
    const body = await readFile(root + file);
    response.writeHead(200, { 'Content-Type': TYPES[extname(file)], ...HEADERS }).end(body);
  } catch {
    response.writeHead(404, HEADERS).end('not found');
  }
});

const check = process.argv[2] === '--check';
const port = check ? 0 : Number(process.argv[2] ?? 8080);
const stop = (why) => {
  console.error(`cannot serve on port ${process.argv[2] ?? port}: ${why}`);
  process.exit(1);
};
if (!(Number.isInteger(port) && port >= 0 && port < 65536)) stop('expected a whole number from 0 to 65535');
server.on('error', ({ message }) => stop(message));
server.listen(port, '127.0.0.1', async () => {
  const address = `http://127.0.0.1:${server.address().port}/`;
  if (!check) return console.log(`open ${address}`);
  for (const path of ['', 'page.js', 'dist/index.js']) {
    const { status } = await fetch(address + path);
    console.log(`${status} /${path}`);
    if (status !== 200) process.exitCode = 1;
  }
  server.closeAllConnections();
  server.close();
});
