/** The suite in each browser: an isolated page, one that is not, and one whose policy allows only workers from its own origin. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Browser, browsers } from '../browsers/index.mjs';
import { bundle } from './bundle.ts';
import { chainBase64, kernelsBase64 } from './kernels.ts';

const JOBS = 500;
/** What each calls itself. */
const AGENTS = { chromium: 'Chrome', firefox: 'Firefox', webkit: 'Version' };

const ISOLATED = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };
const STRICT = { ...ISOLATED, 'Content-Security-Policy': "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'" };
const DATA = { ...ISOLATED, 'Content-Security-Policy': 'worker-src data:' };
const HEADERS: Record<string, Record<string, string>> = { '/isolated': ISOLATED, '/strict': STRICT, '/data': DATA, '/plain': {} };

async function serve(): Promise<Server> {
  const scripts: Record<string, string> = {
    '/suite.js': await bundle('run.ts'),
    '/worker.js': await bundle('../../src/threads/worker-entry.ts'),
  };
  const server = createServer(({ url = '/' }, response) => {
    const script = scripts[url];
    const headers = HEADERS[url] ?? (script === undefined ? {} : STRICT);
    response.writeHead(200, { 'Content-Type': script === undefined ? 'text/html' : 'text/javascript', ...headers });
    response.end(script ?? '<!doctype html><script type="module" src="/suite.js"></script>');
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

/** Where everything must be, a browser that is not here fails its tests; elsewhere it is named. */
const absent = (missing: readonly string[]): boolean => missing.length > 0 && process.env.CI !== 'true';

describe.each(browsers)('$name', ({ name, missing, launch }) => {
  const left = missing();
  if (absent(left)) {
    test.skip(`needs Debian's ${left.join(' and ')}`);
    return;
  }
  let server: Server;
  let browser: Browser;
  let kernels: string;
  let chain: string;

  beforeAll(async () => {
    expect(left, 'packages that CI needs').toEqual([]);
    [server, kernels, chain] = await Promise.all([serve(), kernelsBase64(), chainBase64()]);
    browser = await launch();
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    server?.closeAllConnections();
    server?.close();
  });

  async function lines(path: string, call: string): Promise<string[]> {
    const page = await browser.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`);
    for (const end = Date.now() + 30_000; !(await page.evaluate('globalThis.relposThreads !== undefined')); ) {
      if (Date.now() > end) throw new Error(`${path} did not run its script`);
    }
    const result = await page.evaluate<string[]>(`relposThreads.${call}`);
    await page.close();
    console.log(result.join('\n'));
    return result;
  }

  test('an isolated page has threads', { timeout: 180_000 }, async () => {
    const found = await lines('/isolated', `run('${kernels}', '${chain}', ${JOBS})`);
    expect(found[0]).toMatch(new RegExp(`^browser ${AGENTS[name]}/.*shares memory$`));
    expect(found.filter((line) => line.startsWith('FAILED'))).toEqual([]);
  });

  test('a page that is not isolated hears which headers to send', { timeout: 60_000 }, async () => {
    const [line] = await lines('/plain', `run('${kernels}', '${chain}', 1)`);
    expect(line).toContain('"Cross-Origin-Opener-Policy: same-origin" and "Cross-Origin-Embedder-Policy: require-corp"');
  });

  test('a policy that allows data: workers alone', { timeout: 60_000 }, async () => {
    expect(await lines('/data', `start('${kernels}')`)).toEqual(['2 threads']);
  });

  test("a strict policy refuses our workers, in words, and takes the page's own", { timeout: 60_000 }, async () => {
    const [refused] = await lines('/strict', `start('${kernels}')`);
    expect(refused).toMatch(/^1 thread.*blob: worker.*"worker" option/);
    expect(await lines('/strict', `start('${kernels}', () => new Worker('/worker.js', { type: 'module' }))`)).toEqual(['2 threads']);
  });
});
