/** The suite in the system's Chromium: an isolated page, one that is not, and one whose policy allows only workers from its own origin. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundle } from './bundle.ts';
import { kernelsBase64 } from './kernels.ts';

const CHROMIUM = '/usr/bin/chromium';
const FLAGS =
  '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';
const JOBS = 500;

const ISOLATED = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };
const STRICT = { ...ISOLATED, 'Content-Security-Policy': "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'" };
const DATA = { ...ISOLATED, 'Content-Security-Policy': 'worker-src data:' };
const HEADERS: Record<string, Record<string, string>> = { '/isolated': ISOLATED, '/strict': STRICT, '/data': DATA, '/plain': {} };

/** What is used of puppeteer, which is installed apart from the library. */
interface Page {
  goto(url: string): Promise<unknown>;
  evaluate<T>(script: string): Promise<T>;
  close(): Promise<void>;
}
interface Browser {
  newPage(): Promise<Page>;
  close(): Promise<void>;
}
type Launch = (options: { executablePath: string; args: string[]; userDataDir: string; headless: boolean }) => Promise<Browser>;

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

describe.skipIf(!existsSync(CHROMIUM))('chromium', () => {
  const userDataDir = mkdtempSync(join(tmpdir(), 'relpos-chromium-'));
  let server: Server;
  let browser: Browser;
  let kernels: string;

  beforeAll(async () => {
    const require = createRequire(new URL('../runtimes/package.json', import.meta.url));
    const { launch } = require('puppeteer-core') as { launch: Launch };
    [server, kernels] = await Promise.all([serve(), kernelsBase64()]);
    browser = await launch({ executablePath: CHROMIUM, args: FLAGS.split(' '), userDataDir, headless: true });
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    server?.close();
    rmSync(userDataDir, { recursive: true, force: true });
  });

  async function lines(path: string, call: string): Promise<string[]> {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`);
    const result = await page.evaluate<string[]>(`relposThreads.${call}`);
    await page.close();
    console.log(result.join('\n'));
    return result;
  }

  test('an isolated page has threads', { timeout: 90_000 }, async () => {
    const found = await lines('/isolated', `run('${kernels}', ${JOBS})`);
    expect(found[0]).toMatch(/^browser Chrome\/.*shares memory$/);
    expect(found.filter((line) => line.startsWith('FAILED'))).toEqual([]);
  });

  test('a page that is not isolated hears which headers to send', { timeout: 60_000 }, async () => {
    const [line] = await lines('/plain', `run('${kernels}', 1)`);
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
