/** The page on a host that sends no headers: it gets its threads by a service worker, or goes on without. */
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Browser, CHROMIUM, expectText, FIREFOX, lastValue, startBrowser } from './browser.ts';
import { describeWith, makeProject } from './project.ts';

const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript' };

/** A static host: files of a folder under `/site/`, types, no cache, and nothing else. It counts how often the page is asked for. */
function serve(folder: string): Promise<{ server: Server; loads: () => number }> {
  let loads = 0;
  const server = createServer(({ url = '' }, response) => {
    const path = join(folder, url.replace(/^\/site\//, '').replace(/^$/, 'index.html'));
    if (!url.startsWith('/site/') || !existsSync(path)) return response.writeHead(404).end();
    if (path.endsWith('.html')) loads++;
    const type = TYPES[extname(path)] ?? 'application/octet-stream';
    return response.writeHead(200, { 'Content-Type': type, 'Cache-Control': 'no-store' }).end(readFileSync(path));
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve({ server, loads: () => loads })));
}

const folder = makeProject();
let host: Awaited<ReturnType<typeof serve>>;
beforeAll(async () => {
  cpSync(join(folder, 'node_modules/relpos/dist'), join(folder, 'static-page/relpos'), { recursive: true });
  host = await serve(join(folder, 'static-page'));
});
afterAll(() => host?.server.close());

const address = (name: string): string => `http://${name}:${(host.server.address() as AddressInfo).port}/site/`;

for (const [name, program] of Object.entries({ chromium: CHROMIUM, firefox: FIREFOX })) {
  describeWith(program, `a static page in ${name}`, () => {
    let browser: Browser;
    beforeAll(async () => {
      browser = await startBrowser(program);
    });
    afterAll(() => browser?.close());

    test('loads twice, then has threads, and so it stays', async () => {
      const before = host.loads();
      const page = await browser.newPage();
      await page.goto(address('localhost'));
      const expected = new RegExp(`^2 thread\\(s\\); the last value is ${lastValue()}$`);
      await expectText(page, expected);
      expect(host.loads() - before).toBe(2);
      await page.evaluate('document.body.textContent = "the page before"; location.reload()').catch(() => {});
      await expectText(page, expected);
      expect(host.loads() - before).toBe(3);
      await page.close();
    });

    // A name that is not `localhost` is not trusted, and only Chromium can be told that it is this machine.
    if (program !== CHROMIUM) return;
    test('without service workers (plain http) it has one thread, and does not load again and again', async () => {
      const before = host.loads();
      const page = await browser.newPage();
      await page.goto(address('page.test'));
      await expectText(page, /^1 thread\(s\): .*Cross-Origin-Opener-Policy.*; the last value is /);
      expect(host.loads() - before).toBe(1);
      await page.close();
    });
  });
}
