/** The system's browsers, driven by puppeteer, which is installed apart from the library. */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { createEngineSync, rotary } from '../../src/index.ts';

/** What is used of puppeteer. */
export interface Page {
  goto(url: string): Promise<unknown>;
  evaluate<T>(script: string): Promise<T>;
  close(): Promise<void>;
}
export interface Browser {
  newPage(): Promise<Page>;
  close(): Promise<void>;
}
interface Launched extends Browser {
  process(): ChildProcess | null;
}
interface LaunchOptions {
  readonly browser: 'chrome' | 'firefox';
  readonly executablePath: string;
  readonly args: readonly string[];
  readonly userDataDir: string;
  readonly headless: boolean;
  readonly timeout: number;
}

export const CHROMIUM = '/usr/bin/chromium';
export const FIREFOX = '/usr/bin/firefox-esr';

/** Chromium's flags; a host's name with `.test` is this machine. */
const FLAGS = [
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync'.split(
    ' ',
  ),
  '--host-resolver-rules=MAP *.test 127.0.0.1',
].flat();

/** Milliseconds that a browser may take to start: on a busy machine half a minute is not enough. */
const START_MS = 60_000;

/** Starts a browser; `close` also removes its profile. */
export async function startBrowser(program: string): Promise<Browser> {
  const require = createRequire(new URL('../runtimes/package.json', import.meta.url));
  const { launch } = require('puppeteer-core') as { launch: (options: LaunchOptions) => Promise<Launched> };
  const userDataDir = mkdtempSync(join(tmpdir(), 'relpos-recipes-browser-'));
  const kind = program === FIREFOX ? ({ browser: 'firefox', args: [] } as const) : ({ browser: 'chrome', args: FLAGS } as const);
  const browser = await launch({ ...kind, executablePath: program, userDataDir, headless: true, timeout: START_MS });
  return {
    newPage: () => browser.newPage(),
    close: async () => {
      // On a busy machine a browser may not answer; what it showed has been judged by then.
      const late = setTimeout(() => browser.process()?.kill('SIGKILL'), 20_000);
      await browser.close().catch(() => {});
      clearTimeout(late);
      rmSync(userDataDir, { recursive: true, force: true });
    },
  };
}

/** The last value of what the pages compute. */
export function lastValue(): number {
  using engine = createEngineSync();
  const x = engine.tensor(
    [1, 8, 256, 64],
    Float32Array.from({ length: 8 * 256 * 64 }, (_, n) => (n % 17) / 17 - 0.5),
  );
  const encoding = rotary({ dim: 64, theta: 10000, layout: 'halves' });
  return engine.attentionSync(x, x, x, { encoding, causal: true }).toArray().at(-1) as number;
}

/**
 * The page shows the text, sooner or later. It is asked anew each time: a page that becomes isolated as it loads again gets a process of its
 * own, and what waits in the old one waits for ever.
 */
export function expectText(page: Page, text: RegExp): Promise<void> {
  const shown = (): Promise<string> => page.evaluate<string>('document.body?.textContent').catch(String);
  return expect.poll(shown, { timeout: 60_000, interval: 100 }).toMatch(text);
}
