/** The page on a host that sends no headers: it gets its threads by a service worker, or goes on without. */
import { copyFileSync, cpSync, existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, extname, join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Browser, CHROMIUM, expectText, FIREFOX, lastValue, startBrowser } from './browser.ts';
import { describeWith, makeProject } from './project.ts';

const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript' };

interface Host {
  readonly server: Server;
  /** How often the page was asked for. */
  readonly loads: () => number;
  /** The files that were sent. */
  readonly sent: Set<string>;
}

/** A static host: files of a folder under `/site/`, types, no cache, and nothing else. */
function serve(folder: string): Promise<Host> {
  let loads = 0;
  const sent = new Set<string>();
  const server = createServer(({ url = '' }, response) => {
    const path = join(folder, url.replace(/^\/site\//, '').replace(/^$/, 'index.html'));
    if (!url.startsWith('/site/') || !existsSync(path)) return response.writeHead(404).end();
    if (path.endsWith('.html')) loads++;
    sent.add(path);
    const type = TYPES[extname(path)] ?? 'application/octet-stream';
    return response.writeHead(200, { 'Content-Type': type, 'Cache-Control': 'no-store' }).end(readFileSync(path));
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve({ server, loads: () => loads, sent })));
}

const folder = makeProject();
const page = join(folder, 'static-page');
/** The page's two ways to its host: the library copied beside it, and all scripts in one file. */
let copied: Host;
let bundled: Host;
beforeAll(async () => {
  const outfile = join(page, 'site/page.js');
  await build({ entryPoints: [join(page, 'page.js')], bundle: true, minify: true, format: 'esm', outfile, logLevel: 'error' });
  for (const name of ['index.html', 'isolation.js']) copyFileSync(join(page, name), join(page, 'site', name));
  bundled = await serve(join(page, 'site'));
  cpSync(join(folder, 'node_modules/relpos/dist'), join(page, 'relpos'), { recursive: true });
  copied = await serve(page);
});
afterAll(() => {
  for (const host of [copied, bundled]) host?.server.close();
});

const address = (host: Host, name: string): string => `http://${name}:${(host.server.address() as AddressInfo).port}/site/`;

for (const [name, program] of Object.entries({ chromium: CHROMIUM, firefox: FIREFOX })) {
  describeWith(program, `a static page in ${name}`, () => {
    let browser: Browser;
    beforeAll(async () => {
      browser = await startBrowser(program);
    });
    afterAll(() => browser?.close());

    test.each([
      ['copied', () => copied],
      ['bundled', () => bundled],
    ])('%s, it loads twice, then has threads, and so it stays', async (_, which) => {
      const host = which();
      const before = host.loads();
      const page = await browser.newPage();
      await page.goto(address(host, 'localhost'));
      const expected = new RegExp(`^2 thread\\(s\\); the last value is ${lastValue()}$`);
      await expectText(page, expected);
      expect(host.loads() - before).toBe(2);
      await page.evaluate('document.body.textContent = "the page before"; location.reload()').catch(() => {});
      await expectText(page, expected);
      expect(host.loads() - before).toBe(3);
      await page.close();
    });

    test('bundled, it is three files', () => {
      expect([...bundled.sent].map((path) => basename(path)).sort()).toEqual(['index.html', 'isolation.js', 'page.js']);
    });

    // A name that is not `localhost` is not trusted, and only Chromium can be told that it is this machine.
    if (program !== CHROMIUM) return;
    test('without service workers (plain http) it has one thread, and does not load again and again', async () => {
      const host = copied;
      const before = host.loads();
      const page = await browser.newPage();
      await page.goto(address(host, 'page.test'));
      await expectText(page, /^1 thread\(s\): .*Cross-Origin-Opener-Policy.*; the last value is /);
      expect(host.loads() - before).toBe(1);
      await page.close();
    });
  });
}
