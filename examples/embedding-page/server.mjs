// Serves this page, the built package and a model, on the loopback interface.
//   npm run build && node examples/embedding-page/server.mjs models/minilm [port]
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, sep } from 'node:path';
import process from 'node:process';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const TYPES = {
  '.html': 'text/html',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.json': 'application/json',
};
const ISOLATION = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

/** Where a path's file is; undefined for what is not served. */
function fileOf(path, model) {
  if (path === '/') return here('index.html');
  if (path === '/page.js' || path === '/style.css') return here(`.${path}`);
  if (path === '/tokenizers.mjs') return fileURLToPath(import.meta.resolve('@huggingface/tokenizers'));
  if (/^\/relpos\/[\w/-]+\.js$/.test(path)) return here(`../../dist/${path.slice(8)}`);
  const file = path.startsWith('/model/') ? join(model, path.slice(7)) : '';
  return file.startsWith(join(model, sep)) ? file : undefined;
}

/** The least that the page needs: its own scripts, the import map in it, WebAssembly, workers from a blob, models from anywhere. */
function policyOf(html) {
  const [, map] = /<script type="importmap">(.*?)<\/script>/s.exec(html);
  const hash = createHash('sha256').update(map).digest('base64');
  const scripts = `script-src 'self' 'wasm-unsafe-eval' 'sha256-${hash}'`;
  return `default-src 'self'; ${scripts}; worker-src blob:; img-src data:; connect-src 'self' https:`;
}

/**
 * A handler of requests.
 *
 * @param model folder of the model
 * @param options `isolated: false` leaves out the headers that let the page share memory with workers; `change` is given the page's HTML
 */
export function site(model, { isolated = true, change = (html) => html } = {}) {
  return async ({ url, headers: { range } }, response) => {
    const file = fileOf(decodeURIComponent(new URL(url, 'http://localhost').pathname), model);
    const headers = { 'Content-Type': TYPES[extname(file ?? '')] ?? 'application/octet-stream', ...(isolated && ISOLATION) };
    try {
      if (!file) throw new Error('not served');
      if (file.endsWith('.html')) {
        const html = change(await readFile(file, 'utf8'));
        return response.writeHead(200, { ...headers, 'Content-Security-Policy': policyOf(html) }).end(html);
      }
      return await send(response, headers, file, range);
    } catch {
      return response.writeHead(404, headers).end('not found');
    }
  };
}

/** A file, or the part of it that is asked for. */
async function send(response, headers, file, range) {
  const { size } = await stat(file);
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  const [start, end] = first === undefined ? [0, size - 1] : [Number(first), Math.min(Number(last), size - 1)];
  const part = first !== undefined && { 'Content-Range': `bytes ${start}-${end}/${size}` };
  response.writeHead(part ? 206 : 200, { ...headers, 'Accept-Ranges': 'bytes', 'Content-Length': end + 1 - start, ...part });
  await pipeline(createReadStream(file, { start, end: Math.max(start, end) }), response).catch(() => {}); // Who asked may be gone.
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [, , model, said = '8080'] = process.argv;
  const port = Number(said);
  const stop = (why) => {
    console.error(why);
    process.exitCode = 1;
  };
  if (!model) stop('node examples/embedding-page/server.mjs <folder of a model> [port]');
  else if (!(Number.isInteger(port) && port >= 0 && port < 65536)) stop(`port expected a whole number from 0 to 65535, got ${said}`);
  else {
    const server = createServer(site(model)).on('error', ({ message }) => stop(message));
    server.listen(port, '127.0.0.1', () => console.log(`open http://127.0.0.1:${server.address().port}/`));
  }
}
