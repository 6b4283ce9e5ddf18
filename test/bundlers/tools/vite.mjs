// Vite: the pages built, and those of its development server.
import { join } from 'node:path';
import { ISOLATION, strict } from '../browser.mjs';
import { findingsAt, findingsIn } from '../pages.mjs';
import { versionOf } from '../program.mjs';

export const name = 'vite';
export const version = () => versionOf('vite');

const WORKER = "new Worker(new URL('relpos/worker', import.meta.url), { type: 'module' })";

/** The development server's headers, which differ by page. */
const headers = {
  name: 'headers',
  configureServer: ({ middlewares }) => {
    middlewares.use(({ url }, response, next) => {
      for (const [key, value] of Object.entries(url.startsWith('/strict') ? strict() : ISOLATION)) response.setHeader(key, value);
      next();
    });
  },
};

export async function findings({ make, browser }) {
  const { build, createServer } = await import('vite');
  const root = make(name, { 'worker.js': `export const worker = () => ${WORKER};\n` });
  const quiet = { root, configFile: false, logLevel: 'error' };
  const input = ['index.html', 'strict.html'].map((page) => join(root, page));
  await build({ ...quiet, build: { rolldownOptions: { input } } });
  const built = await findingsIn(join(root, 'dist'), browser);
  const server = await createServer({ ...quiet, plugins: [headers], server: { port: 0, host: '127.0.0.1' } });
  try {
    await server.listen();
    const served = await findingsAt(`http://127.0.0.1:${server.httpServer.address().port}`, browser);
    return [...built, ...served.map(({ scripts, chunks, ...finding }) => ({ ...finding, way: `dev: ${finding.way}` }))];
  } finally {
    await server.close();
  }
}
