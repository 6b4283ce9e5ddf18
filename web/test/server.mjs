// A server of the built page for its tests: with the isolation headers or without, at the root or below a path, with a script that watches the page.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import sirv from 'sirv';

export const site = fileURLToPath(new URL('../dist', import.meta.url));

const ISOLATION = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

/** What the tests add to the page: `__lab/…` beside its index.html. */
const ADDED = {
  'toolkit.js': fileURLToPath(new URL('toolkit.js', import.meta.url)),
  'axe.js': createRequire(import.meta.url).resolve('axe-core/axe.min.js'),
};

/** The page with the toolkit as its first script. */
const watchedPage = () =>
  readFileSync(`${site}/index.html`, 'utf8').replace('<head>', '<head>\n    <script src="./__lab/toolkit.js"></script>');

/**
 * Serves the page on the loopback interface.
 *
 * @param isolated whether with the headers that let it share memory.
 * @param under    the path that it stands below: `/` or `/some/folder/`.
 * @param without  a file that this host does not have.
 * @param instead  whether it answers its front page where it has no file, as hosts of single pages do.
 * @returns its `address`, the paths that were `asked` for, those of them that are not there in `missing`, and `close`.
 */
export async function serveSite({ isolated = true, under = '/', without, instead = false } = {}) {
  const headers = isolated ? ISOLATION : {};
  const files = sirv(site, { etag: true, setHeaders: (response) => setAll(response, headers) });
  const asked = new Set();
  const missing = [];
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    const absent = () => {
      missing.push(pathname);
      response.writeHead(404).end();
    };
    if (!pathname.startsWith(under)) return absent();
    const path = pathname.slice(under.length);
    asked.add(path || 'index.html');
    const send = (type, body) => response.writeHead(200, { 'Content-Type': type, ...headers }).end(body);
    if (path === without && !instead) return response.writeHead(404).end();
    if (path === '' || path === without || path === 'index.html') return send('text/html', watchedPage());
    const added = path.startsWith('__lab/') && ADDED[path.slice('__lab/'.length)];
    if (added) return send('text/javascript', readFileSync(added));
    request.url = `/${path}`;
    return files(request, response, absent);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `http://127.0.0.1:${server.address().port}${under}`,
    asked,
    missing,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

function setAll(response, headers) {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
}
