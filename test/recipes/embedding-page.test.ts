/** The page that compares sentences, in every browser: the numbers of the library, by keyboard, while the page goes on drawing. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadEncoder } from '../../src/models/index.ts';
import { type Browser, browsers, type Page } from '../browsers/index.mjs';
import { type Frames, smooth, smoother } from '../conformance/smooth.mjs';
import { writeSeededEncoder } from './seeded-encoder.ts';

const SENTENCES = [
  'How old are you?',
  'What is your age?',
  'The cat sleeps on the warm roof.',
  'naïve 漢字',
  'He replied that he had not.',
];
/** As many as the page takes, each as long as the model takes: seconds of work. */
const LONG = Array.from({ length: 32 }, (_, n) => `${n} ${'My dear Mr. Bennet, have you heard that Netherfield Park is let? '.repeat(5)}`);

/** What a page may not do, from before its own scripts: errors of scripts, of files and of policies, and what is written to the console. */
const WATCH = `
globalThis.watched = [];
const tell = (kind, text) => watched.push(kind + ': ' + text);
for (const kind of ['error', 'warn']) console[kind] = (...said) => tell(kind, said.join(' '));
addEventListener('error', ({ message, target }) => tell('error', message ?? target.src ?? target.href), true);
addEventListener('unhandledrejection', ({ reason }) => tell('rejection', reason));
addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => tell('policy', violatedDirective + ' ' + blockedURI));
/** Frames from now on; \`stop\` gives how many came in a second, and the longest time without one. */
globalThis.frames = () => {
  const times = [performance.now()];
  let next = requestAnimationFrame(function frame() {
    times.push(performance.now());
    next = requestAnimationFrame(frame);
  });
  return () => {
    cancelAnimationFrame(next);
    times.push(performance.now());
    const gaps = times.slice(1).map((time, n) => time - times[n]);
    return { perSecond: (1000 * (times.length - 2)) / (times.at(-1) - times[0]), longestGapMs: Math.max(...gaps) };
  };
};
`;
/** How often frames are counted at most: on a machine with other work only the best says what the page does. */
const TRIES = 8;

interface Options {
  readonly isolated?: boolean;
  readonly change?: (html: string) => string;
}
const example = new URL('../../examples/embedding-page/server.mjs', import.meta.url).href;
const { site } = (await import(example)) as { site(model: string, options: Options): RequestListener };

const folder = mkdtempSync(join(tmpdir(), 'relpos-page-'));
const servers: Server[] = [];

/** Serves the page, watched; the address, and the files that were asked for and are not there. */
async function serve(options: Options): Promise<{ address: string; missing: string[] }> {
  const change = (html: string): string => html.replace('<script', '<script src="watch.js"></script>\n<script');
  const page = site(folder, { ...options, change });
  const missing: string[] = [];
  const server = createServer((request, response) => {
    response.on('finish', () => response.statusCode === 404 && missing.push(request.url ?? ''));
    if (request.url === '/watch.js') response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(WATCH);
    else page(request, response);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, missing };
}

let isolated: Awaited<ReturnType<typeof serve>>;
let plain: Awaited<ReturnType<typeof serve>>;
/** What the table must say. */
let expected: string[][];

beforeAll(async () => {
  writeSeededEncoder(folder);
  using encoder = await loadEncoder(folder, { weights: 'i8' });
  expected = (await encoder.similarity(SENTENCES)).map((row) => row.map((x) => x.toFixed(2)));
  [isolated, plain] = await Promise.all([serve({}), serve({ isolated: false })]);
}, 60_000);
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(folder, { recursive: true });
});

/** What a person does and sees. */
class Visitor {
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
  }

  evaluate<T>(expression: string): Promise<T> {
    return this.#page.evaluate<T>(expression);
  }

  close(): Promise<void> {
    return this.#page.close();
  }

  async type(lines: readonly string[]): Promise<void> {
    await this.evaluate(`document.getElementById('texts').value = ${JSON.stringify(lines.join('\n'))}`);
  }

  /** Presses a key where the focus is. */
  async press(key: string, ctrlKey = false): Promise<void> {
    const event = `new KeyboardEvent('keydown', ${JSON.stringify({ key, ctrlKey, bubbles: true })})`;
    await this.evaluate(`document.activeElement.dispatchEvent(${event})`);
  }

  focus(id: string): Promise<void> {
    return this.evaluate(`document.getElementById('${id}').focus()`);
  }

  focused(): Promise<string> {
    return this.evaluate('document.activeElement.id');
  }

  status(): Promise<string> {
    return this.evaluate("document.getElementById('status').textContent");
  }

  async expectStatus(pattern: RegExp): Promise<void> {
    await expect.poll(() => this.status(), { timeout: 60_000, interval: 20 }).toMatch(pattern);
  }

  /** The table's numbers; what only readers of screens are told is left out. */
  numbers(): Promise<string[][]> {
    const row = "[...row.querySelectorAll('td')].map((cell) => cell.firstChild.data)";
    return this.evaluate(`[...document.querySelectorAll('#result tbody tr')].map((row) => ${row})`);
  }
}

for (const { name, missing, launch } of browsers) {
  const absent = missing();
  if (absent.length) console.log(`the embedding page: ${name} is not here: Debian's ${absent.join(' and ')}`);
  describe.skipIf(absent.length > 0 && process.env.CI !== 'true')(`the embedding page in ${name}`, { timeout: 180_000 }, () => {
    let browser: Browser;
    let visitor: Visitor;
    const open = async ({ address }: { address: string }): Promise<Visitor> => {
      const page = new Visitor(await browser.open(address));
      const ready = "document.getElementById('compare')?.disabled === false";
      while (!(await page.evaluate(ready))) await new Promise((resolve) => setTimeout(resolve, 20));
      return page;
    };
    beforeAll(async () => {
      browser = await launch();
      visitor = await open(isolated);
    }, 120_000);
    afterAll(() => browser?.close());

    test('tells the similarities that the library has, by keyboard', async () => {
      await visitor.type(SENTENCES);
      await visitor.focus('texts');
      await visitor.press('Enter', true);
      await visitor.expectStatus(/^5 sentences in \d+ ms\. Most alike: \d and \d, 0\.\d\d\.$/);
      expect(await visitor.numbers()).toEqual(expected);
      expect(await visitor.evaluate("document.getElementById('host').textContent")).toMatch(/^This page is isolated/);
    });

    test('names its controls, its table and its rows to who cannot see them', async () => {
      const unnamed = "[...document.querySelectorAll('textarea, input')].filter(({ labels }) => !labels[0]?.textContent).length";
      expect(await visitor.evaluate(unnamed)).toBe(0);
      expect(await visitor.evaluate("document.querySelector('progress').getAttribute('aria-label')")).toBe('Progress');
      expect(
        await visitor.evaluate("document.getElementById('status').role ?? document.getElementById('status').getAttribute('role')"),
      ).toBe('status');
      expect(await visitor.evaluate("document.querySelector('caption').textContent")).toMatch(/^Cosines/);
      const headings = (scope: string): Promise<string[]> =>
        visitor.evaluate(`[...document.querySelectorAll('th[scope=${scope}]')].map(({ textContent }) => textContent)`);
      expect(await headings('row')).toEqual(SENTENCES);
      expect(await headings('col')).toEqual(SENTENCES.map((text, n) => `${n + 1}: ${text}`));
      expect(await visitor.evaluate("document.querySelectorAll('td.most .unseen').length")).toBe(SENTENCES.length);
    });

    test('stops, with the focus where it was, and goes on', async () => {
      await visitor.type(LONG);
      await visitor.focus('compare');
      await visitor.evaluate('document.activeElement.click()');
      await visitor.expectStatus(/^Comparing/);
      expect(await visitor.focused()).toBe('stop');
      await visitor.press('Escape');
      await visitor.expectStatus(/^Stopped/);
      expect(await visitor.focused()).toBe('compare');
      await visitor.type(SENTENCES.slice(0, 2));
      await visitor.evaluate('document.activeElement.click()');
      await visitor.expectStatus(/^2 sentences/);
    });

    test('goes on drawing while it computes', async () => {
      await visitor.type(LONG);
      let best: Frames | undefined;
      for (let left = TRIES; left > 0 && !(best && smooth(best)); left--) {
        await visitor.evaluate("globalThis.stopFrames = frames(), document.getElementById('compare').click()");
        await visitor.expectStatus(/^Comparing/);
        const until = "document.getElementById('progress').value > 0.9";
        await expect.poll(() => visitor.evaluate(until), { timeout: 60_000, interval: 100 }).toBe(true);
        const frames = await visitor.evaluate<Frames>('stopFrames()');
        best = best ? smoother(best, frames) : frames;
        await visitor.expectStatus(/^32 sentences/);
      }
      expect(best).toSatisfy(smooth);
    });

    test.each([
      ['one sentence', ['How old are you?'], /^Two sentences are needed at least/],
      ['too many', [...LONG, ...LONG], /^64 sentences are more than the 32/],
    ])('%s is answered with words', async (_, lines, says) => {
      await visitor.type(lines);
      await visitor.evaluate("document.getElementById('compare').click()");
      await visitor.expectStatus(says);
    });

    test('nothing went wrong in all of that', async () => {
      expect(await visitor.evaluate('watched')).toEqual([]);
      expect(isolated.missing).toEqual([]);
    });

    test('a model that is not there is told', async () => {
      await visitor.type(SENTENCES);
      const address = "document.getElementById('address')";
      await visitor.evaluate(`${address}.value = 'nowhere/', ${address}.dispatchEvent(new Event('input'))`);
      await visitor.evaluate("document.getElementById('compare').click()");
      await visitor.expectStatus(/^It failed: loadEncoder: .*config\.json/);
      isolated.missing.length = 0;
    });

    test('without isolation it has one thread and the same numbers', async () => {
      await visitor.close();
      const other = await open(plain);
      await other.type(SENTENCES);
      await other.evaluate("document.getElementById('compare').click()");
      await other.expectStatus(/^5 sentences/);
      expect(await other.numbers()).toEqual(expected);
      expect(await other.evaluate("document.getElementById('host').textContent")).toMatch(/on one thread.*Cross-Origin-Opener-Policy/);
      expect(await other.evaluate('watched')).toEqual([]);
    });
  });
}
