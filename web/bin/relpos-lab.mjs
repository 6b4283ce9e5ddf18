#!/usr/bin/env node
// Serves the page on the loopback interface, with the headers that let it use threads, and opens it.
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import open from 'open';
import sirv from 'sirv';

const USAGE = `relpos-lab: Position Lab on this computer

  relpos-lab              serves the page on http://127.0.0.1:4173/ and opens it in the browser
  relpos-lab --port 8080  on another port; 0 takes one that is free
  relpos-lab --no-open    opens nothing, prints the address
  relpos-lab --help       this

All is computed in the page, by this machine's processor; nothing leaves it. The folder "dist" of this package is the whole site,
for any host of files. Ctrl+C ends it.
`;

function readOptions() {
  try {
    const options = { port: { type: 'string', default: '4173' }, 'no-open': { type: 'boolean' }, help: { type: 'boolean', short: 'h' } };
    const { values } = parseArgs({ options });
    const port = Number(values.port);
    if (!/^\d+$/.test(values.port) || port > 65535) throw new Error(`--port expected a number from 0 to 65535, got "${values.port}"`);
    return { port, opens: !values['no-open'], help: values.help };
  } catch (error) {
    process.stderr.write(`relpos-lab: ${error.message}\nrelpos-lab --help says what there is.\n`);
    return process.exit(2);
  }
}

const { port, opens, help } = readOptions();
if (help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const site = fileURLToPath(new URL('../dist', import.meta.url));
if (!existsSync(`${site}/index.html`)) {
  process.stderr.write('relpos-lab: the page is not built; in a clone of the repository, "npm run lab" builds and serves it\n');
  process.exit(1);
}

const files = sirv(site, {
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
server.listen(port, '127.0.0.1', async () => {
  const address = `http://127.0.0.1:${server.address().port}/`;
  process.stdout.write(`Position Lab: ${address}\n`);
  if (!opens) return;
  try {
    const browser = await open(address);
    browser.once('error', () => process.stderr.write('relpos-lab: no browser could be opened here; open the address by hand\n'));
  } catch {
    process.stderr.write('relpos-lab: no browser could be opened here; open the address by hand\n');
  }
});
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    server.closeAllConnections();
    server.close(() => process.exit(0));
  });
}
