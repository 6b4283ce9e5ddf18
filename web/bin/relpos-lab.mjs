#!/usr/bin/env node
// Serves the page on the loopback interface, with the headers that let it use threads, and opens it.
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import open from 'open';
import sirv from 'sirv';
import { readOptions } from './options.mjs';

const { port, opens } = readOptions();
const site = fileURLToPath(new URL('../dist', import.meta.url));
if (!existsSync(`${site}/index.html`)) {
  process.stderr.write('relpos-lab: the page is not built; in a clone of the repository, "npm run lab" builds and serves it\n');
  process.exit(1);
}

const files = sirv(site, {
  dev: true, // Files are looked up when they are asked for: a page that is built anew meanwhile is served.
  etag: true,
  setHeaders(response) {
    response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
    response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
  },
});
const server = createServer((request, response) => {
  files(request, response, () => {
    response.statusCode = 404;
    response.end('There is no such file.\n');
  });
});
server.on('error', (error) => {
  const why = error.code === 'EADDRINUSE' ? `port ${port} is taken; --port 0 takes one that is free` : error.message;
  process.stderr.write(`relpos-lab: ${why}\n`);
  process.exit(1);
});
const unopened = () => process.stderr.write('relpos-lab: no browser could be opened here; open the address by hand\n');
server.listen(port, '127.0.0.1', async () => {
  const address = `http://127.0.0.1:${server.address().port}/`;
  process.stdout.write(`Position Lab: ${address}\n`);
  if (!opens) return;
  try {
    const opener = await open(address);
    opener.once('error', unopened);
    opener.once('exit', (code) => code && unopened());
  } catch {
    unopened();
  }
});
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    server.closeAllConnections();
    server.close(() => process.exit(0));
  });
}
